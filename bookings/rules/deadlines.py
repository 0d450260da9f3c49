"""Until when an ask can be answered."""

from __future__ import annotations

from datetime import datetime, timedelta

from bookings.models import Booking, BookingPayment, BookingStatus
from depots.periods import Period


def decide_until(booking: Booking, period: Period, now: datetime) -> datetime:
    """When an ask for this period that nobody answered fails."""
    return min(now + timedelta(minutes=booking.terms.decision_min), answer_until(booking, period))


def answer_until(booking: Booking, period: Period) -> datetime:
    """From when on granting the period is no use: the truck had to be there by then, or, as it charges, would be gone."""
    if booking.status == BookingStatus.CHARGING:
        return period.ends_at
    return booking.terms.no_show_at(period)


def answers_until(
    booking: Booking, payment: BookingPayment | None, *, approval: bool, now: datetime
) -> datetime | None:
    """When a booking that waits for its depot, for its payment or for both fails, asked for at `now`; None where it waits for
    neither."""
    paid_until = payment.until if payment is not None and payment.is_waited_for else None
    decided_until = decide_until(booking, booking.period, now) if approval else None
    return min((at for at in (paid_until, decided_until) if at is not None), default=None)
