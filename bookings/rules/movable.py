"""Which bookings may be put at another EVSE so that one more finds a place."""

from __future__ import annotations

from datetime import datetime, timedelta

from bookings.models import Booking, BookingStatus, Enforcement

# Who is due at a charger so soon stays where it is: its driver may have looked already where to go.
LEFT_ALONE_BEFORE_DUE = timedelta(minutes=30)


def may_be_moved(booking: Booking, *, now: datetime) -> bool:
    """A confirmed booking that nobody chose the EVSE of, that no charger keeps or will keep soon, and that waits for no answer.

    A hold stays where it is: somebody has it before their eyes.
    """
    return (
        booking.status == BookingStatus.CONFIRMED
        and booking.route in {Booking.Route.OWN, Booking.Route.INBOUND}
        and not booking.is_evse_asked
        and booking.enforcement == Enforcement.NOT_DUE
        and booking.armed_evse_id is None
        and booking.decide_until is None
        and booking.starts_at - booking.terms.arm_lead - LEFT_ALONE_BEFORE_DUE > now
    )
