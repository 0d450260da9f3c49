"""The kept history of EVSEs and their chargers, read as conditions (depots.uptime)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from depots.back_off import USUAL, back_offs
from depots.models import Charger, ConnectionChange, Evse, EvseStatusChange
from depots.uptime import Condition

CONDITION: Mapping[str, Condition] = {
    Evse.Status.AVAILABLE: Condition.IN_ORDER,
    Evse.Status.OCCUPIED: Condition.IN_ORDER,
    Evse.Status.CHARGING: Condition.IN_ORDER,
    Evse.Status.RESERVED: Condition.IN_ORDER,
    Evse.Status.UNAVAILABLE: Condition.OUT_OF_SERVICE,
    Evse.Status.FAULTED: Condition.FAULTED,
    Evse.Status.UNKNOWN: Condition.UNKNOWN,
}


@dataclass(frozen=True)
class PastStates:
    """Of one EVSE: what it told, and when its charger was connected, in order of time, from before the time asked for on."""

    statuses: list[tuple[datetime, Condition]] = field(default_factory=list)
    connections: list[tuple[datetime, Condition]] = field(default_factory=list)


def past_states(evses: Collection[Evse], *, since: datetime) -> dict[int, PastStates]:
    """By EVSE, from what held at `since` on. Four queries, five where a gateway stopped.

    A charger that is back as soon as it was told to be after its gateway stopped was not offline: that was Berth's own restart.
    """
    chargers = {evse.charger_id for evse in evses if evse.charger_id is not None}
    statuses, connections = _statuses(evses, since), _connections(chargers, since)
    return {evse.pk: PastStates(statuses[evse.pk], connections[evse.charger_id or 0]) for evse in evses}


def _statuses(evses: Collection[Evse], since: datetime) -> Mapping[int, list[tuple[datetime, Condition]]]:
    found: dict[int, list[tuple[datetime, Condition]]] = defaultdict(list)
    changes = EvseStatusChange.objects.all()
    for evse_id, at, status in _before(Evse, evses, changes, "evse", "received_at", "status", since):
        found[evse_id].append((at, CONDITION[status]))
    told = changes.filter(evse__in=evses, received_at__gte=since).order_by("id")
    for evse_id, at, status in told.values_list("evse_id", "at", "status"):
        _append(found[evse_id], at, CONDITION[status])
    return found


def _connections(
    chargers: Collection[int], since: datetime
) -> Mapping[int, list[tuple[datetime, Condition]]]:
    found: dict[int, list[tuple[datetime, Condition]]] = defaultdict(list)
    changes = ConnectionChange.objects.all()
    for charger_id, at, is_online in _before(Charger, chargers, changes, "charger", "at", "is_online", since):
        found[charger_id].append((at, _connection(is_online)))
    later = changes.filter(charger__in=chargers, at__gte=since).order_by("id")
    rows = list(later.values_list("charger_id", "at", "is_online", "is_by_gateway"))
    left = {charger_id for charger_id, *_, is_by_gateway in rows if is_by_gateway}
    own = back_offs(left) if left else {}
    stopped: dict[int, datetime] = {}
    for charger_id, at, is_online, is_by_gateway in rows:
        since_stop, within = stopped.pop(charger_id, None), own.get(charger_id, USUAL).back_within()
        if is_online and since_stop is not None and at - since_stop <= within:
            found[charger_id].pop()  # nothing but our own restart
        if is_by_gateway:
            stopped[charger_id] = at
        _append(found[charger_id], at, _connection(is_online))
    return found


def past_statuses(evse: Evse, *, since: datetime) -> list[tuple[datetime, str]]:
    """What it showed from when on, in order of time, from what held at `since` on. Two queries."""
    changes = EvseStatusChange.objects.all()
    shown = [
        (at, status)
        for _, at, status in _before(Evse, [evse], changes, "evse", "received_at", "status", since)
    ]
    later = changes.filter(evse=evse, received_at__gte=since).order_by("id")
    for at, status in later.values_list("at", "status"):
        shown.append((max(at, shown[-1][0]) if shown else at, status))
    return shown


def _before(
    owner: type[Evse] | type[Charger],
    owners: Collection[Any],
    changes: QuerySet[Any],
    name: str,
    at: str,
    value: str,
    since: datetime,
) -> list[tuple[int, datetime, Any]]:
    """The last change of each before that time, from the end of its index."""
    last = changes.filter(**{name: OuterRef("pk"), f"{at}__lt": since}).order_by(f"-{at}", "-id")
    pks = [getattr(each, "pk", each) for each in owners]
    rows = owner._default_manager.filter(pk__in=pks).annotate(was=Subquery(last.values(value)[:1]))  # noqa: SLF001
    return [(pk, since, was) for pk, was in rows.values_list("pk", "was") if was is not None]


def _append(changes: list[tuple[datetime, Condition]], at: datetime, condition: Condition) -> None:
    """What came later counts later, whatever time its charger gives it."""
    changes.append((max(at, changes[-1][0]) if changes else at, condition))


def _connection(is_online: bool) -> Condition:
    return Condition.IN_ORDER if is_online else Condition.OFFLINE
