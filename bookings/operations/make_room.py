"""Moving bookings to other EVSEs of what they were booked as, at the same times, so that one more finds a place.

It is looked for under the locks of what is asked for alone, so that a depot that is full refuses at once. What is found is
looked for again, and carried out, under the locks of the depot and of every EVSE that takes part.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from django.db import connection

from bookings.actors import ASSIGNMENT
from bookings.core import calendars, lifecycle, occupancy
from bookings.core.locking import lock_bookings
from bookings.core.standing import Standing, Taken, standing
from bookings.core.versions import Aspect
from bookings.errors import NO_ROOM, KeptForWalkIns, SlotTaken
from bookings.models import Booking, Closure, Occupancy
from bookings.operations import request_log
from bookings.operations.apply_change import shown
from bookings.operations.places import Beside, FreePlace, ReachesFurther
from bookings.operations.quotas_under_lock import allotted, check_walk_ins, fleets_of
from bookings.rules.configuration import Bay, Configuration
from bookings.rules.fit import Needs
from bookings.rules.movable import may_be_moved
from bookings.rules.power import Supply
from bookings.rules.power_profile import Floor
from bookings.rules.rearrangement import (
    Block,
    Budget,
    Movable,
    Rearrangement,
    can_have_room,
    may_go_to,
    rearrangements,
)
from bookings.rules.terms import Terms
from depots.periods import Period

# What reaches further from the period than this is not moved: then so much more would have to be read.
REACH = timedelta(hours=6)
# What its history says of one that was moved; who came is nobody else's business.
MOVED = "Moved to make room for another booking"


@dataclass(frozen=True)
class Newcomer:
    """Who needs a place. `pool` are the EVSEs that would do, best first; `least_w` tells what it must be promised at least, and
    `holder` is a booking whose own place counts as free."""

    pool: Sequence[Bay]
    needs: Needs
    period: Period
    terms: Terms
    fleet_id: int
    wish_w: int | None = None
    least_w: Callable[[], int] = lambda: 0
    holder: int | None = None

    @property
    def wanted(self) -> Period:
        return Period(self.period.starts_at, self.period.ends_at + self.terms.tail)


class Place(NamedTuple):
    """Where a newcomer is put, with its watts."""

    place: FreePlace[Bay]
    watts: int


def make_room(comer: Newcomer, there: Configuration, locked: Beside, *, now: datetime) -> Place:
    """Move who stands in the way, and give the place that is free then.

    Raises SlotTaken, which says what stands in the way, or ReachesFurther where there is room and more has to be locked for it.
    """
    ground = RoomGround.read(comer, there, now)
    for plan, _ in ground.rooms(comer, Budget(), now=now):
        return ground.carried_out(plan, comer, locked, now)
    raise SlotTaken(ground.why_full(comer))


def foreseen_room(comer: Newcomer, there: Configuration, *, now: datetime) -> Place:
    """Where room would be made as things stand; nothing is locked, and nobody moves. Raises SlotTaken."""
    ground = RoomGround.read(comer, there, now)
    for _, place in ground.rooms(comer, Budget(), now=now):
        return place
    raise SlotTaken(ground.why_full(comer))


@dataclass(frozen=True)
class RoomGround:
    """What stands at the EVSEs within reach, and which of it may be moved, by holder."""

    there: Configuration
    standing: Standing
    blocks: Mapping[int, Sequence[Block]]
    movable: Mapping[int, Movable]
    bookings: Mapping[int, Booking]
    closures: Sequence[Closure]

    @classmethod
    def read(cls, comer: Newcomer, there: Configuration, now: datetime) -> RoomGround:
        """For one who comes, and whoever would come within the same time. Raises SlotTaken where nobody could go anywhere."""
        taking = {bay.pk for bay in comer.pool}
        reach = there.interchangeable(taking)
        if not reach - taking and len(taking) < 2:
            raise SlotTaken
        around = comer.period.widened(REACH, REACH)
        everywhere = {*reach, *there.fed_together(reach)}
        found = standing(there.site.pk, everywhere, around, now=now)
        # A hold that ran out is still in the way: its row stands until somebody sweeps it.
        taken = {pk: [row for row in found.taken if row.evse_id == pk] for pk in reach}
        closures = list(
            Closure.objects.filter(
                evse__in=list(reach), lifted_at__isnull=True, starts_at__lt=around.ends_at,
                ends_at__gt=around.starts_at,
            )
        )  # fmt: skip
        stay = {c.evse_id: [o.period for o in closures if o.evse_id == c.evse_id] for c in closures}
        rows = [
            row for pk, here in taken.items() for row in here
            if row.kind == Occupancy.Kind.BOOKING and row.holder != comer.holder and around.covers(row.span)
            and not any(closed.overlaps(row.span) for closed in stay.get(pk, ()))
        ]  # fmt: skip
        bookings = _movable_of(rows, now)
        blocks = {
            pk: [Block(row.span, row.holder) for row in here if row.holder != comer.holder]
            for pk, here in taken.items()
        }
        return cls(there, found, blocks, _movable(rows, bookings, there), bookings, closures)

    def can_have_room(self, comer: Newcomer) -> bool:
        """False says that no moves make room, nor for anybody who needs it longer; at once for a depot that is full."""
        return can_have_room(comer.wanted, [bay.pk for bay in comer.pool], self.blocks, self.movable)

    def rooms(
        self, comer: Newcomer, budget: Budget, *, now: datetime
    ) -> Iterator[tuple[Rearrangement, Place]]:
        """The moves that give the newcomer a place and leave everybody what is promised, fewest first; and that place."""
        evse_ids = [bay.pk for bay in comer.pool]
        for plan in rearrangements(comer.wanted, evse_ids, self.blocks, self.movable, budget=budget):
            place = self.place(comer, plan, now)
            if place is not None:
                yield plan, place

    def carried_out(self, plan: Rearrangement, comer: Newcomer, locked: Beside, now: datetime) -> Place:
        """The newcomer's place, once everybody else has moved. Raises ReachesFurther."""
        concerned = self.concerned(plan)
        if not (concerned <= locked.evse_ids and locked.depot):
            raise ReachesFurther(concerned, depot=True)
        _move(self, plan, now)
        place = self.place(comer, plan, now)
        assert place is not None  # accepted
        return place

    def concerned(self, plan: Rearrangement) -> set[int]:
        """The EVSEs that it changes something at."""
        sources = {self.bookings[holder].evse_id for holder in plan.moves}
        return {plan.evse_id, *plan.moves.values(), *(pk for pk in sources if pk)}

    def rows_after(self, plan: Rearrangement, but: int | None) -> list[Taken]:
        """All that takes an EVSE once it is carried out."""
        return [
            row._replace(evse_id=plan.moves.get(row.holder, row.evse_id))
            for row in self.standing.taken
            if not row.is_overdue and row.holder != but
        ]

    def place(self, comer: Newcomer, plan: Rearrangement, now: datetime) -> Place | None:
        """Where that puts the newcomer; None where it, or who is moved, would have less power than is promised."""
        rows = self.rows_after(plan, comer.holder)
        here = [row.span for row in rows if row.evse_id == plan.evse_id]
        span = occupancy.occupied_span(comer.period, comer.terms, here, now=now)
        bay = self.there.bays[plan.evse_id]
        supply = allotted(
            Supply(self.there.limits, _floors(rows)), self.there, self.rows_after(plan, None), comer.fleet_id,
            span, booking_id=comer.holder, fleets=self.fleets, now=now,
        )  # fmt: skip
        try:
            watts = supply.promise(
                bay, span, comer.wish_w, comer.needs.max_power_w, most_w=comer.terms.max_promise_w
            )
        except NO_ROOM:
            return None
        if watts < comer.least_w():
            return None
        own = Floor(plan.evse_id, span, watts)
        if not all(self._keeps_power(holder, rows, own) for holder in plan.moves):
            return None
        if not all(self._leaves_walk_ins(holder, rows, own, now) for holder in plan.moves):
            return None
        return Place(FreePlace(bay, span), watts)

    def _keeps_power(self, holder: int, rows: Sequence[Taken], newcomer: Floor) -> bool:
        """Whether one that is moved can be promised there what it was promised, beside all others."""
        moved = next(row for row in rows if row.holder == holder)
        bay = self.there.bays[moved.evse_id]
        others = [*_floors(row for row in rows if row.holder != holder), newcomer]
        return moved.power_w <= min(
            bay.max_power_w, Supply(self.there.limits, others).lowest(bay, moved.span).most_w
        )

    def _leaves_walk_ins(self, holder: int, rows: Sequence[Taken], newcomer: Floor, now: datetime) -> bool:
        """Whether one that is moved takes none of the EVSEs that are kept free where it goes."""
        moved = next(row for row in rows if row.holder == holder)
        comes = moved._replace(evse_id=newcomer.evse_id, span=newcomer.span, holder=0)
        others = [*(row for row in rows if row.holder != holder), comes]
        try:
            check_walk_ins(self.there, others, moved.evse_id, moved.span, fleets=self.fleets, now=now)
        except KeptForWalkIns:
            return False
        return True

    @cached_property
    def fleets(self) -> Mapping[int, int]:
        """Whose bookings stand there, by holder."""
        return fleets_of(self.standing.taken)

    def why_full(self, comer: Newcomer) -> str:
        """What stands in the way, for people: of others no more than that it is taken."""
        ids = [bay.pk for bay in comer.pool]
        if len(ids) == 1:
            return "This slot is taken."
        here = {c.evse_id for c in self.closures if c.period.overlaps(comer.wanted)}
        closed = len(here & set(ids))
        parts = [
            f"{len(ids) - closed} taken" if len(ids) > closed else "",
            f"{closed} closed" if closed else "",
        ]
        return (
            f"None of the {len(ids)} EVSEs that fit is free all the time ({', '.join(filter(None, parts))}), "
            "and no move of other bookings would make room."
        )


def _floors(rows: Iterable[Taken]) -> list[Floor]:
    return [Floor(row.evse_id, row.span, row.power_w) for row in rows if row.kind != Occupancy.Kind.CLOSURE]


def _movable_of(rows: Collection[Taken], now: datetime) -> dict[int, Booking]:
    found = Booking.objects.filter(pk__in=[row.holder for row in rows]).select_related("vehicle")
    return {booking.pk: booking for booking in found if may_be_moved(booking, now=now)}


def _movable(
    rows: Collection[Taken], bookings: Mapping[int, Booking], there: Configuration
) -> dict[int, Movable]:
    needs = request_log.needs_by_booking(bookings.values())
    found = {}
    for row in rows:
        if (booking := bookings.get(row.holder)) is not None:
            pool = there.pools.get(booking.option_id, ())
            others = may_go_to(pool, needs[booking.pk], power_w=row.power_w, but=row.evse_id)
            found[booking.pk] = Movable(row.span, others)
    return {holder: one for holder, one in found.items() if one.evse_ids}


def _move(ground: RoomGround, plan: Rearrangement, now: datetime) -> None:
    """Carry the moves out. Raises ReachesFurther where one of them cannot be moved any more: then all is looked at anew."""
    locked = lock_bookings(plan.moves)
    if len(locked) < len(plan.moves) or not all(may_be_moved(booking, now=now) for booking in locked):
        raise ReachesFurther
    with connection.cursor() as cursor:
        # Two that change places pass each other; whatever else overlaps is refused before anything comes after it.
        cursor.execute("SET CONSTRAINTS occupancy_evse_once DEFERRED")
        for booking in locked:
            _put(booking, ground.there.bays[plan.moves[booking.pk]], ground.movable[booking.pk].span, now)
        cursor.execute("SET CONSTRAINTS occupancy_evse_once IMMEDIATE")


def _put(booking: Booking, bay: Bay, span: Period, now: datetime) -> None:
    """With the time, power and price that it has. What it claims stays as it is."""
    tokens, left = list(booking.tokens.all()), booking.evse_id
    detail = {
        "by": Booking.Side.DEPOT,
        "groups": [Aspect.PLACE],
        "before": shown(booking, booking.evse.uid if booking.evse else None, tokens),
        "after": shown(booking, bay.uid, tokens),
        "note": MOVED,
    }
    booking.evse_id, booking.changed_by_depot_at = bay.pk, now
    occupancy.place(booking, bay.pk, span)
    lifecycle.record(
        booking,
        kind="changed",
        actor=ASSIGNMENT,
        at=now,
        detail=detail,
        fields=["evse", "changed_by_depot_at"],
    )
    calendars.mark_changed([left, bay.pk], at=now)
