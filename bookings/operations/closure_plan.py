"""What would become of the bookings that stand in a closure: read once for all of them, planned jointly, and carried out
elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bookings.models import (
    Booking,
    BookingOption,
    BookingStatus,
    Closure,
    ClosureStep,
    Enforcement,
    Occupancy,
)
from bookings.operations import request_log
from bookings.operations.places import free_places
from bookings.operations.relocation import best_first, would_do
from bookings.rules import content_version, power
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


@dataclass(frozen=True)
class Outage:
    """EVSEs of one depot of ours that are to be out of use in a period."""

    depot: Depot
    evse_ids: frozenset[int]
    period: Period

    @classmethod
    def of(cls, closure: Closure) -> Outage:
        return cls(closure.evse.depot, frozenset({closure.evse_id}), closure.period)


@dataclass(frozen=True)
class Proposal:
    """What would become of a booking: moved to an EVSE that fits and is free, cancelled, or left alone. `others` are the EVSEs it
    could go to just as well."""

    booking: Booking
    outcome: Outcome
    move_to: Evse | None = None
    others: Sequence[Evse] = ()

    @property
    def stays(self) -> bool:
        return self.outcome == Outcome.STAYS

    @property
    def is_at_charger(self) -> bool:
        return is_at_charger(self.booking)

    @property
    def may_be_decided(self) -> bool:
        """A vehicle that charges stays whatever is wanted."""
        return self.booking.status != BookingStatus.CHARGING

    def content(self) -> list[Any]:
        """What somebody who looked has seen of it."""
        booking = self.booking
        return [
            booking.pk,
            str(booking.period),
            booking.evse_id,
            self.outcome,
            self.move_to and self.move_to.pk,
        ]


def is_at_charger(booking: Booking) -> bool:
    """Its vehicle charges, or the charger keeps its place already: it is not moved without somebody saying so."""
    is_armed = booking.enforcement == Enforcement.ARMED or booking.armed_evse_id is not None
    return booking.status == BookingStatus.CHARGING or is_armed


def proposed(outage: Outage, *, leaves_armed: bool = False, now: datetime) -> list[Proposal]:
    """The bookings an outage runs into, in order of time, each with what would become of it; in as many queries for one as for
    hundreds. As many as can be are moved. What charges stays, and with `leaves_armed` what a charger keeps."""
    standing = bookings_in(outage)
    if not standing:
        return []
    left = [b for b in standing if b.status == BookingStatus.CHARGING or (leaves_armed and is_at_charger(b))]
    ground = _Ground.read(outage, standing, now)
    placed = ground.placed([booking for booking in standing if booking not in left])
    return [ground.proposal(booking, placed, stays=booking in left) for booking in standing]


def version_of(proposals: Sequence[Proposal]) -> int:
    """For the form of a page that shows them: the same for the same bookings at the same times that would go to the same
    places."""
    return content_version.version_of([proposal.content() for proposal in proposals])


def bookings_in(outage: Outage) -> list[Booking]:
    """The live bookings that stand in it, in order of time."""
    rows = Booking.objects.live().filter(evse__in=outage.evse_ids).overlapping(outage.period)
    rows = rows.select_related("depot__operator", "option", "vehicle", "fleet", "evse").prefetch_related(
        "tokens"
    )
    return list(rows.order_by("starts_at", "pk"))


@dataclass
class _Ground:
    """Where the bookings of closed EVSEs could go, read once for all of them. `spots` grows with what is planned."""

    evses: Mapping[int, Evse]
    closed: Mapping[int, Evse]
    taken: Mapping[int, Sequence[Occupancy]]
    watts: Mapping[int, int]
    needs: Mapping[int, Needs]
    evses_of_option: Mapping[int, set[int]]
    limits: Sequence[Limit]
    now: datetime
    budget: Budget = field(default_factory=lambda: Budget(*LOOKED_FOR))
    spots: dict[int, Spot] = field(default_factory=dict)

    @classmethod
    def read(cls, outage: Outage, standing: Sequence[Booking], now: datetime) -> _Ground:
        rows = list(evses_with_bays().filter(depot=outage.depot, is_withdrawn=False))
        evses = {evse.pk: evse for evse in rows if evse.pk not in outage.evse_ids}
        closed = {booking.evse_id: booking.evse for booking in standing if booking.evse_id and booking.evse}
        closed |= {evse.pk: evse for evse in rows if evse.pk in outage.evse_ids}
        span = Period(standing[0].starts_at, max(booking.ends_at for booking in standing))
        return cls(
            evses,
            closed,
            availability.occupied(list(evses), span.widened(availability.FAR, availability.FAR)),
            {booking.pk: booking.promised_power_w for booking in standing},
            request_log.needs_by_booking(standing),
            _evses_of_options({booking.option_id for booking in standing}),
            power.limits_at([outage.depot.pk]),
            now,
        )

    def placed(self, standing: Sequence[Booking]) -> Mapping[int, Spot]:
        """Where each goes that can go somewhere, by booking: who comes later may send an earlier one to another EVSE that does
        as well."""
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
        return self.spots

    def proposal(self, booking: Booking, placed: Mapping[int, Spot], *, stays: bool) -> Proposal:
        spot = placed.get(booking.pk)
        others = [self.evses[free.evse_id] for free in self.free(booking)]
        if stays:
            is_fixed = booking.status == BookingStatus.CHARGING
            return Proposal(booking, Outcome.STAYS, others=() if is_fixed else others)
        if spot is None:
            return Proposal(booking, Outcome.CANCELLED, others=others)
        target = self.evses[spot.evse_id]
        return Proposal(
            booking, Outcome.MOVED, target, [target, *(evse for evse in others if evse.pk != target.pk)]
        )

    def free(self, booking: Booking) -> list[Spot]:
        """What nobody takes beside what is planned, best first."""
        return self._ranked(booking, self._taken_then(booking))

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

    def _taken_then(self, booking: Booking) -> dict[int, list[Occupancy]]:
        """What takes the EVSEs once the plan is carried out, without this one."""
        taken = {pk: list(rows) for pk, rows in self.taken.items()}
        for holder, spot in self.spots.items():
            if holder != booking.pk:
                watts = self.watts[holder]
                kept = Occupancy(evse_id=spot.evse_id, span=spot.span, holder=holder, power_w=watts)
                taken.setdefault(spot.evse_id, []).append(kept)
        return taken

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
