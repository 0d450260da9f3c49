"""What a customer's quotas leave, by what stands at the depot, for whoever takes a place there under its lock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from bookings.core.standing import Taken
from bookings.errors import TooManyBookings, TooManyHolds
from bookings.models import LIVE, Booking, BookingStatus, Occupancy
from bookings.rules import quotas
from bookings.rules.configuration import Configuration
from bookings.rules.power import Supply
from bookings.rules.quotas import Allotted, CountedPlace, Held
from bookings.rules.terms import Terms
from depots.models import Organisation
from depots.periods import Period

# So long a hold that came to nothing counts. Confirmed, it is no hold any more, whatever becomes of it.
HOLDS_COUNTED_FOR = timedelta(days=1)
_NOT_TAKEN = (BookingStatus.HELD, BookingStatus.EXPIRED, BookingStatus.CANCELLED)


def allotted(
    supply: Supply,
    there: Configuration,
    taken: Iterable[Taken],
    fleet_id: int,
    within: Period,
    *,
    booking_id: int | None = None,
    fleets: Mapping[int, int] | None = None,
    now: datetime,
) -> Supply | Allotted:
    """The power of a depot as far as this customer may have it inside a span. `taken` is what takes its EVSEs, all of them where
    anything is counted; what `booking_id` has by itself is left to it. One query for whose bookings these are, where `fleets`
    do not say so, and none where nothing is counted."""
    allowance = there.allowance(fleet_id, now=now)
    if not allowance.quotas:
        return supply
    rows = [row for row in taken if not row.is_overdue]
    own = [row for row in rows if row.holder == booking_id and row.kind == Occupancy.Kind.BOOKING]
    held = Held(own[0].evse_id, own[0].span, own[0].power_w) if own else None
    places = _places([row for row in rows if row.holder != booking_id], fleets)
    return Allotted(supply, quotas.caps_of(allowance, places, within, there.site.zone, held=held))


def check_walk_ins(
    there: Configuration,
    taken: Iterable[Taken],
    evse_id: int,
    span: Period,
    *,
    fleets: Mapping[int, int] | None = None,
    now: datetime,
) -> None:
    """For a place that is taken beside all of these. Raises KeptForWalkIns."""
    allowance = there.allowance(there.site.operator_id, now=now)
    if allowance.quotas:
        places = _places([row for row in taken if not row.is_overdue], fleets)
        caps = quotas.caps_of(allowance, places, span, there.site.zone)
        Allotted(Supply([], []), caps).promise(there.bays[evse_id], span, None, None)


def check_open_bookings(
    fleet: Organisation, depot_id: int, terms: Terms, *, without: int | None = None, now: datetime
) -> None:
    """Of those beside the booking `without`, which goes to these terms. Raises TooManyBookings. The depot's lock lets the second
    look after the first has booked."""
    most = terms.max_open_bookings
    if most is None:
        return
    live = Booking.objects.filter(fleet=fleet, depot=depot_id, status__in=LIVE).exclude(pk=without or 0)
    # A hold that ran out stands in nobody's way, whether or not somebody has swept it.
    if live.exclude(status=BookingStatus.HELD, held_until__lte=now).count() >= most:
        raise TooManyBookings(f"{fleet} may have {most} open bookings at this depot, and has them.")


def check_unused_holds(
    fleet: Organisation, depot_id: int, terms: Terms, *, adding: int = 0, now: datetime
) -> None:
    """Of what it holds there now (and `adding`), and what came to nothing within a day. What the waiting list held for it, or its
    depot took away, does not count. Raises TooManyHolds, behind the depot's lock."""
    most = terms.max_unused_holds
    if most is None:
        return
    kept = Booking.objects.filter(fleet=fleet, depot=depot_id, held_until__isnull=False, waited=None)
    kept = kept.filter(updated_at__gt=now - HOLDS_COUNTED_FOR, status__in=_NOT_TAKEN)
    if kept.exclude(cancelled_by=Booking.Side.DEPOT).count() + adding > most:
        raise TooManyHolds(
            f"Of the slots that {fleet} holds at this depot, {most} a day may come to nothing. Book it at once instead."
        )


def fleets_of(taken: Iterable[Taken]) -> Mapping[int, int]:
    """Whose bookings these are, by holder; a closure is nobody's."""
    booked = {row.holder for row in taken if row.kind != Occupancy.Kind.CLOSURE}
    return quotas.fleets_of(booked) if booked else {}


def _places(rows: list[Taken], fleets: Mapping[int, int] | None) -> list[CountedPlace]:
    whose = fleets_of(rows) if fleets is None else fleets
    return [
        CountedPlace(row.evse_id, row.span, row.holder, row.power_w, whose.get(row.holder)) for row in rows
    ]
