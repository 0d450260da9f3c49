"""What chargers were told stays within the limit by itself from the moment on at which all fall silent, whatever their clocks."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from bookings.models.power_schedules import PowerSchedule
from bookings.smart_charging.expiry import expires_at, expiring, rises_at, rising
from tests.factories import NOW

KW = 1000
SECOND = timedelta(seconds=1)


class Told(NamedTuple):
    """`late_s` is how late its clock is, within `margin`; `floors` what it has a right to, as (from second, to second, watts)."""

    schedule: PowerSchedule
    late_s: int
    least_w: int
    floors: tuple[tuple[int, int, int], ...]


@st.composite
def silent_depots(draw) -> tuple[int, list[Told]]:
    """EVSEs with a promise that runs, or one that comes, told as a plan tells them: what is left beside the promises of now is
    given to those that charge. The limit is what the rules of booking need: all that is promised at once, the least elsewhere."""
    count = draw(st.integers(2, 5))
    least = draw(st.integers(1, 20)) * KW
    margins = [timedelta(seconds=draw(st.integers(3, 63))) for _ in range(count)]
    promises = []
    for _ in range(count):
        begins = draw(st.sampled_from([0, 0, 7, 60, 400, 1800, 4000]))
        promises.append((begins, begins + draw(st.integers(1, 60)) * 60, draw(st.integers(20, 350)) * KW))
    moments = {begins for begins, _, _ in promises}
    limit_w = max(
        sum(watts if begins <= at < ends else least for begins, ends, watts in promises) for at in moments
    )
    starts = [NOW + begins * SECOND for begins, _, _ in promises if begins > 0]
    now_w = [watts if begins == 0 else least for begins, _, watts in promises]
    spare = limit_w - sum(now_w)
    told = []
    for number, (begins, ends, watts) in enumerate(promises):
        margin = margins[number]
        if begins == 0:
            more = draw(st.sampled_from([0, spare // 2, spare]))
            ends_at = expires_at(min(starts, default=None), margin, NOW)
            # One that would have to fall at once is given nothing beyond its promise (demand._may_keep).
            more = more if ends_at > NOW + 3 * SECOND else 0
            spare -= more
            schedule = expiring(
                watts + more, promised_w=watts, promise_ends_at=NOW + ends * SECOND, always_w=least, ends_at=ends_at
            )  # fmt: skip
        else:
            schedule = rising(
                least, promised_w=max(watts, least), begins_at=rises_at(NOW + begins * SECOND, margin),
                ends_at=NOW + ends * SECOND, always_w=least,
            )  # fmt: skip
        most_s = int(margin.total_seconds())
        told.append(Told(schedule, draw(st.integers(-most_s, most_s)), least, ((begins, ends, watts),)))
    return limit_w, told


@settings(max_examples=100, deadline=None)
@given(silent_depots())
def test_all_that_stands_at_silent_chargers_fits_when_promises_begin(depot):
    """Where one ends as another begins, a clock may be late by its margin: that is the one thing that may overlap."""
    limit_w, told = depot
    ends = {ends for one in told for _, ends, _ in one.floors}
    steps = {int((step.at - NOW).total_seconds()) for one in told for step in one.schedule.steps}
    for at in sorted({second + off for second in steps | {0} for off in (-63, -20, -5, -1, 0, 1, 5, 20, 63)}):
        if at < 0 or any(end <= at < end + 130 for end in ends):
            continue
        moment = NOW + at * SECOND
        assert sum(one.schedule.watts_at(moment - one.late_s * SECOND) for one in told) <= limit_w


@settings(max_examples=40, deadline=None)
@given(silent_depots())
def test_a_promise_is_there_at_a_silent_charger_within_twice_its_clocks_margin(depot):
    _, told = depot
    for one in told:
        for begins, ends, watts in one.floors:
            for at in range(begins + 130, ends - 64, 61):
                assert one.schedule.watts_at(NOW + (at - one.late_s) * SECOND) >= watts
