"""Values as they are written into a statement: spelled as psycopg does, without asking it for the kinds that nearly all are of.

psycopg looks for a dumper by type and format, has libpq escape what that gives, and decodes it again: a booking has some 160
values, and those behind the lock are written out while others wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.db import models
from psycopg.types.json import Jsonb
from psycopg.types.range import TimestamptzRange


def usual(value: Any) -> str | None:
    """The literal of a value of the usual kinds; None for any other, and for a text in which something is to be escaped."""
    if value is None:
        return "NULL"
    write = _BY_KIND.get(type(value))
    if write is not None:
        return write(value)
    return _text(value.value) if isinstance(value, models.TextChoices) else None


def _integer(value: int) -> str | None:
    return str(value) if value >= 0 else None  # "1 -1" and "1 --1" are two things


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _text(value: str) -> str | None:
    is_plain = value.isascii() and value.isprintable() and "'" not in value and "\\" not in value
    return f"'{value}'" if is_plain else None


def _moment(value: datetime) -> str | None:
    return f"'{value}'::timestamptz" if value.tzinfo is UTC else None


def _span(value: TimestamptzRange) -> str | None:
    bounds = value.bounds
    if not bounds or not (_is_utc(value.lower) and _is_utc(value.upper)):
        return None
    span = f'{bounds[0]}"{value.lower}","{value.upper}"{bounds[1]}'
    return f"'{span}'::tstzrange"


def _is_utc(bound: datetime | None) -> bool:
    return bound is not None and bound.tzinfo is UTC


def _json(value: Jsonb) -> str | None:
    text = value.dumps(value.obj) if value.dumps is not None else None
    written = _text(text) if isinstance(text, str) else None
    return f"{written}::jsonb" if written is not None else None


_BY_KIND: dict[type, Callable[[Any], str | None]] = {
    str: _text, bool: _boolean, int: _integer, datetime: _moment, TimestamptzRange: _span, Jsonb: _json,
}  # fmt: skip
