"""The plan of a depot's power: made when something changed, and every few seconds while somebody charges behind a limit.

Any number of workers may plan: each depot's row is its lock. What is decided and the commands that tell it are one transaction;
what a charger answers comes back by `profile_answers`, which marks the depot again, until what stands is what is wanted.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db import connection, transaction

from bookings.core import power_marks
from bookings.models import ChargingProfile, DepotPower, EvsePower
from bookings.smart_charging import customer_limits, demand, depot_state, profile_commands
from bookings.smart_charging.changed_rows import write_columns
from bookings.smart_charging.depot_state import DepotState, EvseState
from bookings.smart_charging.profile_answers import exceeds
from depots import operations as depots

logger = logging.getLogger(__name__)

# Meters tell of what is not taken; nobody is told of each of their samples.
AGAIN_AFTER = timedelta(seconds=15)
# Answers of many chargers come one after the other: a plan for all of them, not one for each.
PAUSE = timedelta(seconds=2)
# Nothing that was missed stays so.
AT_LEAST_EVERY = timedelta(minutes=5)
# A limit that is to come is kept a little before.
AHEAD = timedelta(seconds=15)
# A charger that has not followed what it accepted by then does not keep to it.
OBEYS_WITHIN = timedelta(seconds=30)
AT_ONCE = 200
POWER_COLUMNS = {
    "share_w": "bigint", "promised_w": "bigint", "counted_w": "bigint", "cap_w": "bigint", "why": "text",
    "short_since": "timestamptz",
}  # fmt: skip

_DUE = """
    SELECT m.depot_id FROM bookings_powermark m LEFT JOIN bookings_depotpower p ON p.depot_id = m.depot_id
    WHERE m.due_at <= %(now)s
        AND (m.is_urgent OR p.planned_at IS NULL OR p.planned_at <= %(rested_since)s)
    UNION
    SELECT depot_id FROM bookings_depotpower WHERE next_at <= %(now)s
    ORDER BY depot_id LIMIT %(most)s
"""
_TAKE = """
    DELETE FROM bookings_powermark WHERE id = ANY (ARRAY(
        SELECT id FROM bookings_powermark WHERE depot_id = %s AND due_at <= %s FOR UPDATE SKIP LOCKED
    ))
"""


def plan_due(*, now: datetime) -> int:
    """Plan every depot that is due. How many were planned."""
    planned = 0
    for depot_id in _due(now):
        try:
            planned += plan_depot(depot_id=depot_id, now=now)
        except Exception:
            logger.exception("The power of depot %s could not be planned; it is tried again", depot_id)
    return planned


def plan_depot(*, depot_id: int, now: datetime) -> bool:
    """Share out the depot's power and tell its chargers what may be told now. False where somebody is just doing so."""
    ignoring: list[int] = []
    with transaction.atomic():
        DepotPower.objects.bulk_create([DepotPower(depot_id=depot_id)], ignore_conflicts=True)
        row = DepotPower.objects.select_for_update(skip_locked=True).filter(depot=depot_id).first()
        if row is None:
            return False
        with connection.cursor() as cursor:
            cursor.execute(_TAKE, [depot_id, now])
        depot = depot_state.read(depot_id, now=now, ahead=now + AHEAD)
        before = _columns(depot)
        demand.share_out(depot, now=now)
        profile_commands.tell(depot, now=now)
        _write(row, depot, before, now)
        customer_limits.follow(depot.states.values(), now=now)
        ignoring = [charger_id for state in depot.states.values() if (charger_id := _ignoring(state))]
    for charger_id in ignoring:  # by itself: who locks a charger may wait for these rows
        depots.record_measured(charger_id=charger_id, profiles="ignores", profiles_at=now.isoformat())
        power_marks.mark_depot(depot_id, due_at=now)
    return True


def _due(now: datetime) -> list[int]:
    """Marked urgently, or marked and not planned just now, or due by itself."""
    with connection.cursor() as cursor:
        cursor.execute(_DUE, {"now": now, "rested_since": now - PAUSE, "most": AT_ONCE})
        return [depot_id for (depot_id,) in cursor.fetchall()]


def _ignoring(state: EvseState) -> int | None:
    """The charger whose meter shows more than it was told, once it has had time to follow."""
    session, accepted_at = state.session, state.tx.accepted_at
    if (
        session is None
        or session.power_w is None
        or not state.is_tellable
        or state.standing_w(state.tx) is None
    ):
        return None
    if accepted_at is None or session.figures_told_at is None or state.tx.on_its_way() is not None:
        return None
    has_followed = session.figures_told_at - accepted_at >= OBEYS_WITHIN
    return session.charger_id if has_followed and exceeds(session.power_w, state.told_w()) else None


def _columns(depot: DepotState) -> dict[EvsePower | ChargingProfile, list[Any]]:
    """What stands in the rows, to write those alone that change."""
    found: dict[EvsePower | ChargingProfile, list[Any]] = {}
    for state in depot.states.values():
        found[state.power] = [getattr(state.power, name) for name in POWER_COLUMNS]
        for profile in (state.tx, state.tx_default):
            found[profile] = [getattr(profile, name) for name in profile_commands.COLUMNS]
    return found


def _write(
    row: DepotPower, depot: DepotState, before: dict[EvsePower | ChargingProfile, list[Any]], now: datetime
) -> None:
    begun = []
    for state in depot.states.values():
        state.power.counted_w = state.counted_w()
        if _note_short(state, row.planned_at, now):
            begun.append(state.evse_id)
    if begun:  # what was told there is of a shortage before
        EvsePower.objects.filter(pk__in=begun).update(short_told_w=None)
    changed = {one for one, columns in _columns(depot).items() if columns != before[one]}
    powers = (one for one in changed if isinstance(one, EvsePower))
    write_columns("bookings_evsepower", "evse_id", powers, POWER_COLUMNS)
    profiles = (one for one in changed if isinstance(one, ChargingProfile))
    write_columns("bookings_chargingprofile", "id", profiles, profile_commands.COLUMNS)
    row.limit_w = depot.whole_limit_w()
    row.counted_w = sum(state.power.counted_w for state in depot.states.values())
    row.planned_at = now
    row.next_at = _next_at(depot, now)
    row.save()


def _note_short(state: EvseState, planned_at: datetime | None, now: datetime) -> bool:
    """From when on less than its promise was there for a truck that charges, or whose slot has begun; `planned_at`: last.
    Whether a shortage begins now, be it after that of another booking."""
    power, begun_at = state.power, _begun_at(state)
    if begun_at is None or now < begun_at or not state.is_short:
        power.short_since = None
        return False
    if power.short_since is not None and power.short_since >= begun_at:
        return False
    power.short_since = _short_from(state, planned_at, now)
    return True


def _short_from(state: EvseState, planned_at: datetime | None, now: datetime) -> datetime:
    """A session that the last plan did not know has had less from its first moment on, not only since it is noticed."""
    session = state.session
    if session is None or (planned_at is not None and session.started_at <= planned_at):
        return now
    return min(session.started_at, now)


def _begun_at(state: EvseState) -> datetime | None:
    """From when on a booking has its promise here. An awaited truck is kept off by a charger that is away, not by its power."""
    if state.booking is None:
        return None
    if state.session is None:
        return state.booking.starts_at if state.is_tellable else None
    visit = getattr(state.session, "visit", None)
    is_its_own = visit is not None and visit.booking_id == state.booking.pk
    return min(state.session.started_at, state.booking.starts_at) if is_its_own else state.booking.starts_at


def _next_at(depot: DepotState, now: datetime) -> datetime | None:
    """While somebody charges behind a limit, while something is on its way, and when a limit from outside begins or ends."""
    moments = [
        moment - (AHEAD if moment - AHEAD > now else timedelta())
        for limit in depot.configuration.limits
        for moment, _ in limit.steps
        if moment > now
    ]
    if depot.next_rise is not None:
        moments.append(depot.next_rise - depot_state.READY_BEFORE)
    for state in depot.states.values():
        if state.customer_limit is not None:
            moments += islice(state.customer_limit.changes(now), 1)
    is_under_way = any(
        (state.session is not None and depot.limits)
        or state.tx.on_its_way() is not None
        or state.tx_default.on_its_way() is not None
        for state in depot.states.values()
    )
    if is_under_way:
        moments.append(now + AGAIN_AFTER)
    elif depot.limits:
        moments.append(now + AT_LEAST_EVERY)
    return min(moments, default=None)
