"""Guards that are taken away, and the race they close."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection

from bookings.errors import BookingError
from tests.races.processes import rendezvous


@dataclass(frozen=True)
class Constraint:
    table: str
    name: str

    @contextmanager
    def dropped(self) -> Iterator[None]:
        """The table without this constraint or unique index; put back over an empty table afterwards."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", [self.name]
            )
            found = cursor.fetchone()
            if found:
                undo = f'ALTER TABLE {self.table} ADD CONSTRAINT "{self.name}" {found[0]}'
                cursor.execute(f'ALTER TABLE {self.table} DROP CONSTRAINT "{self.name}"')
            else:
                cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = %s", [self.name])
                (undo,) = cursor.fetchone()
                cursor.execute(f'DROP INDEX "{self.name}"')
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute(f"TRUNCATE {self.table} CASCADE")
                cursor.execute(undo)


def meeting_before(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, parties: int = 2) -> None:
    """Processes wait for one another before the call: whatever was looked at before, all have looked."""
    meeting = rendezvous(parties)
    original = getattr(owner, name)

    def late(*args: Any, **kwargs: Any) -> Any:
        meeting.wait(30)
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, late)


def attempt(work: Callable[[], Any]) -> str:
    try:
        work()
    except BookingError as refusal:
        return refusal.code
    except (IntegrityError, OperationalError) as failure:
        return type(failure).__name__
    return "done"
