"""Where and when each of many wishes at our own depots is to stand: planned from what is kept and taken now, without a lock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bookings.errors import BookingError
from bookings.operations.many_wishes import ManyWish
from bookings.operations.places import candidates
from bookings.operations.slot_request import SlotRequest
from bookings.rules import configuration, joint_plan, periods
from bookings.rules.configuration import Configuration, Site
from bookings.rules.rearrangement import Spot, tightest_first
from bookings.search import availability
from depots.periods import Period, spanning

# So many starts are looked at for one that can wait, and so many places at all of them.
MOST_STARTS = 200
MOST_SPOTS = 600

# What is asked for at each spot that would do, best first.
Choices = dict[Spot, SlotRequest]


@dataclass(frozen=True)
class ManyPlan:
    """Where each is put, by its number, and what is asked for there; whoever found no place is missing. `known` is by which
    configurations."""

    known: Mapping[int, Configuration]
    spots: Mapping[int, Spot]
    asks: Mapping[int, SlotRequest]

    def is_of(self, known: Mapping[int, Configuration]) -> bool:
        """Whether the depots are still what it was made for."""
        return all(known[depot_id].version == there.version for depot_id, there in self.known.items())

    def standing(self, *, now: datetime) -> dict[int, SlotRequest]:
        """What of it can still be carried out: its place is free. One query."""
        taken = _taken(self.spots.values(), now=now)
        return {
            number: self.asks[number]
            for number, spot in self.spots.items()
            if not any(span.overlaps(spot.span) for span in taken.get(spot.evse_id, ()))
        }


def plan_many(wishes: Mapping[int, ManyWish], *, now: datetime) -> ManyPlan:
    """So that as many as can be find a place; in the processor's time that one plan may take, however many depots there are.

    It knows fit, terms and what is taken; power, quotas and cards are judged by the booking.
    """
    by_depot: dict[int, list[int]] = defaultdict(list)
    for number, wish in wishes.items():
        by_depot[wish.depot_id].append(number)
    known = configuration.current_all(set(by_depot))
    choices = {number: _choices(wish, known[wish.depot_id], now) for number, wish in wishes.items()}
    taken = _taken([spot for found in choices.values() for spot in found], now=now)
    seconds = joint_plan.PLANNING_S / max(1, len(by_depot))
    spots: dict[int, Spot] = {}
    for numbers in by_depot.values():
        plan = joint_plan.planned([list(choices[number]) for number in numbers], taken, seconds=seconds)
        spots |= {numbers[index]: spot for index, spot in plan.items()}
    return ManyPlan(known, spots, {number: choices[number][spot] for number, spot in spots.items()})


def _taken(spots: Collection[Spot], *, now: datetime) -> dict[int, list[Period]]:
    """What takes their EVSEs around them, by EVSE id."""
    within = spanning(spot.span for spot in spots)
    if within is None:
        return {}
    around = within.widened(availability.FAR, availability.FAR)
    rows = availability.occupied(sorted({spot.evse_id for spot in spots}), around, now=now)
    return {evse_id: [row.span for row in here] for evse_id, here in rows.items()}


def _choices(wish: ManyWish, there: Configuration, now: datetime) -> Choices:
    """Where and when it may stand, best first, each with what is asked for then: early before late, tight before wasteful."""
    found: Choices = {}
    for request in wish.requests if not wish.request.ends_when_charged else ():
        try:
            bays = candidates(there.offers.get(request.option.pk, ()), request.must_fit, request.evse)
        except BookingError:
            continue
        bays = tightest_first(bays, request.must_fit)
        terms = there.terms(request.option.pk, request.fleet.pk, now=now)
        starts = list(_periods(request, wish.latest_end, terms.slot_step_min, there.site))
        for period in starts[:: -(-len(starts) * len(bays) // MOST_SPOTS) or 1]:
            try:
                periods.check_period(terms, there.site, period, now=now)
            except BookingError:
                continue
            span = Period(period.starts_at, period.ends_at + terms.tail).in_utc()
            for bay in bays:
                ask = replace(request, period=period, planned_evse_id=bay.pk)
                found.setdefault(Spot(bay.pk, span), ask)
    return dict(sorted(found.items(), key=lambda item: item[0].span.starts_at))


def _periods(
    request: SlotRequest, latest_end: datetime | None, step_min: int, site: Site
) -> Iterator[Period]:
    """All of its length that may begin at its start or on a later step, and end in time; steps count by the depot's clock."""
    period, length = request.period, request.period.duration
    for _ in range(MOST_STARTS):
        yield period
        starts_at = periods.aligned_up(period.starts_at + timedelta(minutes=1), step_min, site)
        if latest_end is None or starts_at + length > latest_end:
            return
        period = Period(starts_at, starts_at + length)
