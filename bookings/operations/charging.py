from __future__ import annotations

from datetime import datetime

from bookings import lifecycle, occupancy
from bookings.locking import lock_booking
from bookings.models import Booking, BookingStatus, Enforcement
from bookings.operations import requests
from depots.models import ChargingSession
from depots.periods import Period


def start_charging(*, booking_id: int, session: ChargingSession, actor: str, now: datetime) -> Booking:
    """An entitled token started a session in the slot: the booking is used. Raises WrongStatus.

    `now` is when it started as far as known; the session may stand at another EVSE of the depot than the booked one.
    """
    with lifecycle.one_operation():
        booking = lock_booking(booking_id, also=[session.evse_id] if session.evse_id else [])
        requests.decline_pending(booking, "The vehicle is charging already.", actor=actor, now=now)
        given_up = occupancy.drop_pending(booking)
        booking.session, booking.enforcement, booking.enforcement_why = session, Enforcement.USED, ""
        booking.next_try_at = None
        detail = {"transaction": session.transaction, "evse": session.evse.uid if session.evse else None}
        left = _follow_vehicle(booking, session, now)
        lifecycle.move(
            booking, BookingStatus.CHARGING, actor=actor, at=now, detail=detail, fields=["session", "evse"]
        )
        came_early = session.evse_id == booking.evse_id and occupancy.reach_back(booking, now)
        freed = [left, booking.evse_id] if left else [booking.evse_id if came_early else None]
        lifecycle.tell_calendars([*given_up, *freed], at=now)
    return booking


def _follow_vehicle(booking: Booking, session: ChargingSession, now: datetime) -> int | None:
    """A truck at another EVSE of the depot takes its booking there, if nobody else has that time; the EVSE it left."""
    left, there = booking.evse, session.evse
    until = booking.ends_at + booking.terms.tail
    if (
        there is None
        or left is None
        or there.pk == left.pk
        or there.depot_id != booking.depot_id
        or until <= now
    ):
        return None
    span = Period(now, until)
    if occupancy.others_in(there.pk, span, holder=booking.pk):
        return None
    was = occupancy.span_of(booking)
    booking.evse = there
    occupancy.place(booking, there, span)
    if was is not None:
        occupancy.fill_closures(left.pk, was)
    return left.pk


def complete(*, booking_id: int, at: datetime, actor: str, now: datetime) -> Booking:
    """The session ended at `at`: the EVSE is free after the turnaround. Raises WrongStatus."""
    with lifecycle.one_operation():
        booking = lock_booking(booking_id)
        session = booking.session
        requests.decline_pending(booking, "The vehicle has left.", actor=actor, now=now)
        detail = {"energy_wh": session.energy_wh, "ended_at": at.isoformat()} if session else {}
        lifecycle.move(booking, BookingStatus.COMPLETED, actor=actor, at=now, detail=detail, over_at=at)
    return booking
