"""Many chargers at once: what they say in the same moment is written together, in one transaction.

Each function here stands beside an operation for one charger. It takes the arguments of many calls, of different
chargers, and returns what the operation would have returned, by charger, for those it has carried out; the caller does
the others one by one. Those are the ones whose rows somebody else has locked, for nobody waits for a lock here: one
charger's long transaction holds up that charger's messages alone. And those that concern a booking, whose locks have an
order that a set of chargers could not keep (docs/decisions/0053).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Q

from depots import gate, round_trips
from depots.models import Charger, ChargerCommand, ChargingSession, Evse, EvseChargingState
from depots.operations.charger_state import QUEUED_AFTER, is_older, news_of_charging, tell_status
from depots.operations.clock_correction import corrected
from depots.operations.commands import CHANNEL
from depots.queries import LONGEST_RESERVATION
from depots.signals import (
    charger_connected,
    charger_disconnected,
    chargers_changed,
    evses_changed,
)

# The keyword arguments of one call of the operation for one charger.
Call = Mapping[str, Any]

Action = ChargerCommand.Action
State = ChargerCommand.State

# Whoever held the lease before hears that it is gone; where nobody did there is nobody to tell.
_OPEN = """
    WITH come AS (
        SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[])
            AS come (charger_id, holder, protocol, until, at)
    ), free AS (
        SELECT charger.id, charger.lease_holder <> '' AS was_held, come.*
        FROM depots_charger AS charger JOIN come ON come.charger_id = charger.id
        ORDER BY charger.id FOR NO KEY UPDATE OF charger SKIP LOCKED
    ), history AS (
        INSERT INTO depots_connectionchange (charger_id, at, is_online) SELECT id, at, true FROM free WHERE NOT was_held
    )
    UPDATE depots_charger AS charger
    SET lease_holder = free.holder, lease_until = free.until, spoken_protocol = free.protocol,
        connected_at = free.at, last_seen_at = free.at
    FROM free WHERE charger.id = free.id
    RETURNING charger.id, CASE WHEN free.was_held THEN pg_notify(%s, charger.id::text) END
"""

_BOOT = """
    WITH come AS (
        SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[])
            AS come (charger_id, vendor, model, serial_number, firmware, at)
    ), free AS (
        SELECT charger.id, come.* FROM depots_charger AS charger JOIN come ON come.charger_id = charger.id
        ORDER BY charger.id FOR NO KEY UPDATE OF charger SKIP LOCKED
    )
    UPDATE depots_charger AS charger
    SET told = CASE
            WHEN free.firmware <> '' AND charger.firmware_version <> '' AND free.firmware <> charger.firmware_version
            THEN '{}'::jsonb ELSE charger.told END,
        measured = coalesce(
            (SELECT jsonb_object_agg(key, value) FROM jsonb_each(charger.measured)
             WHERE key LIKE 'over_reboot%%'
                 OR (key = 'unsupported' AND free.firmware = charger.firmware_version)), '{}'
        ),
        vendor = free.vendor, model = free.model, serial_number = free.serial_number,
        firmware_version = free.firmware, booted_at = free.at
    FROM free WHERE charger.id = free.id
    RETURNING charger.id
"""

# Beside `note_offline`.
_CLOSE = """
    WITH gone AS (SELECT unnest(%s::bigint[]) AS charger_id), history AS (
        INSERT INTO depots_connectionchange (charger_id, at, is_online) SELECT charger_id, %s, false FROM gone
    )
    UPDATE depots_charger AS charger SET lease_holder = '', lease_until = %s
    FROM gone WHERE charger.id = gone.charger_id
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

_TELL = """
    WITH come AS (
        SELECT * FROM unnest(%s::bigint[], %s::jsonb[]) AS come (charger_id, told)
    ), free AS (
        SELECT charger.id, come.told FROM depots_charger AS charger JOIN come ON come.charger_id = charger.id
        ORDER BY charger.id FOR NO KEY UPDATE OF charger SKIP LOCKED
    )
    UPDATE depots_charger AS charger SET told = charger.told || free.told
    FROM free WHERE charger.id = free.id
    RETURNING charger.id
"""

_CLOCK = """
    WITH come AS (
        SELECT * FROM unnest(%s::bigint[], %s::float8[], %s::timestamptz[]) AS come (charger_id, offset_s, at)
    ), free AS (
        SELECT charger.id, come.* FROM depots_charger AS charger JOIN come ON come.charger_id = charger.id
        ORDER BY charger.id FOR NO KEY UPDATE OF charger SKIP LOCKED
    )
    UPDATE depots_charger AS charger SET clock_offset_s = free.offset_s, clock_seen_at = free.at
    FROM free WHERE charger.id = free.id
    RETURNING charger.id
"""


def open_connections(calls: Sequence[Call]) -> dict[int, None]:
    """Beside `open_connection`."""
    return _written(
        _OPEN,
        _column(calls, "charger_id"),
        _column(calls, "holder"),
        _column(calls, "protocol"),
        [call["now"] + call["lease"] for call in calls],
        _column(calls, "now"),
        CHANNEL,
    )


def record_boots(calls: Sequence[Call]) -> dict[int, None]:
    """Beside `record_boot`."""
    told = ("vendor", "model", "serial_number", "firmware_version")
    texts = [[call[name][:50] for call in calls] for name in told]
    return _written(_BOOT, _column(calls, "charger_id"), *texts, _column(calls, "now"))


def report_statuses(calls: Sequence[Call]) -> dict[int, bool]:
    """Beside `report_status`, for EVSEs that nobody waits for. What breaks them, or the whole charger, is left to it."""
    told = {
        (call["charger_id"], call["evse_number"]): call
        for call in calls
        if call["evse_number"] and call["status"] != Evse.Status.FAULTED
    }
    news: dict[int, bool] = {}
    befores: dict[Evse, str] = {}
    states: list[EvseChargingState] = []
    now = latest(calls)
    with round_trips.atomic():
        evses = _lock_idle_evses(
            Q(charger__in={pk for pk, _ in told}, number__in={n for _, n in told}), now=now
        )
        reported = [evse for evse in evses if (evse.charger_id, evse.number) in told]
        is_coarse = any(call.get("is_coarse") and call["status"] == Evse.Status.OCCUPIED for call in calls)
        charging = _in_session(reported) if is_coarse else set()
        for evse in reported:
            assert evse.charger is not None
            call = told[evse.charger.pk, evse.number]
            at = corrected(evse.charger, call["at"], now=call["now"])
            if state := news_of_charging(evse, call.get("charging_state", ""), at=min(at, call["now"])):
                states.append(state)
            is_past = call["now"] - at > QUEUED_AFTER and is_older(evse, at)
            news[evse.charger.pk] = not is_past and evse.told_status != call["status"]
            if not is_past:
                befores[evse] = evse.status
                _take_status(evse, call, at, is_charging=evse.pk in charging)
        _write_statuses(list(befores), states)
        for evse, before in befores.items():
            tell_status(evse, before, now, is_together=True)
        if changed := [evse for evse, before in befores.items() if evse.status != before]:
            evses_changed.send(sender=Evse, evses=changed, at=now)
    return news


def reconcile_connections(calls: Sequence[Call]) -> dict[int, None]:
    """Beside `reconcile`, for chargers that hold nothing of ours and are to hold nothing: they are asked what they can do,
    where that is not known."""
    by_charger = {call["charger_id"]: call for call in calls}
    now = latest(calls)
    with transaction.atomic():
        chargers = _lock_idle_chargers(calls, now=now)
        _ask_capabilities(
            [c for c in chargers if by_charger[c.pk]["rebooted"] or "asked_at" not in c.told], now
        )
        for charger in chargers:
            rebooted, at = by_charger[charger.pk]["rebooted"], by_charger[charger.pk]["now"]
            charger_connected.send(
                sender=Charger, charger=charger, rebooted=rebooted, is_together=True, at=at
            )
        if chargers:
            chargers_changed.send(sender=Charger, chargers=chargers, at=now)
    return dict.fromkeys(charger.pk for charger in chargers)


def close_connections(calls: Sequence[Call]) -> dict[int, None]:
    """Beside `close_connection`, for chargers that hold nothing of ours: nobody is called at risk for them."""
    now = latest(calls)
    with transaction.atomic():
        chargers = _lock_idle_chargers(calls, now=now)
        with connection.cursor() as cursor:
            cursor.execute(_CLOSE, [[charger.pk for charger in chargers], now, now])
        for charger in chargers:
            charger.lease_holder, charger.lease_until = "", now
            charger_disconnected.send(sender=Charger, charger=charger, is_together=True, at=now)
        if chargers:
            chargers_changed.send(sender=Charger, chargers=chargers, at=now)
    return dict.fromkeys(charger.pk for charger in chargers)


def record_all_capabilities(calls: Sequence[Call]) -> dict[int, None]:
    """Beside `record_capabilities`."""
    told = [json.dumps({**call["told"], "asked_at": call["now"].isoformat()}) for call in calls]
    return _written(_TELL, _column(calls, "charger_id"), told)


def record_clocks(calls: Sequence[Call]) -> dict[int, None]:
    """Beside `record_clock`."""
    seconds = [round(call["offset"].total_seconds(), 1) for call in calls]
    return _written(_CLOCK, _column(calls, "charger_id"), seconds, _column(calls, "now"))


def _column(calls: Sequence[Call], name: str) -> list[Any]:
    return [call[name] for call in calls]


def latest(calls: Sequence[Call]) -> datetime:
    return max(call["now"] for call in calls)


def _written(statement: str, *columns: Any) -> dict[int, None]:
    """The chargers whose rows a statement has written."""
    with connection.cursor() as cursor:
        cursor.execute(statement, columns)
        return dict.fromkeys(row[0] for row in cursor.fetchall())


def _lock_idle_evses(where: Q, *, now: datetime) -> list[Evse]:
    """Those of the EVSEs that are free to lock and that nobody waits for. First the locks, so that nobody begins to."""
    rows = Evse.objects.filter(where).select_related("charger").order_by("pk")
    free = list(
        rows.select_for_update(no_key=True, of=("self",), skip_locked=True).only(
            "depot_id", "number", "status", "status_at", "told_status", "error_code",
            "charger__clock_offset_s", "charger__clock_seen_at", "charger__booted_at",
        )
    )  # fmt: skip
    awaited = gate.awaited_evses([evse.pk for evse in free], now=now)
    return [evse for evse in free if evse.pk not in awaited]


def _lock_idle_chargers(calls: Sequence[Call], *, now: datetime) -> list[Charger]:
    """The chargers that hold nothing and are awaited by nobody, where the caller has the lease; with their EVSEs."""
    of_callers = Q(charger__in=[call["charger_id"] for call in calls])
    idle = {evse.pk for evse in _lock_idle_evses(of_callers, now=now)}
    all_evses = Evse.objects.filter(of_callers).order_by().values_list("pk", "charger_id")
    busy = {charger_id for evse_id, charger_id in all_evses if evse_id not in idle}
    chargers = lock_held([call for call in calls if call["charger_id"] not in busy])
    with_commands = _with_commands(chargers, now)
    return [charger for charger in chargers if charger.pk not in with_commands]


def _in_session(evses: Iterable[Evse]) -> set[int | None]:
    running = ChargingSession.objects.filter(
        evse__in=[evse.pk for evse in evses], ended_at__isnull=True, announced_at__isnull=False
    )
    return set(running.values_list("evse_id", flat=True))


def _take_status(evse: Evse, call: Call, at: datetime, *, is_charging: bool) -> None:
    evse.status = evse.told_status = call["status"]
    if call.get("is_coarse") and is_charging and evse.status == Evse.Status.OCCUPIED:
        evse.status = Evse.Status.CHARGING
    evse.error_code = call.get("error_code", "")[:50]
    # A clock that runs ahead must not make all later statuses look old.
    evse.status_at, evse.status_received_at = min(at, call["now"]), call["now"]


def _write_statuses(evses: Sequence[Evse], states: Sequence[EvseChargingState]) -> None:
    if states:
        EvseChargingState.objects.bulk_create(states)
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


def lock_held(calls: Sequence[Call]) -> list[Charger]:
    """The chargers whose lease the callers hold, as far as they are free to lock."""
    holders = {call["charger_id"]: call["holder"] for call in calls}
    rows = Charger.objects.filter(pk__in=holders).order_by("pk")
    locked = rows.select_for_update(no_key=True, skip_locked=True)
    return [charger for charger in locked if charger.lease_holder == holders[charger.pk]]


def _with_commands(chargers: Sequence[Charger], now: datetime) -> set[int]:
    """Those that may hold a reservation, or were sent something that they never answered."""
    reserving = Q(action__in=[Action.RESERVE, Action.CANCEL_RESERVATION], state=State.ANSWERED)
    since = Q(answered_at__gte=now - LONGEST_RESERVATION)
    since &= Q(charger__booted_at__isnull=True) | Q(answered_at__gte=F("charger__booted_at"))
    found = ChargerCommand.objects.filter((reserving & since) | Q(state=State.SENT), charger__in=chargers)
    return set(found.order_by().values_list("charger_id", flat=True))


def _ask_capabilities(chargers: Sequence[Charger], now: datetime) -> None:
    asked = ChargerCommand.objects.filter(
        charger__in=chargers, action=Action.ASK_CAPABILITIES, state=State.QUEUED
    )
    waiting = set(asked.order_by().values_list("charger_id", flat=True))
    ChargerCommand.objects.bulk_create(
        ChargerCommand(charger=charger, action=Action.ASK_CAPABILITIES, created_at=now)
        for charger in chargers
        if charger.pk not in waiting
    )
