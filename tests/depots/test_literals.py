"""What is spelled without psycopg is spelled as psycopg does; what is not so plain is left to it."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from uuid import UUID

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from psycopg.adapt import Transformer
from psycopg.types.json import Json, Jsonb
from psycopg.types.range import TimestamptzRange

from bookings.models import BookingStatus
from depots import literals

AT = datetime(2030, 1, 15, 8, 30, 0, 120, tzinfo=UTC)
ELSEWHERE = AT.astimezone(timezone(timedelta(hours=2)))

USUAL = [
    None, 0, 7, 2**40, True, False, "", "HH-NF 22", "a~!@#%s$1;--", BookingStatus.CONFIRMED, AT, AT.replace(year=1),
    TimestamptzRange(AT, AT + timedelta(hours=1), "[)"), TimestamptzRange(AT, AT, "[]"),
    Jsonb({}, dumps=json.dumps), Jsonb({"a": [1, None, "b"]}, dumps=json.dumps),
    Jsonb({"at": AT}, dumps=partial(json.dumps, cls=DjangoJSONEncoder)),
]  # fmt: skip
UNUSUAL = [
    -1, 1.5, Decimal("1.50"), "it's", "back\\slash", "ü", "line\nline", "tab\t", "\x7f", b"bytes", [1, 2], date(2030, 1, 15),
    AT.replace(tzinfo=None), ELSEWHERE, TimestamptzRange(ELSEWHERE, ELSEWHERE, "[]"), TimestamptzRange(AT, None),
    TimestamptzRange(empty=True), Jsonb({"a": "it's"}, dumps=json.dumps), Jsonb({"a": "ü"}, dumps=json.dumps), Jsonb({}),
    Json({}, dumps=json.dumps), UUID(int=1), type("Text", (str,), {})("text"),
]  # fmt: skip


@pytest.mark.django_db
def test_a_usual_value_is_spelled_as_psycopg_spells_it():
    connection.ensure_connection()
    literal = Transformer(connection.connection).as_literal

    assert [literals.usual(value) for value in USUAL[1:]] == [literal(value).decode() for value in USUAL[1:]]
    assert literals.usual(None) == "NULL"


@pytest.mark.parametrize("value", UNUSUAL, ids=repr)
def test_any_other_value_is_left_to_psycopg(value):
    assert literals.usual(value) is None
