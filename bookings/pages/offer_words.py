"""What a depot offers instead, in words for the pages of both sides."""

from __future__ import annotations

from dataclasses import dataclass

from bookings.core.occupancy import power_kept_beside
from bookings.models import Booking, BookingStatus
from bookings.operations.counter_offer import offered_period, open_counter_offer, otherwise

_OTHERWISE = {
    "declined": "Without a yes the request is declined.",
    "cancelled": "Without a yes the booking is cancelled, at the depot's cost.",
    "stays": "Without a yes the booking stays as it is.",
}


@dataclass(frozen=True)
class OfferWords:
    words: str
    note: str
    otherwise: str


def may_offer(booking: Booking) -> bool:
    """Whether its page has a way to offer something else; what stands against it is said then."""
    is_open = booking.status in {BookingStatus.REQUESTED, BookingStatus.CONFIRMED}
    return is_open and booking.is_ours and not booking.fleet.is_partner


def offer_words(booking: Booking) -> OfferWords | None:
    """None where nothing is offered."""
    offered = open_counter_offer(booking) if booking.decide_until is not None else None
    if offered is None:
        return None
    period, zone = offered_period(offered), booking.depot.zone
    starts_at, ends_at = period.starts_at.astimezone(zone), period.ends_at.astimezone(zone)
    parts = [
        str(offered.asked["evse"]),
        f"{starts_at:%a} {starts_at.day} {starts_at:%b}, {starts_at:%H:%M}–{ends_at:%H:%M}",
    ]
    if watts := power_kept_beside(booking):
        parts.append(f"at least {watts / 1000:g} kW")
    return OfferWords(
        " · ".join(parts), str(offered.asked.get("reason", "")), _OTHERWISE[otherwise(booking, offered)]
    )
