"""The rule of power over random depots, limits, cabinets and wishes: pure functions, no tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bookings.core.occupancy import occupied_span
from bookings.errors import PowerUnavailable
from bookings.rules import periods
from bookings.rules.power import Supply, peak
from bookings.rules.power_profile import LEAST_W, Floor, Limit, LimitProfile, Power, leasts
from bookings.rules.terms import Terms
from bookings.search import timeslots
from depots.models import Depot, Evse
from depots.periods import Period, gaps

T0 = datetime(2030, 1, 15, tzinfo=UTC)
HOURS = 12
WHOLE = Period(T0, T0 + timedelta(hours=HOURS))
KW = 1000
TERMS = Terms(early_start_min=15, turnaround_min=5)
DEPOT = Depot(pk=1, time_zone="Europe/Berlin")


def at(minutes: int) -> datetime:
    return T0 + timedelta(minutes=minutes)


def evse(pk: int, max_kw: int) -> Evse:
    return Evse(pk=pk, depot=DEPOT, max_power_w=max_kw * KW, uid=str(pk))


@st.composite
def yards(draw: st.DrawFn) -> tuple[list[Evse], list[Limit]]:
    """Up to seven EVSEs behind a grid connection and cabinets; only limits that can bind, as the tables give them."""
    powers = draw(st.lists(st.sampled_from([11, 22, 50, 150, 350, 1000]), min_size=2, max_size=7))
    evses = [evse(pk, kw) for pk, kw in enumerate(powers, start=1)]
    most = {e.pk: e.max_power_w for e in evses}
    limits = []
    if draw(st.booleans()) or len(evses) < 3:
        limits.append(Limit("grid", draw(st.integers(20, 1500)) * KW + draw(st.integers(0, 999)), most))
    cut = draw(st.integers(1, len(evses) - 1))
    cabinets = [group for group in (evses[:cut], evses[cut:]) if draw(st.booleans())]
    limits += [
        Limit("cabinet", draw(st.integers(20, 700)) * KW, {e.pk: most[e.pk] for e in group})
        for group in cabinets
    ]
    return evses, [limit for limit in limits if limit.watts < sum(limit.feeds.values())]


asks = st.tuples(
    st.integers(0, 6),  # EVSE
    st.integers(0, 4 * HOURS - 3),  # first quarter of an hour
    st.integers(2, 12),  # quarters
    st.one_of(st.none(), st.none(), st.integers(1, 1000)),  # a wish in kW
    st.sampled_from([None, 20, 120, 400]),  # what the vehicle takes
    st.booleans(),  # cancel something first
)


def powers_at(
    supply: Supply, evses: Sequence[Evse], floors: Sequence[Floor], minutes: int
) -> dict[int, Power]:
    """Of every EVSE that is free in that quarter of an hour."""
    span = Period(at(minutes), at(minutes + 15))
    taken = {floor.evse_id for floor in floors if floor.span.overlaps(span)}
    return {e.pk: supply.lowest(e, span) for e in evses if e.pk not in taken}


@settings(max_examples=120, deadline=None)
@given(yards(), st.lists(asks, max_size=14))
def test_whatever_is_booked_limits_hold_leasts_stay_and_no_default_is_lowered_by_a_default_booking(
    yard, wanted
):
    evses, limits = yard
    least = leasts(limits)
    floors: list[Floor] = []
    for number, start, length, wish, vehicle, cancels in wanted:
        if cancels and floors:
            floors.pop(start % len(floors))
        chosen = evses[number % len(evses)]
        span = Period(at(start * 15), at(min(start + length, 4 * HOURS) * 15))
        if any(f.evse_id == chosen.pk and f.span.overlaps(span) for f in floors):
            continue
        before = Supply(limits, floors)
        power = before.lowest(chosen, span)
        usable = [limit.share_w for limit in limits if chosen.pk in limit.feeds]
        assert power.default_w >= min([LEAST_W, chosen.max_power_w, *usable])
        assert power.default_w <= power.most_w <= chosen.max_power_w
        try:
            watts = before.promise(chosen, span, wish and wish * KW, vehicle and vehicle * KW)
        except PowerUnavailable as short:
            assert wish is not None
            assert wish * KW > power.most_w == short.available_w  # noqa: PT017
            continue
        assert wish is None or watts == wish * KW
        after = [*floors, Floor(chosen.pk, span, watts)]
        supply = Supply(limits, after)
        for limit in limits:
            here = [(f.span, f.watts) for f in after if f.evse_id in limit.feeds]
            assert peak(here, WHOLE) <= limit.watts
        for minutes in range(0, HOURS * 60, 15):
            then, was = powers_at(supply, evses, after, minutes), powers_at(before, evses, floors, minutes)
            assert all(power.default_w >= least.get(pk, 0) for pk, power in then.items())
            if wish is None:
                assert all(power.default_w >= was[pk].default_w for pk, power in then.items())
        floors = after


@settings(max_examples=80, deadline=None)
@given(yards(), st.data())
def test_a_lowered_limit_leaves_floors_and_closes_what_it_cannot_cover_and_no_booking_closes_another(
    yard, data
):
    evses, limits = yard
    standing = [
        Floor(e.pk, Period(at(60), at(180)), data.draw(st.integers(1, e.max_power_w // KW)) * KW)
        for e in evses
        if data.draw(st.booleans())
    ]
    free = [e for e in evses if e.pk not in {f.evse_id for f in standing}]
    before = Supply(limits, standing)
    span = Period(at(90), at(120))
    open_ones = [e for e in free if before.lowest(e, span).default_w > 0]
    for limit in limits:
        kept = sum(max(f.watts, leasts(limits)[f.evse_id]) for f in standing if f.evse_id in limit.feeds)
        fed = [e for e in open_ones if e.pk in limit.feeds]
        assert sum(before.lowest(e, span).default_w for e in fed) <= max(limit.watts - kept, 0)
    if not open_ones:
        return
    first = data.draw(st.sampled_from(open_ones))

    watts = before.promise(first, span, None, None)

    after = Supply(limits, [*standing, Floor(first.pk, span, watts)])
    for other in open_ones:
        if other is not first:
            assert after.lowest(other, span).default_w >= before.lowest(other, span).default_w


@settings(max_examples=120, deadline=None)
@given(yards(), st.lists(st.tuples(st.integers(0, 6), st.integers(0, 40), st.integers(1, 8)), max_size=12))
def test_the_sweep_finds_at_each_moment_what_is_found_by_looking_at_that_moment_alone(yard, taken):
    evses, limits = yard
    floors = [
        Floor(evses[n % len(evses)].pk, Period(at(15 * first), at(15 * (first + length))), 60 * KW)
        for n, first, length in taken
    ]
    least = leasts(limits)
    for limit in limits:
        profile = LimitProfile(limit, least, floors)
        for minutes in range(0, 13 * 60, 15):
            now = Period(at(minutes), at(minutes + 15))
            (level,) = profile.within(now)
            taken_now = {f.evse_id for f in floors if f.span.overlaps(now) and f.evse_id in limit.feeds}
            left = limit.watts - sum(max(60 * KW, least[pk]) for pk in taken_now)
            open_ones = [pk for pk in limit.feeds if pk not in taken_now and pk not in level.closed]
            spare = left - sum(least[pk] for pk in open_ones)
            assert level.spare_w == max(spare, 0)
            rises = [min(limit.feeds[pk] - least[pk], level.rise_w) for pk in open_ones]
            assert sum(rises) <= level.spare_w
            if any(limit.feeds[pk] - least[pk] > level.rise_w for pk in open_ones):
                higher = [min(limit.feeds[pk] - least[pk], level.rise_w + KW) for pk in open_ones]
                assert sum(higher) > level.spare_w  # a kW more for each would be too much


@settings(max_examples=120, deadline=None)
@given(yards(), st.lists(asks, max_size=10), st.integers(30, 90))
def test_any_period_in_timeslots_gets_what_they_show_and_no_timeslot_is_short_or_overlaps(
    yard, wanted, shortest
):
    evses, limits = yard
    terms = Terms(early_start_min=15, turnaround_min=5, min_duration_min=shortest)
    floors = _booked(evses, limits, wanted)
    supply = Supply(limits, floors)
    for one in evses:
        mine = [f.span for f in floors if f.evse_id == one.pk]
        slots = [slot for run in _runs(one, mine, supply, terms) for slot in run]
        _check_shape(slots, terms)
        for slot in slots:
            occupied = occupied_span(slot.period, terms, mine, now=T0)
            power = supply.lowest(one, occupied)
            assert slot.min_power_w <= power.default_w
            assert slot.max_power_w <= power.most_w
            assert supply.promise(one, occupied, slot.min_power_w, None) == slot.min_power_w


@settings(max_examples=80, deadline=None)
@given(yards(), st.lists(asks, max_size=10), st.sampled_from([30, 60]))
def test_a_pools_timeslots_lie_in_one_evses_time_and_leave_out_nothing_that_was_free_long_enough(
    yard, wanted, shortest
):
    evses, limits = yard
    terms = Terms(early_start_min=15, turnaround_min=5, min_duration_min=shortest)
    floors = _booked(evses, limits, wanted)
    supply = Supply(limits, floors)
    runs = [_runs(one, [f.span for f in floors if f.evse_id == one.pk], supply, terms) for one in evses]

    slots = timeslots.pooled(runs, terms, DEPOT)

    _check_shape(slots, terms)
    spans = [timeslots.whole(run) for evse_runs in runs for run in evse_runs]
    for slot in slots:
        assert any(span.covers(slot.period) for span in spans)
        through = [run for evse_runs in runs for run in evse_runs if timeslots.whole(run).covers(slot.period)]
        assert slot.min_power_w == min(timeslots.lowest(run, slot.period).default_w for run in through)
        assert slot.max_power_w == max(timeslots.lowest(run, slot.period).most_w for run in through)
    left_out = gaps(WHOLE, [slot.period for slot in slots])
    assert not any(gap.covers(span) for gap in left_out for span in spans)


@pytest.mark.parametrize("step", [7, 25, 45, 90, 120, 240, 480, 1440])
@pytest.mark.parametrize("day", ["2030-03-31", "2030-10-27", "2030-06-01"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Santiago", "Australia/Lord_Howe", "Africa/Cairo"])
def test_the_step_is_found_up_and_down_wherever_clocks_change(step: int, day: str, zone: str):
    depot = Depot(time_zone=zone)
    start = datetime.fromisoformat(f"{day}T00:00+00:00") - timedelta(hours=14)
    minutes = [start + timedelta(minutes=number) for number in range(52 * 60)]
    aligned = [moment for moment in minutes if periods.is_aligned(moment, step, depot)]
    for moment in minutes[24 * 60 :: 11]:
        ahead = [a for a in aligned if a >= moment]
        if ahead:
            assert periods.aligned_up(moment, step, depot) == ahead[0]
        behind = [a for a in aligned if a <= moment]
        if behind:
            assert periods.aligned_down(moment, step, depot) == behind[-1]


@pytest.mark.parametrize("step", [7, 60, 90, 120, 240])
@pytest.mark.parametrize("day", ["2030-03-31", "2030-10-27"])
def test_steps_counted_from_a_part_are_on_the_step_on_the_days_clocks_change(step: int, day: str):
    first = periods.aligned_up(
        datetime.fromisoformat(f"{day}T00:00+00:00") - timedelta(hours=20), step, DEPOT
    )
    last = periods.aligned_down(first + timedelta(hours=40), step, DEPOT)

    parts = periods.on_step(Period(first, last), step, DEPOT)

    assert parts
    for part in parts:
        moment = part.starts_at
        while moment < part.ends_at:
            assert periods.is_aligned(moment, step, DEPOT)
            moment += timedelta(minutes=step)
        assert moment == part.ends_at
    if 60 % step == 0:
        assert parts == [Period(first, last)]


def _booked(evses: Sequence[Evse], limits: Sequence[Limit], wanted: Sequence[tuple]) -> list[Floor]:
    floors: list[Floor] = []
    for number, start, length, wish, vehicle, _ in wanted:
        one = evses[number % len(evses)]
        span = Period(at(start * 15), at(start * 15 + length * 15))
        if any(f.evse_id == one.pk and f.span.overlaps(span) for f in floors):
            continue
        try:
            watts = Supply(limits, floors).promise(one, span, wish and wish * KW, vehicle and vehicle * KW)
        except PowerUnavailable:
            continue
        floors.append(Floor(one.pk, span, watts))
    return floors


def _runs(one: Evse, taken: list[Period], supply: Supply, terms: Terms) -> list[timeslots.Run]:
    found = []
    for gap in gaps(WHOLE, taken):
        first = periods.aligned_up(gap.starts_at, terms.slot_step_min, DEPOT)
        last = periods.aligned_down(gap.ends_at - terms.tail, terms.slot_step_min, DEPOT)
        if last - first >= timedelta(minutes=terms.min_duration_min):
            found += timeslots.with_power(Period(first, last), gap, supply.pieces(one), terms, DEPOT)
    return found


def _check_shape(slots: Sequence[timeslots.Timeslot], terms: Terms) -> None:
    for slot in slots:
        assert slot.period.minutes >= terms.min_duration_min
        assert 0 < slot.min_power_w <= slot.max_power_w
        assert periods.is_aligned(slot.period.starts_at, terms.slot_step_min, DEPOT)
        assert periods.is_aligned(slot.period.ends_at, terms.slot_step_min, DEPOT)
    for one, other in pairwise(slots):
        assert one.period.ends_at <= other.period.starts_at
