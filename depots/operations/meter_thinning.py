"""Of sessions that ended long ago a reading each quarter of an hour is enough, and what proves a price (docs/decisions/0097)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from depots import gate
from depots.models import ChargingSession
from depots.queries import TOLD_BEFORE_START

THINNED_AFTER = timedelta(days=100)
# So many sessions a transaction, some ten thousand rows; and so many of these an hour.
BATCH, MOST_BATCHES = 100, 50

# The first reading of each quarter stays and the last of all; those beside a change of what was charged for, or a signed
# value; and both sides of a register that goes back, for that is a finding.
_THIN = """
    WITH sessions AS (
        SELECT id, evse_id, started_at, ended_at FROM depots_chargingsession WHERE id = ANY(%(sessions)s::bigint[])
    ), marks AS MATERIALIZED (
        SELECT session.id AS session_id, event.at
        FROM sessions AS session JOIN depots_sessionevent AS event ON event.session_id = session.id
        WHERE event.charging_state <> ''
        UNION ALL
        SELECT session.id, state.at
        FROM sessions AS session JOIN depots_evsechargingstate AS state ON state.evse_id = session.evse_id
            AND state.at >= session.started_at - %(before)s AND state.at <= session.ended_at
        UNION ALL
        SELECT session.id, signed.at
        FROM sessions AS session JOIN depots_signedmetervalue AS signed ON signed.session_id = session.id
    ), placed AS (
        SELECT session_id, at, energy_wh,
            row_number() OVER (PARTITION BY session_id, date_bin('15 minutes', at, 'epoch') ORDER BY at) AS place,
            lag(at) OVER told AS at_before, lead(at) OVER told AS at_after,
            lag(energy_wh) OVER told AS wh_before, lead(energy_wh) OVER told AS wh_after
        FROM depots_meterreading WHERE session_id = ANY(%(sessions)s::bigint[])
        WINDOW told AS (PARTITION BY session_id ORDER BY at)
    )
    DELETE FROM depots_meterreading AS reading USING placed
    WHERE reading.session_id = placed.session_id AND reading.at = placed.at
        AND placed.place > 1 AND placed.at_after IS NOT NULL
        AND NOT coalesce(placed.energy_wh < placed.wh_before, false)
        AND NOT coalesce(placed.wh_after < placed.energy_wh, false)
        AND NOT EXISTS (
            SELECT FROM marks WHERE marks.session_id = placed.session_id
                AND marks.at > placed.at_before AND marks.at < placed.at_after
        )
"""


def thin_old_readings(*, now: datetime) -> int:
    """Thin the readings of sessions that ended 100 days ago, but of none whose record somebody may still ask about. How many
    sessions were thinned; each hundred in a transaction of its own."""
    thinned = 0
    after: tuple[datetime, int] | None = None
    for _ in range(MOST_BATCHES):
        batch = _old(after, now)
        if not batch:
            break
        thinned += _thin([pk for _, pk in batch], now)
        after = batch[-1]
    return thinned


def _old(after: tuple[datetime, int] | None, now: datetime) -> list[tuple[datetime, int]]:
    """(ended at, id) of the next that are old enough, in this order: those that are kept must not hold up the rest."""
    rows = ChargingSession.objects.filter(thinned_at=None, ended_at__lte=now - THINNED_AFTER)
    if after is not None:
        rows = rows.filter(ended_at__gte=after[0]).exclude(ended_at=after[0], pk__lte=after[1])
    return [
        (at, pk) for at, pk in rows.order_by("ended_at", "pk").values_list("ended_at", "pk")[:BATCH] if at
    ]


def _thin(session_ids: Sequence[int], now: datetime) -> int:
    with transaction.atomic():
        free = ChargingSession.objects.filter(pk__in=session_ids, thinned_at=None).order_by("pk")
        locked = list(
            free.select_for_update(no_key=True, skip_locked=True, of=("self",)).values_list("pk", flat=True)
        )
        needed = gate.needed_readings(locked)
        due = [pk for pk in locked if pk not in needed]
        if due:
            with connection.cursor() as cursor:
                told: dict[str, Any] = {"sessions": due, "before": TOLD_BEFORE_START}
                cursor.execute(_THIN, told)
            ChargingSession.objects.filter(pk__in=due).update(thinned_at=now)
    return len(due)
