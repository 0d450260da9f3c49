"""What holds for every answer to a partner, whatever it has sent."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.db import connection
from django.test import Client

from conformance.specification import envelope_faults
from tests.roaming.endpoints import Endpoint
from tests.roaming.fuzzing.requests import Request
from tests.roaming.fuzzing.world import World

# Ends a hang; a busy machine is slow, too.
LONGEST_S = 60
# What is written of every message, the refused ones too: the log, what it adds up to, and when a rule was broken.
OF_MESSAGES = {"roaming_partnermessage", "roaming_deviation", "roaming_partnertraffic", "depots_notice"}


@dataclass
class Checked:
    """The partner that calls, and what came of it: answers by their status and OCPI code."""

    world: World
    http: Client = field(default_factory=lambda: Client(raise_request_exception=False))
    told: dict[tuple[int, int], int] = field(default_factory=dict)
    state: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.state = state_of_database()

    def call(self, one: Endpoint, request: Request) -> None:
        """Raises AssertionError that names the request."""
        began = time.perf_counter()
        answer = self.http.generic(
            request.method, request.path, request.body, content_type="application/json", QUERY_STRING=request.query,
            headers={**self.world.caller.headers, **request.headers},
        )  # fmt: skip
        took = time.perf_counter() - began
        said = f"{request}\n-> {answer.status_code} {answer.content[:1500]!r}"
        assert took < LONGEST_S, f"{took:.1f} s: {said}"
        assert answer.status_code < 500, said
        content = json.loads(answer.content)
        assert not envelope_faults(content), said
        assert answer["X-Request-ID"], said
        code = content["status_code"]
        self.told[answer.status_code, code] = self.told.get((answer.status_code, code), 0) + 1
        if 1000 <= code < 2000:
            found = self._faults(one, content.get("data"))
            assert not found, f"{found}: {said}"
            self.state = state_of_database()
        else:
            assert "data" not in content, said
            changed = [name for name, digest in state_of_database().items() if digest != self.state[name]]
            assert not changed, f"{changed} by a refusal: {said}"

    def forget(self) -> None:
        """What was called last was taken back."""
        self.state = state_of_database()

    def _faults(self, one: Endpoint, data: Any) -> list[str]:
        version = self.world.partner.version
        return one.faults(data, version, with_newer=version != "2.3.0")


def state_of_database() -> dict[str, str]:
    """By table a digest of all its rows, but for those that are written of messages."""
    return digests_of(_tables())


def digests_of(tables: tuple[str, ...]) -> dict[str, str]:
    """By table a digest of all its rows, in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(_statement(tables))
        (digests,) = cursor.fetchone()
    return dict(zip(tables, digests, strict=True))


@cache
def _statement(tables: tuple[str, ...]) -> str:
    digest = "(SELECT md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))) FROM \"{}\" t)"
    return f"SELECT ARRAY[{', '.join(map(digest.format, tables))}]"


@cache
def _tables() -> tuple[str, ...]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        return tuple(name for (name,) in cursor.fetchall() if name not in OF_MESSAGES)
