"""Who stands at a booking's bay, by the sessions chargers told of and not by what they say of themselves."""

from __future__ import annotations

from django.db.models import QuerySet

from bookings.models import Booking, BookingStatus
from bookings.rules.own_slots import is_own, session_at
from depots.models import ChargingSession


def session_in_bay(booking: Booking) -> ChargingSession | None:
    """The session that is on at the booking's EVSE; None while it is free."""
    return session_at(booking.evse_id)


def is_bay_taken(booking: Booking) -> bool:
    """Whether somebody else's session is on at its EVSE."""
    session = session_in_bay(booking)
    return session is not None and not is_own(session, booking)


def own_session(booking: Booking) -> ChargingSession | None:
    """The one its truck began there before its time; None where nobody or somebody else charges."""
    session = session_in_bay(booking)
    return session if session is not None and is_own(session, booking) else None


def is_of_another(session: ChargingSession, booking: Booking) -> bool:
    """Whether another booking counts it."""
    return hasattr(session, "visit") and session.visit.booking_id != booking.pk


def running_bookings() -> QuerySet[Booking]:
    """At depots of ours, with a session of their own that has not ended."""
    return used_bookings().exclude(session=None)


def used_bookings() -> QuerySet[Booking]:
    """At depots of ours, with no session that has ended: one runs, or that of the booking before goes on."""
    return Booking.objects.here().filter(status=BookingStatus.CHARGING, session__ended_at__isnull=True)
