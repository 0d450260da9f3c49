"""What would become of the bookings that stand in a closure: read once for all of them, planned jointly, and carried out
elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from bookings.errors import RuleUnclear
from bookings.models import (
    Booking,
    BookingOption,
    BookingRequest,
    BookingStatus,
    Closure,
    ClosureStep,
    Enforcement,
    Occupancy,
)
from bookings.operations import request_log
from bookings.operations.closure_offers import asks_of, may_be_offered
from bookings.operations.counter_offer import offered_period
from bookings.operations.other_times import OtherTime, OtherTimes
from bookings.operations.places import free_places
from bookings.operations.relocation import best_first, serves, would_do
from bookings.rules import content_version, power, recurrence
from bookings.rules.fit import Needs
from bookings.rules.power import Supply
from bookings.rules.power_profile import Floor, Limit
from bookings.rules.rearrangement import Block, Budget, Spot, arrangements
from bookings.search import availability
from bookings.search.bookable import evses_with_bays
from depots.models import Depot, Evse
from depots.periods import Period

Outcome = ClosureStep.Outcome
# How long all of a plan may look for better ways than first come, first served.
LOOKED_FOR = (20_000, 1.0)
# Of a closure that repeats each day of each EVSE is a row, written under the EVSEs' locks.
MOST_REPEATED = 400


@dataclass(frozen=True)
class Outage:
    """EVSEs of one depot of ours that are to be out of use in a period. One that comes again by `rrule` is on each of its `days`,
    and `period` is from the first to the last."""

    depot: Depot
    evse_ids: frozenset[int]
    period: Period
    rrule: str = ""
    days: tuple[Period, ...] = ()

    @classmethod
    def of(cls, closure: Closure) -> Outage:
        return cls(closure.evse.depot, frozenset({closure.evse_id}), closure.period)

    @classmethod
    def repeated(cls, depot: Depot, evse_ids: frozenset[int], first: Period, rrule: str) -> Outage:
        """By the depot's clock, as the days of a series, all of them at once. Raises RuleUnclear."""
        zone = depot.zone
        rule = recurrence.read(rrule, recurrence.local(first.starts_at, zone), zone)
        starts = [recurrence.moment(start, zone) for start in rule.starts]
        days = tuple(Period(starts_at, starts_at + first.duration) for starts_at in starts)
        if any(one.ends_at > other.starts_at for one, other in pairwise(days)):
            raise RuleUnclear(
                "One closure would last until the next begins: make it shorter, or one that does not repeat."
            )
        if len(days) * len(evse_ids) > MOST_REPEATED:
            raise RuleUnclear(
                f"That is more than {MOST_REPEATED} closures at once: choose fewer EVSEs, or an earlier end."
            )
        return cls(depot, evse_ids, Period(days[0].starts_at, days[-1].ends_at), rule.text, days)

    @property
    def spans(self) -> tuple[Period, ...]:
        """In order."""
        return self.days or (self.period,)

    def runs_into(self, period: Period) -> bool:
        return any(span.overlaps(period) for span in self.spans)

    def closings(self, evse_id: int) -> list[Occupancy]:
        """What it takes of one of them, as if nothing stood in it; not to be saved."""
        return [
            Occupancy(evse_id=evse_id, span=span, holder=0, kind=Occupancy.Kind.CLOSURE)
            for span in self.spans
        ]


@dataclass(frozen=True)
class Proposal:
    """What would become of a booking: moved to an EVSE that fits and is free, offered `other` time, cancelled, or left alone.
    `others` are the EVSEs it could go to just as well; `is_offered` one that another time is offered for already."""

    booking: Booking
    outcome: Outcome
    move_to: Evse | None = None
    others: Sequence[Evse] = ()
    other: OtherTime | None = None
    is_offered: bool = False

    @property
    def stays(self) -> bool:
        return self.outcome == Outcome.STAYS

    @property
    def goes_to(self) -> Evse | None:
        """Where a place is to be taken for it."""
        return self.other.evse if self.other is not None else self.move_to

    @property
    def period_then(self) -> Period:
        """When it would take it."""
        return self.other.period if self.other is not None else self.booking.period

    @property
    def is_at_charger(self) -> bool:
        return is_at_charger(self.booking)

    @property
    def may_be_decided(self) -> bool:
        """A vehicle that charges stays whatever is wanted."""
        return self.booking.status != BookingStatus.CHARGING

    def content(self) -> list[Any]:
        """What somebody who looked has seen of it; until when an answer is waited for moves with the clock."""
        booking, other = self.booking, self.other
        return [
            booking.pk,
            str(booking.period),
            booking.evse_id,
            self.outcome,
            self.move_to and self.move_to.pk,
            other and [other.evse.pk, str(other.period)],
        ]


def is_at_charger(booking: Booking) -> bool:
    """Its vehicle charges, or the charger keeps its place already: it is not moved without somebody saying so."""
    is_armed = booking.enforcement == Enforcement.ARMED or booking.armed_evse_id is not None
    return booking.status == BookingStatus.CHARGING or is_armed


def proposed(
    outage: Outage, *, leaves_armed: bool = False, offers: bool = False, now: datetime
) -> list[Proposal]:
    """The bookings an outage runs into, in order of time, each with what would become of it; in as many queries for one as for
    hundreds. As many as can be are moved. What charges stays, with `leaves_armed` what a charger keeps, and what another time
    is offered for. With `offers` who finds no other EVSE is offered the nearest other time, where there is one."""
    offered_into = _offered_into(outage)
    standing = _standing(outage, offered_into)
    if not standing:
        return []
    asks = asks_of(standing)
    offered = {pk for pk, ask in asks.items() if ask.is_last_word} - offered_into
    left = {b.pk for b in standing if _is_left(b, leaves_armed=leaves_armed)} | offered
    ground = _Ground.read(outage, standing, now)
    ground.place([booking for booking in standing if booking.pk not in left])
    if offers:
        lost = [b for b in standing if b.pk not in left and b.pk not in ground.spots]
        ground.offer([b for b in lost if may_be_offered(b, asks.get(b.pk), now=now)])
    return [ground.proposal(b, stays=b.pk in left, is_offered=b.pk in offered) for b in standing]


def version_of(proposals: Sequence[Proposal]) -> int:
    """For the form of a page that shows them: the same for the same bookings at the same times that would go to the same
    places."""
    return content_version.version_of([proposal.content() for proposal in proposals])


def bookings_in(outage: Outage) -> list[Booking]:
    """The live bookings that stand in it, or for which a place in it is offered instead of another that is lost; in order of
    time."""
    return _standing(outage, _offered_into(outage))


def _standing(outage: Outage, offered_into: Collection[int]) -> list[Booking]:
    rows = Booking.objects.live().select_related("depot__operator", "option", "vehicle", "fleet", "evse")
    rows = rows.prefetch_related("tokens")
    around = rows.filter(evse__in=outage.evse_ids).overlapping(outage.period)
    found = [booking for booking in around if outage.runs_into(booking.period)]
    if offered_into:
        found += rows.filter(pk__in=set(offered_into).difference(booking.pk for booking in found))
    return sorted(found, key=lambda booking: (booking.starts_at, booking.pk))


def _offered_into(outage: Outage) -> set[int]:
    """Bookings that lose their place unless one in this outage is accepted, by id."""
    kept = Occupancy.objects.filter(
        evse__in=outage.evse_ids, span__overlap=outage.period, kind=Occupancy.Kind.PENDING
    )
    asks = BookingRequest.objects.pending().filter(booking__in=kept.values("holder"))
    return {ask.booking_id for ask in asks if ask.is_last_word and outage.runs_into(offered_period(ask))}


def _is_left(booking: Booking, *, leaves_armed: bool) -> bool:
    return booking.status == BookingStatus.CHARGING or (leaves_armed and is_at_charger(booking))


@dataclass
class _Ground:
    """Where the bookings of closed EVSEs could go, read once for all of them. `spots` grows with what is planned; `taken_closed`
    is what takes the closed EVSEs, the outage with it."""

    all_evses: Sequence[Evse]
    evses: Mapping[int, Evse]
    closed: Mapping[int, Evse]
    taken: Mapping[int, Sequence[Occupancy]]
    taken_closed: Mapping[int, Sequence[Occupancy]]
    watts: Mapping[int, int]
    tails: Mapping[int, timedelta]
    needs: Mapping[int, Needs]
    evses_of_option: Mapping[int, set[int]]
    limits: Sequence[Limit]
    now: datetime
    budget: Budget = field(default_factory=lambda: Budget(*LOOKED_FOR))
    spots: dict[int, Spot] = field(default_factory=dict)
    offered: dict[int, OtherTime] = field(default_factory=dict)

    @classmethod
    def read(cls, outage: Outage, standing: Sequence[Booking], now: datetime) -> _Ground:
        rows = list(evses_with_bays().filter(depot=outage.depot, is_withdrawn=False))
        evses = {evse.pk: evse for evse in rows if evse.pk not in outage.evse_ids}
        closed = {booking.evse_id: booking.evse for booking in standing if booking.evse_id and booking.evse}
        closed |= {evse.pk: evse for evse in rows if evse.pk in outage.evse_ids}
        span = Period(standing[0].starts_at, max(booking.ends_at for booking in standing))
        far = span.widened(availability.FAR, availability.FAR)
        taken = availability.occupied([evse.pk for evse in rows], far)
        return cls(
            rows,
            evses,
            closed,
            {pk: rows for pk, rows in taken.items() if pk in evses},
            {pk: [*taken.get(pk, ()), *outage.closings(pk)] for pk in outage.evse_ids},
            {booking.pk: booking.promised_power_w for booking in standing},
            {booking.pk: booking.terms.tail for booking in standing},
            request_log.needs_by_booking(standing),
            _evses_of_options({booking.option_id for booking in standing}),
            power.limits_at([outage.depot.pk]),
            now,
        )

    def place(self, standing: Sequence[Booking]) -> None:
        """Plan where each goes that can go somewhere: who comes later may send an earlier one to another EVSE that does as
        well."""
        by_id = {booking.pk: booking for booking in standing}
        for booking in standing:
            free = self.free(booking)
            if free:
                self.spots[booking.pk] = free[0]
                continue
            movable = {pk: self._all_spots(by_id[pk]) for pk in self.spots}
            found = arrangements(self._all_spots(booking), self._blocks(), movable, budget=self.budget)
            plan = next(found, None)
            if plan is not None:
                self.spots |= {booking.pk: plan.spot, **plan.moves}

    def offer(self, lost: Sequence[Booking]) -> None:
        """Plan another time for each, beside all that is placed."""
        if not lost:
            return
        everywhere = {**self.taken, **self.taken_closed}
        search = OtherTimes.read(lost, everywhere, self.now)
        for booking in lost:
            needs, closed = self.needs[booking.pk], self.closed.get(booking.evse_id or 0)
            pool = [evse for evse in self.all_evses if serves(evse, booking, needs, closed)]
            taken = self._taken_then(booking, everywhere)
            in_option = self.evses_of_option.get(booking.option_id, set())
            other = search.find(booking, needs, pool, taken, self._supply(booking, taken), in_option)
            if other is not None:
                self.offered[booking.pk] = other

    def proposal(self, booking: Booking, *, stays: bool, is_offered: bool) -> Proposal:
        spot, other = self.spots.get(booking.pk), self.offered.get(booking.pk)
        others = [self.evses[free.evse_id] for free in self.free(booking)]
        if stays:
            is_fixed = booking.status == BookingStatus.CHARGING
            return Proposal(booking, Outcome.STAYS, others=() if is_fixed else others, is_offered=is_offered)
        if spot is None:
            outcome = Outcome.CANCELLED if other is None else Outcome.OFFERED
            return Proposal(booking, outcome, others=others, other=other)
        target = self.evses[spot.evse_id]
        return Proposal(
            booking, Outcome.MOVED, target, [target, *(evse for evse in others if evse.pk != target.pk)]
        )

    def free(self, booking: Booking) -> list[Spot]:
        """What nobody takes beside what is planned, best first."""
        return self._ranked(booking, self._taken_then(booking, self.taken))

    def _all_spots(self, booking: Booking) -> list[Spot]:
        """The same where those that are planned could still go elsewhere."""
        return self._ranked(booking, self.taken)

    def _ranked(self, booking: Booking, taken: Mapping[int, Sequence[Any]]) -> list[Spot]:
        needs, closed = self.needs[booking.pk], self.closed.get(booking.evse_id or 0)
        pool = [evse for evse in self.evses.values() if would_do(evse, booking, needs, closed)]
        places = free_places(
            pool, needs, booking.period, booking.terms, now=self.now, holder=booking.pk, taken=taken
        )
        in_option = self.evses_of_option.get(booking.option_id, set())
        ranked = best_first(
            [place.evse for place in places], booking, self._supply(booking, taken), in_option
        )
        wanted = booking.period.widened(after=booking.terms.tail)
        return [Spot(evse.pk, wanted) for evse in ranked]

    def _blocks(self) -> dict[int, list[Block]]:
        blocks = {pk: [Block(row.span, row.holder) for row in rows] for pk, rows in self.taken.items()}
        for holder, spot in self.spots.items():
            blocks.setdefault(spot.evse_id, []).append(Block(spot.span, holder))
        return blocks

    def _taken_then(
        self, booking: Booking, before: Mapping[int, Sequence[Occupancy]]
    ) -> dict[int, list[Occupancy]]:
        """What takes the EVSEs once the plan is carried out, without this one."""
        taken = {pk: list(rows) for pk, rows in before.items()}
        for holder, spot in [*self.spots.items(), *self._offered_spots()]:
            if holder != booking.pk:
                watts = self.watts[holder]
                kept = Occupancy(evse_id=spot.evse_id, span=spot.span, holder=holder, power_w=watts)
                taken.setdefault(spot.evse_id, []).append(kept)
        return taken

    def _offered_spots(self) -> Iterator[tuple[int, Spot]]:
        for holder, other in self.offered.items():
            yield holder, Spot(other.evse.pk, other.period.widened(after=self.tails[holder]))

    def _supply(self, booking: Booking, taken: Mapping[int, Sequence[Any]]) -> Supply:
        """What the others leave; on a closed EVSE nothing will be promised to anybody."""
        rows = [row for rows in taken.values() for row in rows] if self.limits else []
        counted = [row for row in rows if row.kind != Occupancy.Kind.CLOSURE and row.holder != booking.pk]
        return Supply(list(self.limits), [Floor(row.evse_id, row.span, row.power_w) for row in counted])


def _evses_of_options(option_ids: Collection[int]) -> dict[int, set[int]]:
    rows = BookingOption.evses.through.objects.filter(bookingoption__in=option_ids)
    found: dict[int, set[int]] = {}
    for option_id, evse_id in rows.values_list("bookingoption_id", "evse_id"):
        found.setdefault(option_id, set()).add(evse_id)
    return found
