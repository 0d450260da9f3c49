"""Until when an ask can be answered."""

from __future__ import annotations

from datetime import datetime, timedelta

from bookings.models import Booking, BookingStatus
from depots.periods import Period


def decide_until(booking: Booking, period: Period, now: datetime) -> datetime:
    """When an ask for this period that nobody answered fails."""
    return min(now + timedelta(minutes=booking.terms.decision_min), answer_until(booking, period))


def answer_until(booking: Booking, period: Period) -> datetime:
    """From when on granting the period is no use: the truck had to be there by then, or, as it charges, would be gone."""
    if booking.status == BookingStatus.CHARGING:
        return period.ends_at
    return booking.terms.no_show_at(period)
