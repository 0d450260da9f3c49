"""How much of a time an EVSE was in order, from the history of its states. Pure: no queries, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from depots.periods import Period


class Condition(StrEnum):
    """What an EVSE was good for. `CLOSED` is the depot's own will, `UNKNOWN` what nothing was kept of."""

    IN_ORDER = "in_order"
    FAULTED = "faulted"
    OUT_OF_SERVICE = "out_of_service"
    OFFLINE = "offline"
    CLOSED = "closed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Stretch:
    """A condition that held from `starts_at` to `ends_at`."""

    starts_at: datetime
    ends_at: datetime
    condition: Condition


# (from when on, condition) in order of time.
Changes = Sequence[tuple[datetime, Condition]]


@dataclass(frozen=True)
class Uptime:
    """Of one EVSE, or of several added up. Time in seconds; `faults` and `times_offline` began in that time, `repairs` of
    them ended in it, after `repair_s` in all."""

    in_order_s: float = 0
    faulted_s: float = 0
    out_of_service_s: float = 0
    offline_s: float = 0
    closed_s: float = 0
    faults: int = 0
    repairs: int = 0
    repair_s: float = 0
    times_offline: int = 0

    def __add__(self, other: Uptime) -> Uptime:
        mine, others = vars(self), vars(other)
        return Uptime(**{name: mine[name] + others[name] for name in mine})

    @property
    def share(self) -> float | None:
        """Of the time that is known and not closed, what it was in order; None where there is none."""
        counted = self.in_order_s + self.faulted_s + self.out_of_service_s + self.offline_s
        return self.in_order_s / counted if counted else None

    @property
    def mean_time_to_repair(self) -> timedelta | None:
        return timedelta(seconds=self.repair_s / self.repairs) if self.repairs else None


def stretches(
    within: Period,
    *,
    statuses: Changes,
    connections: Changes,
    closed: Iterable[Period] = (),
    kept: Iterable[Period] = (),
) -> list[Stretch]:
    """What an EVSE was throughout a time, joined where nothing changed. Offline hides its status, a closure both. Out of
    service while it is `kept` for a booking it is in order: it was taken out for the truck."""
    shut, held = list(closed), list(kept)
    edges = {within.starts_at, within.ends_at}
    edges |= {at for at, _ in (*statuses, *connections)}
    edges |= {edge for period in (*shut, *held) for edge in (period.starts_at, period.ends_at)}
    inside = sorted(edge for edge in edges if within.starts_at <= edge <= within.ends_at)
    status, connection = _Cursor(statuses), _Cursor(connections)
    found: list[Stretch] = []
    for start, end in pairwise(inside):
        condition = _condition(status(start), connection(start))
        if condition == Condition.OUT_OF_SERVICE and any(period.contains(start) for period in held):
            condition = Condition.IN_ORDER
        if any(period.contains(start) for period in shut):
            condition = Condition.CLOSED
        if found and found[-1].condition == condition:
            found[-1] = Stretch(found[-1].starts_at, end, condition)
        else:
            found.append(Stretch(start, end, condition))
    return found


def measure(history: Sequence[Stretch], within: Sequence[Period]) -> Uptime:
    """The figures of these times. A fault counts where it begins, a repair where it ends; what began before all that is kept
    began nowhere."""
    seconds = dict.fromkeys(Condition, 0.0)
    for stretch, period in _cut(history, within):
        seconds[stretch.condition] += period.duration.total_seconds()
    faults = list(_spells(history, Condition.FAULTED, within))
    repaired = [spell for spell in faults if spell.ends_at < history[-1].ends_at]
    return Uptime(
        in_order_s=seconds[Condition.IN_ORDER],
        faulted_s=seconds[Condition.FAULTED],
        out_of_service_s=seconds[Condition.OUT_OF_SERVICE],
        offline_s=seconds[Condition.OFFLINE],
        closed_s=seconds[Condition.CLOSED],
        faults=len(faults),
        repairs=len(repaired),
        repair_s=sum((spell.ends_at - spell.starts_at).total_seconds() for spell in repaired),
        times_offline=len(list(_spells(history, Condition.OFFLINE, within))),
    )


class _Cursor:
    """What held at moments that are asked for in order."""

    def __init__(self, changes: Changes) -> None:
        self._changes, self._next = changes, 0
        self._now = Condition.UNKNOWN

    def __call__(self, at: datetime) -> Condition:
        while self._next < len(self._changes) and self._changes[self._next][0] <= at:
            self._now = self._changes[self._next][1]
            self._next += 1
        return self._now


def _condition(status: Condition, connection: Condition) -> Condition:
    return connection if connection in {Condition.OFFLINE, Condition.UNKNOWN} else status


def _cut(history: Sequence[Stretch], within: Sequence[Period]) -> Iterator[tuple[Stretch, Period]]:
    for stretch in history:
        whole = Period(stretch.starts_at, stretch.ends_at)
        for period in within:
            if (part := whole.intersection(period)) is not None:
                yield stretch, part


def _spells(history: Sequence[Stretch], condition: Condition, within: Sequence[Period]) -> Iterator[Stretch]:
    """That began in these times, after something else that is known."""
    for before, stretch in pairwise(history):
        is_known = stretch.condition == condition and before.condition != Condition.UNKNOWN
        if is_known and any(period.contains(stretch.starts_at) for period in within):
            yield stretch
