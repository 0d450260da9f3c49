"""Statuses of many EVSEs at once, written together.

As in connections_at_once.py, which also says what is left to the operation for one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from depots import gate, round_trips
from depots.models import Charger, ChargingSession, Evse, EvseChargingState
from depots.models.chargers import LARGEST_EVSE_NUMBER
from depots.operations.charger_state import QUEUED_AFTER, is_older, news_of_charging, tell_status
from depots.operations.clock_correction import corrected
from depots.operations.connections_at_once import Call, latest
from depots.signals import evses_changed, statuses_told

# In the order in which the models declare them: `from_db` takes values by it.
_EVSE_FIELDS = (
    "id", "depot_id", "charger_id", "number", "status", "status_at", "told_status", "error_code", "kept_for",
)  # fmt: skip
_CHARGER_FIELDS = ("id", "booted_at", "clock_offset_s", "clock_seen_at")

# By hand, for it is among the hottest: most of what chargers say all day long is a status that is known already.
_LOCK = """
    SELECT evse.id, evse.depot_id, evse.charger_id, evse.number, evse.status, evse.status_at, evse.told_status,
        evse.error_code, evse.kept_for, charger.id, charger.booted_at, charger.clock_offset_s, charger.clock_seen_at
    FROM unnest(%s::bigint[], %s::smallint[]) AS told (charger_id, number)
    JOIN depots_evse AS evse ON evse.charger_id = told.charger_id AND evse.number = told.number
    JOIN depots_charger AS charger ON charger.id = evse.charger_id
    ORDER BY evse.id FOR NO KEY UPDATE OF evse SKIP LOCKED
"""

# Beside `note_status`: what changes is kept by the same statement.
_STATUS = """
    WITH told AS (
        SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[])
            AS told (evse_id, status, told_status, error_code, at, received_at)
    ), history AS (
        INSERT INTO depots_evsestatuschange (evse_id, at, received_at, status, error_code)
        SELECT told.evse_id, told.at, told.received_at, told.status, told.error_code
        FROM told JOIN depots_evse AS evse ON evse.id = told.evse_id
        WHERE evse.status <> told.status
    )
    UPDATE depots_evse AS evse
    SET status = told.status, told_status = told.told_status, error_code = told.error_code, status_at = told.at,
        status_received_at = told.received_at, updated_at = now()
    FROM told WHERE evse.id = told.evse_id
"""


def report_statuses(calls: Sequence[Call]) -> dict[int, bool]:
    """Beside `report_status`. What breaks EVSEs, or the whole charger, is left to it, and so are those EVSEs of which who hears
    `statuses_told` says that more follows."""
    told = {
        (call["charger_id"], call["evse_number"]): call
        for call in calls
        if 0 < call["evse_number"] <= LARGEST_EVSE_NUMBER and call["status"] != Evse.Status.FAULTED
    }
    now = latest(calls)
    with round_trips.atomic():
        evses = _lock_evses(told)
        is_coarse = any(call.get("is_coarse") and call["status"] == Evse.Status.OCCUPIED for call in calls)
        charging = _in_session(evses) if is_coarse else set()
        taken = [_Taken(evse, told[evse.charger_id, evse.number], evse.pk in charging) for evse in evses]
        left = _left(taken, now)
        taken = [each for each in taken if each.evse.pk not in left]
        _write_statuses([each.evse for each in taken if not each.is_past])
        if states := [each.state for each in taken if each.state is not None]:
            EvseChargingState.objects.bulk_create(states)
        changed = [each for each in taken if each.evse.status != each.before]
        for each in changed:
            tell_status(each.evse, each.before, now, is_together=True)
        if changed:
            evses_changed.send(sender=Evse, evses=[each.evse for each in changed], at=now)
    return {each.charger_id: each.is_news for each in taken}


class _Taken:
    """A status as its EVSE shows it now, not written yet; one that waited in the charger's queue (`is_past`) it does not show."""

    __slots__ = ("before", "charger_id", "evse", "is_news", "is_past", "state")

    def __init__(self, evse: Evse, call: Call, is_charging: bool) -> None:
        assert evse.charger is not None
        now, status = call["now"], call["status"]
        at = corrected(evse.charger, call["at"], now=now)
        self.evse, self.charger_id, self.before = evse, evse.charger.pk, evse.status
        self.state = news_of_charging(evse, call.get("charging_state", ""), at=min(at, now))
        self.is_past = now - at > QUEUED_AFTER and is_older(evse, at)
        self.is_news = not self.is_past and evse.told_status != status
        if self.is_past:
            return
        evse.status = evse.told_status = status
        if call.get("is_coarse") and is_charging and status == Evse.Status.OCCUPIED:
            evse.status = Evse.Status.CHARGING
        evse.error_code = call.get("error_code", "")[:50]
        # A clock that runs ahead must not make all later statuses look old.
        evse.status_at, evse.status_received_at = min(at, now), now


def _lock_evses(told: Collection[tuple[int, int]]) -> list[Evse]:
    """Those that are free to lock, with what is read here of them and of their chargers."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [[pk for pk, _ in told], [number for _, number in told]])
        rows = cursor.fetchall()
    evses = []
    for row in rows:
        evse = Evse.from_db(connection.alias, _EVSE_FIELDS, row[: len(_EVSE_FIELDS)])
        evse.charger = Charger.from_db(connection.alias, _CHARGER_FIELDS, row[len(_EVSE_FIELDS) :])
        evses.append(evse)
    return evses


def _left(taken: Iterable[_Taken], now: datetime) -> set[int]:
    """EVSEs of which somebody has to be told one by one. They are locked, so that nobody begins to wait for them."""
    told = {each.evse.pk: each for each in taken if not each.is_past}
    awaited = gate.awaited_evses(list(told), now=now)
    if not awaited:
        return set()
    befores = {told[pk].evse: told[pk].before for pk in awaited}
    answers: list[tuple[Any, Any]] = statuses_told.send(sender=Evse, befores=befores, at=now)
    return {evse_id for _, ids in answers for evse_id in ids}


def _write_statuses(evses: Sequence[Evse]) -> None:
    if not evses:
        return
    columns: list[Any] = [
        [evse.pk for evse in evses],
        [str(evse.status) for evse in evses],
        [str(evse.told_status) for evse in evses],
        [evse.error_code for evse in evses],
        [evse.status_at for evse in evses],
        [evse.status_received_at for evse in evses],
    ]
    round_trips.send(_STATUS, columns)


def _in_session(evses: Iterable[Evse]) -> set[int | None]:
    running = ChargingSession.objects.filter(
        evse__in=[evse.pk for evse in evses], ended_at__isnull=True, announced_at__isnull=False
    )
    return set(running.values_list("evse_id", flat=True))
