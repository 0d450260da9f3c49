"""Depots whose power is to be shared out anew: a mark is a row of the transaction that changed something, which nobody else
writes or waits for (as docs/decisions/0049 says of calendars). The plan takes them (bookings.smart_charging.planning)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import connection

from bookings.models import PowerMark
from depots import round_trips

# What limits a depot d, whether or not it binds.
_IS_LIMITED = """(
    d.grid_limit_w IS NOT NULL
    OR EXISTS (SELECT FROM depots_charger o WHERE o.depot_id = d.id AND o.cabinet_limit_w IS NOT NULL)
    OR EXISTS (SELECT FROM bookings_externallimit l WHERE l.depot_id = d.id AND l.lifted_at IS NULL)
)"""
_MARK_LIMITED = round_trips.Prepared(f"""
    INSERT INTO bookings_powermark (depot_id, due_at, is_urgent)
    SELECT d.id, %s::timestamptz, true FROM depots_depot d WHERE d.id = %s AND {_IS_LIMITED}
""")  # noqa: S608 - made of constants
# Of chargers that came or went only depots with something to keep: a limit, or profiles that were sent.
_MARK_OF_CHARGERS = f"""
    INSERT INTO bookings_powermark (depot_id, due_at, is_urgent)
    SELECT DISTINCT c.depot_id, %s::timestamptz, true
    FROM depots_charger c JOIN depots_depot d ON d.id = c.depot_id
    WHERE c.id = ANY (%s::bigint[])
      AND ({_IS_LIMITED} OR EXISTS (SELECT FROM bookings_depotpower p WHERE p.depot_id = d.id))
"""  # noqa: S608 - made of constants


def mark_depot(depot_id: int, *, due_at: datetime, is_urgent: bool = True) -> None:
    PowerMark.objects.create(depot_id=depot_id, due_at=due_at, is_urgent=is_urgent)


def mark_limited(depot_id: int, *, due_at: datetime) -> None:
    """Where anything limits the depot: asked of the database, as a process that has not read its configuration yet would read
    all of it for that. Travels with the next statement (round_trips.send)."""
    round_trips.send(_MARK_LIMITED, [due_at, depot_id])


def mark_depots_of(charger_ids: Collection[int], *, due_at: datetime) -> None:
    """Those of these chargers' depots that have something to keep; one statement."""
    with connection.cursor() as cursor:
        cursor.execute(_MARK_OF_CHARGERS, [due_at, list(charger_ids)])
