"""What else could be had instead of a booking that its depot, or a partner, did not grant or took back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.urls import reverse

from bookings.models import Booking, BookingStatus
from bookings.pages import wording
from bookings.search.offers import find_slots
from bookings.search.slots import SlotOffer, SlotSearch
from depots.periods import Period
from depots.wall_clock import local_text

MOST = 3
NOT_GRANTED = {BookingStatus.DECLINED, BookingStatus.FAILED}


@dataclass(frozen=True)
class Instead:
    """`slots` are (words, address in the finder) at the same depot, the nearest first; `elsewhere` asks for the same time."""

    slots: list[tuple[str, str]]
    elsewhere: str


def instead_of(booking: Booking, *, now: datetime) -> Instead | None:
    """None where nothing is to be replaced any more. As many queries as one search."""
    is_taken_back = booking.status == BookingStatus.CANCELLED and booking.cancelled_by == Booking.Side.DEPOT
    if not (is_taken_back or booking.status in NOT_GRANTED) or booking.starts_at <= now:
        return None
    search = SlotSearch(
        booking.fleet, booking.period, now, depot=booking.depot, vehicle=booking.vehicle, fitting_only=True, is_refused=True
    )  # fmt: skip
    periods = {period for offer in find_slots(search) if (period := _possible(offer)) is not None}
    nearest = sorted(periods, key=lambda period: abs(period.starts_at - booking.starts_at))[:MOST]
    return Instead(
        [(_words(booking, period), _address(booking, period)) for period in nearest],
        _address(booking, booking.period, at_depot=False),
    )


def _possible(offer: SlotOffer) -> Period | None:
    """At a partner what is beside the time that it said no to, even if its calendar shows that as free."""
    period = offer.period if offer.is_free and not offer.is_hint else offer.nearest
    return period and period.in_utc()


def _words(booking: Booking, period: Period) -> str:
    ends = period.ends_at.astimezone(booking.depot.zone)
    return f"{wording.local(period.starts_at, booking.period, booking.depot)}–{ends:%H:%M}"


def _address(booking: Booking, period: Period, *, at_depot: bool = True) -> str:
    zone = booking.depot.zone
    asked = {
        "depot": booking.depot.code if at_depot else "",
        "vehicle": booking.vehicle.plate if booking.vehicle else "",
        "starts_at": local_text(period.starts_at, zone),
        "ends_at": local_text(period.ends_at, zone),
    }
    return f"{reverse('bookings:slots')}?{urlencode(asked)}"
