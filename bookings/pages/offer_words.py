"""What a depot offers instead, in words for the pages of both sides."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from bookings.core.occupancy import power_kept_beside
from bookings.models import Booking, BookingStatus
from bookings.operations.counter_offer import offered_period, open_counter_offer, otherwise
from depots.periods import Period

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


def span_words(period: Period, zone: ZoneInfo) -> str:
    """`Tue 15 Jan, 15:00–16:00`."""
    return f"{moment_words(period.starts_at, zone)}–{period.ends_at.astimezone(zone):%H:%M}"


def moment_words(moment: datetime, zone: ZoneInfo) -> str:
    """`Tue 15 Jan, 15:00`."""
    local = moment.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b}, {local:%H:%M}"


def may_offer(booking: Booking) -> bool:
    """Whether its page has a way to offer something else; what stands against it is said then."""
    is_open = booking.status in {BookingStatus.REQUESTED, BookingStatus.CONFIRMED}
    return is_open and booking.is_ours and not booking.fleet.is_partner


def offer_words(booking: Booking) -> OfferWords | None:
    """None where nothing is offered."""
    offered = open_counter_offer(booking) if booking.decide_until is not None else None
    if offered is None:
        return None
    parts = [str(offered.asked["evse"]), span_words(offered_period(offered), booking.depot.zone)]
    if watts := power_kept_beside(booking):
        parts.append(f"at least {watts / 1000:g} kW")
    return OfferWords(
        " · ".join(parts), str(offered.asked.get("reason", "")), _OTHERWISE[otherwise(booking, offered)]
    )
