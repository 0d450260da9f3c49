"""Many chargers at once: what they say in the same moment is written together, in one transaction.

Each function here stands beside an operation for one charger. It takes the arguments of many calls, of different
chargers, and returns what the operation would have returned, by charger, for those it has carried out; the caller does
the others one by one. Those are the ones whose rows somebody else has locked, for nobody waits for a lock here: one
charger's long transaction holds up that charger's messages alone. And those from which more follows for a booking than who
hears of them can write for many: it may be moved to another EVSE, in an order of locks that a set of chargers could not
keep (docs/decisions/0053, 0099).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from depots import round_trips
from depots.many_rows import insert_many
from depots.models import Charger, ChargerCommand, Evse
from depots.operations.commands import CHANNEL
from depots.signals import (
    charger_connected,
    charger_disconnected,
    chargers_changed,
    chargers_connected,
    chargers_disconnected,
    chargers_first_connected,
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
        SELECT charger.id, charger.lease_holder <> '' AS was_held, charger.connected_at IS NULL AS is_new, come.*
        FROM depots_charger AS charger JOIN come ON come.charger_id = charger.id
        ORDER BY charger.id FOR NO KEY UPDATE OF charger SKIP LOCKED
    ), history AS (
        INSERT INTO depots_connectionchange (charger_id, at, is_online) SELECT id, at, true FROM free WHERE NOT was_held
    )
    UPDATE depots_charger AS charger
    SET lease_holder = free.holder, lease_until = free.until, spoken_protocol = free.protocol,
        connected_at = free.at, last_seen_at = free.at
    FROM free WHERE charger.id = free.id
    RETURNING charger.id, free.is_new, CASE WHEN free.was_held THEN pg_notify(%s, charger.id::text) END
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
    WITH gone AS (
        SELECT * FROM unnest(%s::bigint[], %s::timestamptz[], %s::boolean[]) AS gone (charger_id, at, is_by_gateway)
    ), history AS (
        INSERT INTO depots_connectionchange (charger_id, at, is_online, is_by_gateway)
        SELECT charger_id, at, false, is_by_gateway FROM gone
    )
    UPDATE depots_charger AS charger SET lease_holder = '', lease_until = %s
    FROM gone WHERE charger.id = gone.charger_id
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
    until = [call["now"] + call["lease"] for call in calls]
    told = [_column(calls, name) for name in ("charger_id", "holder", "protocol")]
    with round_trips.atomic(), connection.cursor() as cursor:
        cursor.execute(_OPEN, [*told, until, _column(calls, "now"), CHANNEL])
        is_new = {charger_id: new for charger_id, new, _ in cursor.fetchall()}
        if new := [charger_id for charger_id in is_new if is_new[charger_id]]:
            chargers_first_connected.send(sender=Charger, charger_ids=new, at=latest(calls))
    return dict.fromkeys(is_new)


def record_boots(calls: Sequence[Call]) -> dict[int, None]:
    """Beside `record_boot`."""
    told = ("vendor", "model", "serial_number", "firmware_version")
    texts = [[call[name][:50] for call in calls] for name in told]
    return _written(_BOOT, _column(calls, "charger_id"), *texts, _column(calls, "now"))


def reconcile_connections(calls: Sequence[Call]) -> dict[int, None]:
    """Beside `reconcile`, for chargers that were sent nothing which they never answered. What is to stand there again is said by
    who hears `chargers_connected`."""
    by_charger = {call["charger_id"]: call for call in calls}
    now = latest(calls)
    with round_trips.atomic():
        rebooted = {charger: by_charger[charger.pk]["rebooted"] for charger in _lock_settled(calls)}
        told = chargers_connected.send(sender=Charger, rebooted=rebooted, at=now) if rebooted else []
        chargers = _but_left(rebooted, told)
        _ask_capabilities([c for c in chargers if rebooted[c] or "asked_at" not in c.told], now)
        for charger in chargers:
            charger_connected.send(
                sender=Charger, charger=charger, rebooted=rebooted[charger], is_together=True, at=now
            )
        if chargers:
            chargers_changed.send(sender=Charger, chargers=chargers, at=now)
    return dict.fromkeys(charger.pk for charger in chargers)


def close_connections(calls: Sequence[Call]) -> dict[int, None]:
    """Beside `close_connection`, for chargers that were sent nothing which they never answered."""
    with round_trips.atomic():
        by_gateway = {call["charger_id"] for call in calls if call.get("is_by_gateway")}
        ended = end_leases(_lock_settled(calls), by_gateway=by_gateway, now=latest(calls))
        return dict.fromkeys(charger.pk for charger in ended)


def end_leases(chargers: Sequence[Charger], *, by_gateway: Collection[int], now: datetime) -> list[Charger]:
    """Those of the chargers, which are locked with their EVSEs, that are offline now; the others there is more to.
    `by_gateway`: the ids of those that did not go by themselves."""
    told = chargers_disconnected.send(sender=Charger, chargers=chargers, at=now) if chargers else []
    gone = _but_left(chargers, told)
    if not gone:
        return gone
    ends = [min(now, c.lease_until or now) for c in gone]
    round_trips.send(_CLOSE, [[c.pk for c in gone], ends, [c.pk in by_gateway for c in gone], now])
    for charger in gone:
        charger.lease_holder, charger.lease_until = "", now
        charger_disconnected.send(sender=Charger, charger=charger, is_together=True, at=now)
    chargers_changed.send(sender=Charger, chargers=gone, at=now)
    return gone


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


def _lock_settled(calls: Sequence[Call]) -> list[Charger]:
    """Chargers whose lease the callers hold and that have answered all they were sent, locked with their EVSEs."""
    holders = {call["charger_id"]: call["holder"] for call in calls}
    return without_sent(c for c in lock_with_evses(holders) if c.lease_holder == holders[c.pk])


def lock_with_evses(charger_ids: Collection[int]) -> list[Charger]:
    """Chargers that are free to lock, all of their EVSEs before them."""
    evses = Evse.objects.filter(charger__in=set(charger_ids))
    free = evses.select_for_update(no_key=True, of=("self",), skip_locked=True).order_by("pk")
    locked = set(free.values_list("pk", flat=True))
    all_evses = evses.order_by().values_list("pk", "charger_id")
    busy = {charger_id for pk, charger_id in all_evses if pk not in locked}
    rows = Charger.objects.filter(pk__in=set(charger_ids) - busy).order_by("pk")
    return list(rows.select_for_update(no_key=True, skip_locked=True))


def without_sent(chargers: Iterable[Charger]) -> list[Charger]:
    """Those that were sent nothing whose answer is open."""
    by_id = {charger.pk: charger for charger in chargers}
    sent = ChargerCommand.objects.filter(charger__in=by_id, state=State.SENT).order_by()
    asked = set(sent.values_list("charger_id", flat=True))
    return [charger for charger in by_id.values() if charger.pk not in asked]


def _but_left(chargers: Iterable[Charger], told: Sequence[tuple[Any, Any]]) -> list[Charger]:
    """Without those that a receiver has to be told of one by one."""
    left = {charger_id for _, ids in told for charger_id in ids}
    return [charger for charger in chargers if charger.pk not in left]


def lock_held(calls: Sequence[Call]) -> list[Charger]:
    """The chargers whose lease the callers hold, as far as they are free to lock."""
    holders = {call["charger_id"]: call["holder"] for call in calls}
    rows = Charger.objects.filter(pk__in=holders).order_by("pk")
    locked = rows.select_for_update(no_key=True, skip_locked=True)
    return [charger for charger in locked if charger.lease_holder == holders[charger.pk]]


def _ask_capabilities(chargers: Sequence[Charger], now: datetime) -> None:
    asked = ChargerCommand.objects.filter(
        charger__in=chargers, action=Action.ASK_CAPABILITIES, state=State.QUEUED
    )
    waiting = set(asked.order_by().values_list("charger_id", flat=True))
    insert_many(
        [
            ChargerCommand(charger=charger, action=Action.ASK_CAPABILITIES, created_at=now)
            for charger in chargers
            if charger.pk not in waiting
        ]
    )
