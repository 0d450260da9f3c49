"""How many registrations run at a time, over all serving processes: each calls its partner back while a web thread waits.

Advisory locks of the session: whoever is killed gives its place back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import DatabaseError, connection

# A call back may take a partner 20 seconds of one of the eight threads of a process: half of them at most, were all in one.
MOST_AT_ONCE = 4

_TAKE_OWN = "SELECT pg_try_advisory_lock(hashtext('registration_of_partner'), %s::int)"
_LEAVE_OWN = "SELECT pg_advisory_unlock(hashtext('registration_of_partner'), %s::int)"
_TAKE_ANY = """
    SELECT place FROM generate_series(1, %s) AS place
    WHERE pg_try_advisory_lock(hashtext('registration_place'), place) LIMIT 1
"""
_LEAVE = "SELECT pg_advisory_unlock(hashtext('registration_place'), %s::int)"


class UnderWay(Exception):
    """A registration of this partner is being carried out already."""


class AllTaken(Exception):
    """Others are registering."""


@contextmanager
def taken(partner_id: int) -> Iterator[None]:
    """A place for a registration of this partner. Raises UnderWay and AllTaken."""
    if not _answer(_TAKE_OWN, partner_id):
        raise UnderWay
    try:
        place = _answer(_TAKE_ANY, MOST_AT_ONCE)
        if place is None:
            raise AllTaken
        try:
            yield
        finally:
            _leave(_LEAVE, int(place))
    finally:
        _leave(_LEAVE_OWN, partner_id)


def _answer(statement: str, parameter: int) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, [parameter])
        row = cursor.fetchone()
    return row[0] if row else None


def _leave(statement: str, parameter: int) -> None:
    """A session that has ended has none any more."""
    with suppress(DatabaseError):
        _answer(statement, parameter)
