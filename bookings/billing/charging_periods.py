"""Charging periods of a session, by its charger's register and states: what is billed, as far as it is proven.

Energy is what the register that counts has risen by, never above what it said at the end, never what a register that went
back or leapt would have it, and never more than the EVSE can give. Parking is time in which the charger says that the vehicle
asks for no power. Where nothing is said everything is charging: low power is no proof that the vehicle wanted none
(docs/decisions/0067).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from bookings.billing.flags import LEAP, NO_CLOCK, notable
from bookings.pricing.visits import ChargingPeriod, SessionUse, whole_second
from depots.models import ChargingSession, ChargingState
from depots.queries import charging_states

# A session is cut into about so many periods at most, none for less than a minute of meter values.
MOST_PERIODS = 100
SHORTEST = timedelta(minutes=1)
# As much more than its power may an EVSE give in a short time, and so much may a register be coarse by.
POWER_TOLERANCE = Decimal("1.1")
COARSE_WH = 1000
# What flows cannot be less than this (a vehicle that asks for nothing may draw some for itself).
FLOWS_W = 1000


class Register(NamedTuple):
    """What the meter told at a moment, in Wh."""

    at: datetime
    wh: int


class StateFrom(NamedTuple):
    at: datetime
    state: str


@dataclass(frozen=True)
class SessionFacts:
    """What a charger told of one session. `ends_at` None: it runs. `registers` are its meter values in order of time."""

    starts_at: datetime
    ends_at: datetime | None
    start_wh: int | None
    stop_wh: int | None
    registers: Sequence[Register] = ()
    states: Sequence[StateFrom] = ()
    flags: Sequence[str] = ()
    max_power_w: int | None = None


@dataclass(frozen=True)
class MeteredUse:
    """`use` is what is priced. `flags` (bookings.billing.flags) say what a person should look at; `has_clock` is false where
    the charger told no time, so that nothing can follow from when it ended."""

    use: SessionUse
    energy_wh: int
    charging_s: int
    parking_s: int
    flags: tuple[str, ...] = ()
    has_clock: bool = True

    @property
    def starts_at(self) -> datetime:
        return self.use.periods[0].starts_at

    @property
    def ends_at(self) -> datetime:
        return self.use.ends_at


def metered_use(session: ChargingSession, *, now: datetime) -> MeteredUse:
    """Of a session that has ended, or of one that runs until `now`; in three queries."""
    rows = session.readings.filter(energy_wh__isnull=False).order_by("at")
    return measure(
        SessionFacts(
            starts_at=session.started_at,
            ends_at=session.ended_at,
            start_wh=session.meter_start_wh,
            stop_wh=session.meter_stop_wh,
            registers=[Register(at, wh) for at, wh in rows.values_list("at", "energy_wh") if wh is not None],
            states=[StateFrom(*told) for told in charging_states(session)],
            flags=session.flags,
            max_power_w=session.evse.max_power_w if session.evse is not None else None,
        ),
        now=now,
    )


def measure(facts: SessionFacts, *, now: datetime) -> MeteredUse:
    """The same by facts at hand; values in, values out."""
    flags = list(facts.flags)
    has_clock = NO_CLOCK.isdisjoint(flags)
    begin, end = whole_second(facts.starts_at), whole_second(_proven_end(facts, now))
    end = max(begin, end)
    proven, is_odd = _believed(facts, begin, end, has_clock=has_clock)
    slices = _merged(_sliced(_thinned(proven, begin, end), facts, begin, end, has_clock=has_clock))
    if is_odd:
        flags.append(LEAP)
    periods = tuple(each.period() for each in slices)
    return MeteredUse(
        use=SessionUse(periods, end),
        energy_wh=sum(each.energy_wh for each in slices),
        charging_s=sum(each.seconds for each in slices if each.kind == _CHARGING),
        parking_s=sum(each.seconds for each in slices if each.kind == _PARKING),
        flags=notable(flags),
        has_clock=has_clock,
    )


_CHARGING, _PARKING, _NEITHER = "charging", "parking", "neither"
_WAITS, _DONE = "waits", "done"


@dataclass
class _Slice:
    """Between two cuts; `kind` is what it is billed as."""

    starts_at: datetime
    ends_at: datetime
    kind: str
    energy_wh: int = 0

    @property
    def seconds(self) -> int:
        return int((self.ends_at - self.starts_at).total_seconds())

    def period(self) -> ChargingPeriod:
        parking = self.seconds if self.kind == _PARKING else None
        charging = self.seconds if self.kind == _CHARGING else 0 if self.kind == _NEITHER else None
        energy = Decimal(self.energy_wh) / 1000
        return ChargingPeriod(self.starts_at, energy_kwh=energy, charging_s=charging, parking_s=parking)


@dataclass
class _Segment:
    """Between two registers that are believed."""

    starts_at: datetime
    ends_at: datetime
    rise_wh: int
    slices: list[_Slice] = field(default_factory=list)


def _proven_end(facts: SessionFacts, now: datetime) -> datetime:
    """Without a stop the end is somebody's guess: what the charger told last is proof that it was still there."""
    if facts.ends_at is None:
        return now
    if "no_stop" not in facts.flags:
        return facts.ends_at
    told = [each.at for each in facts.registers] + [each.at for each in facts.states]
    return max((at for at in told if at <= facts.ends_at), default=facts.starts_at)


def _believed(
    facts: SessionFacts, begin: datetime, end: datetime, *, has_clock: bool
) -> tuple[list[Register], bool]:
    """The registers from begin to end that energy is counted by, both included, and whether any was left out."""
    told = [Register(whole_second(each.at), each.wh) for each in facts.registers]
    start_wh = facts.start_wh if facts.start_wh is not None else next((each.wh for each in told), None)
    if start_wh is None:
        return [Register(begin, 0), Register(end, 0)], False
    first, is_odd = Register(begin, start_wh), False
    power_w = facts.max_power_w if has_clock else None
    stop = Register(end, facts.stop_wh) if facts.stop_wh is not None else None
    if stop is not None and not _follows(stop, first, power_w):
        stop, is_odd = None, True
    believed = [first]
    for each in told:
        if not begin < each.at < end and not (stop is None and each.at == end):
            continue
        if _follows(each, believed[-1], power_w) and (stop is None or each.wh <= stop.wh):
            believed.append(each)
        else:
            is_odd = True
    last = stop or Register(end, believed[-1].wh)
    return [*(each for each in believed if each.at < end or each is first), last], is_odd


def _follows(register: Register, before: Register, power_w: int | None) -> bool:
    """It went up, by no more than the EVSE can have given since."""
    rise = register.wh - before.wh
    if rise < 0 or power_w is None:
        return rise >= 0
    return rise <= _most_wh(power_w, (register.at - before.at).total_seconds())


def _most_wh(power_w: int, seconds: float) -> Decimal:
    return POWER_TOLERANCE * power_w * Decimal(seconds) / 3600 + COARSE_WH


def _thinned(registers: list[Register], begin: datetime, end: datetime) -> list[Register]:
    """Those at which the session is cut: the first, the last, and what lies far enough from the one before."""
    apart = max(SHORTEST, (end - begin) / MOST_PERIODS)
    kept = [registers[0]]
    for each in registers[1:-1]:
        if each.at - kept[-1].at >= apart and end - each.at >= apart:
            kept.append(each)
    return [*kept, registers[-1]]


def _sliced(
    registers: list[Register], facts: SessionFacts, begin: datetime, end: datetime, *, has_clock: bool
) -> list[_Slice]:
    states = list(_states(facts, begin, end))
    has_charged = False
    found: list[_Slice] = []
    for before, after in pairwise(registers):
        segment = _Segment(before.at, after.at, after.wh - before.wh)
        segment.slices = _cut(segment, states)
        _spread(segment, facts.max_power_w)
        for each in segment.slices:
            has_charged = has_charged or each.kind == _CHARGING
            if each.kind == _DONE:
                each.kind = _PARKING if has_charged else _NEITHER
            if each.kind == _WAITS or (each.kind == _PARKING and not has_clock):
                each.kind = _NEITHER
        found += segment.slices
    return found


# What a state is billed as, where the meter does not say that energy flows. `_DONE`: only after it has charged.
_KIND = {
    ChargingState.CHARGING: _CHARGING,
    ChargingState.NO_OFFER: _CHARGING,
    ChargingState.NO_DEMAND: _PARKING,
    ChargingState.PLUGGED: _DONE,
    ChargingState.UNPLUGGED: _NEITHER,
    ChargingState.OUT_OF_ORDER: _NEITHER,
}


def _states(facts: SessionFacts, begin: datetime, end: datetime) -> Iterator[tuple[datetime, str]]:
    """(from, kind) in order of time, the first of them from the beginning."""
    kind, at = _CHARGING, begin
    for told in facts.states:
        moment = whole_second(told.at)
        if moment >= end:
            break
        if moment > at:
            yield at, kind
            at = moment
        kind = _KIND[ChargingState(told.state)]
    yield at, kind


def _cut(segment: _Segment, states: list[tuple[datetime, str]]) -> list[_Slice]:
    slices = []
    ends = [at for at, _ in states[1:]] + [segment.ends_at]
    for (begin, kind), end in zip(states, ends, strict=True):
        starts_at, ends_at = max(begin, segment.starts_at), min(end, segment.ends_at)
        if starts_at < ends_at:
            slices.append(_Slice(starts_at, ends_at, kind))
    return slices or [_Slice(segment.starts_at, segment.ends_at, _CHARGING)]


def _spread(segment: _Segment, power_w: int | None) -> None:
    """Give the energy to the time it can have flowed in. More than could flow there, or a flow where there should be none,
    shows that a state was not told: then all of it is charging."""
    charging = [each for each in segment.slices if each.kind == _CHARGING]
    seconds = sum(each.seconds for each in charging)
    others = sum(each.seconds for each in segment.slices) - seconds
    if charging:
        is_contradicted = power_w is not None and segment.rise_wh > _most_wh(power_w, seconds)
    else:
        is_contradicted = segment.rise_wh * 3600 >= FLOWS_W * others > 0
    if is_contradicted:
        for each in segment.slices:
            each.kind = _CHARGING
    into = segment.slices if is_contradicted or not charging else charging
    left, weight = segment.rise_wh, sum(each.seconds for each in into)
    for each in into:
        share = left * each.seconds // weight if weight else left
        each.energy_wh, left, weight = share, left - share, weight - each.seconds


def _merged(slices: list[_Slice]) -> list[_Slice]:
    """Time in which nothing flows needs no cuts."""
    merged = slices[:1]
    for each in slices[1:]:
        last = merged[-1]
        if last.seconds == 0 or (each.kind == last.kind and not (each.energy_wh or last.energy_wh)):
            last.ends_at, last.energy_wh = each.ends_at, last.energy_wh + each.energy_wh
            last.kind = each.kind
        else:
            merged.append(each)
    return merged
