"""How free time is cut into the timeslots of an offer (docs/integrators/ocpi.md): they never overlap, lie on the step, are
at least as long as the shortest booking, and each says what is promised in it without a wish and at most with one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from bookings.rules import periods
from bookings.rules.configuration import Site
from bookings.rules.power_profile import Power
from bookings.rules.terms import Terms
from depots.models import Depot
from depots.periods import Period

# What an EVSE can be promised at each moment it is free: (since when, what); the first from before all time on.
Pieces = Sequence[tuple[datetime | None, Power]]


@dataclass(frozen=True)
class Timeslot:
    """Time in which any period on the step can be booked, at no less than `min_power_w` and no more than `max_power_w`."""

    period: Period
    min_power_w: int
    max_power_w: int

    @property
    def power(self) -> Power:
        return Power(self.min_power_w, self.max_power_w)


# Timeslots that follow one another without a gap: one EVSE's unbroken time.
Run = list[Timeslot]


def with_power(span: Period, free: Period, pieces: Pieces, terms: Terms, depot: Depot | Site) -> list[Run]:
    """A bookable span of an EVSE, cut where its power changes; what not even a least is left for is left out.

    `free` is the gap it lies in. A booking also occupies early start and tail, so a stretch of time bounds every slot whose
    widened span it touches.
    """
    windows = _windows(span, free, pieces, terms, depot)
    borders = sorted({border for starts_at, ends_at, _ in windows for border in (starts_at, ends_at)})
    runs: list[Run] = [[]]
    first = 0
    for starts_at, ends_at in pairwise(borders):
        while windows[first][1] <= starts_at:
            first += 1
        power = windows[first][2]
        for other in windows[first + 1 :]:
            if other[0] > starts_at:
                break
            power = power.lower(other[2])
        if power.default_w <= 0:
            runs.append([])
        else:
            _append(runs[-1], Period(starts_at, ends_at), _bounded(power, terms))
    shortest = timedelta(minutes=terms.min_duration_min)
    long_enough = [run for run in runs if run and whole(run).duration >= shortest]
    return [merged(run, shortest) for run in long_enough]


def whole(run: Run) -> Period:
    return Period(run[0].period.starts_at, run[-1].period.ends_at)


def merged(run: Run, shortest: timedelta) -> Run:
    """No timeslot shorter than the shortest booking: a shorter one is joined to the neighbour with which less is lost."""
    slots = list(run)
    while len(slots) > 1:
        short = next((n for n, slot in enumerate(slots) if slot.period.duration < shortest), None)
        if short is None:
            break
        pairs = [n for n in (short - 1, short) if 0 <= n < len(slots) - 1]
        n = min(pairs, key=lambda n: _loss(slots[n], slots[n + 1]))
        slots[n : n + 2] = [_joined(slots[n], slots[n + 1])]
    return slots


def pooled(evses: Sequence[Sequence[Run]], terms: Terms, depot: Depot | Site) -> list[Timeslot]:
    """The timeslots of an option of several EVSEs: each lies in one EVSE's unbroken time, cut as rarely as can be.

    It shows the lowest default and the highest wish among the EVSEs that are free throughout.
    """
    runs = [run for evse in evses for run in evse]
    found: list[Timeslot] = []
    for period in _covering([whole(run) for run in runs], terms, depot):
        through = [run for run in runs if whole(run).covers(period)]
        cut: Run = []
        borders = {
            slot.period.starts_at for run in through for slot in run if period.contains(slot.period.starts_at)
        }
        edges = sorted({*borders, period.starts_at, period.ends_at})
        for starts_at, ends_at in pairwise(edges):
            _append(cut, Period(starts_at, ends_at), _of_pool(through, Period(starts_at, ends_at)))
        for slot in merged(cut, timedelta(minutes=terms.min_duration_min)):
            power = _of_pool([run for run in runs if whole(run).covers(slot.period)], slot.period)
            found.append(Timeslot(slot.period, *power))
    return found


def lowest(run: Iterable[Timeslot], within: Period) -> Power:
    """What a period across these timeslots is promised."""
    powers = [slot.power for slot in run if slot.period.overlaps(within)]
    return Power(min(p.default_w for p in powers), min(p.most_w for p in powers))


def _windows(
    span: Period, free: Period, pieces: Pieces, terms: Terms, depot: Depot | Site
) -> list[tuple[datetime, datetime, Power]]:
    """For each stretch of power the part of the span in which slots touch it; both ends rise from one to the next."""
    step, before, after = terms.slot_step_min, terms.early_start, terms.tail
    starts = [since for since, _ in pieces if since is not None]
    reach = Period(max(span.starts_at - before, free.starts_at), span.ends_at + after)
    first = bisect_right(starts, reach.starts_at)
    found = []
    for number in range(first, len(pieces)):
        since, power = pieces[number]
        if since is not None and since >= reach.ends_at:
            break
        until = starts[number] if number < len(starts) else None
        starts_at, ends_at = span.starts_at, span.ends_at
        if since is not None and since - after > span.starts_at:
            starts_at = periods.aligned_down(since - after, step, depot)
        if until is not None and until + before < span.ends_at:
            ends_at = periods.aligned_up(until + before, step, depot)
        starts_at, ends_at = max(starts_at, span.starts_at), min(ends_at, span.ends_at)
        if starts_at < ends_at:
            found.append((starts_at, ends_at, power))
    return found


def _bounded(power: Power, terms: Terms) -> Power:
    most = terms.max_promise_w
    return power if most is None else power.lower(Power(most, most))


def _append(run: Run, period: Period, power: Power) -> None:
    """At the end of the run; one timeslot with the last where nothing changes."""
    if run and run[-1].power == power and run[-1].period.ends_at == period.starts_at:
        period = Period(run.pop().period.starts_at, period.ends_at)
    run.append(Timeslot(period, *power))


def _joined(one: Timeslot, other: Timeslot) -> Timeslot:
    period = Period(one.period.starts_at, other.period.ends_at)
    return Timeslot(period, *one.power.lower(other.power))


def _loss(one: Timeslot, other: Timeslot) -> float:
    """The energy that is no longer offered when the lower power holds for both."""
    lower = min(one.min_power_w, other.min_power_w)
    return sum((slot.min_power_w - lower) * slot.period.minutes for slot in (one, other))


def _of_pool(runs: Iterable[Run], period: Period) -> Power:
    powers = [lowest(run, period) for run in runs]
    return Power(min(power.default_w for power in powers), max(power.most_w for power in powers))


def _covering(spans: Sequence[Period], terms: Terms, depot: Depot | Site) -> list[Period]:
    """The time that any of the spans covers, in as few parts as can be, each inside one of them and long enough."""
    shortest, step = timedelta(minutes=terms.min_duration_min), terms.slot_step_min
    found: list[Period] = []
    ahead = sorted(spans, key=lambda s: (s.starts_at, -s.ends_at.timestamp()))
    while ahead:
        since = found[-1].ends_at if found else ahead[0].starts_at
        ahead = [span for span in ahead if span.ends_at > since]
        going_on = [span for span in ahead if span.starts_at <= since]
        if not going_on:
            found += ahead[:1]
            continue
        furthest = max(going_on, key=lambda span: span.ends_at)
        starts_at = since
        if furthest.ends_at - since < shortest:
            # The rest of it is too short to be booked by itself: the one before gives some of its time.
            starts_at = periods.aligned_down(furthest.ends_at - shortest, step, depot)
        if found and starts_at < since:
            kept = starts_at - found[-1].starts_at >= shortest and starts_at >= furthest.starts_at
            if not kept:
                ahead = [span for span in ahead if span not in going_on]
                continue
            found[-1] = Period(found[-1].starts_at, starts_at)
        found.append(Period(starts_at, furthest.ends_at))
    return found
