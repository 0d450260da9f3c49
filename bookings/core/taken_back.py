"""What would become of something, seen by doing it: a transaction that does not stay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bookings.core import calendars


class _TakenBack(Exception):
    """Ends a transaction that is not meant to stay."""


@contextmanager
def taken_back() -> Iterator[None]:
    """One operation that is rolled back at its end, and its locks given back. What it raises leaves as it is."""
    with suppress(_TakenBack), calendars.one_operation():
        yield
        raise _TakenBack
