"""Issuing by hand what should have been issued when a session or booking ended."""

from __future__ import annotations

from datetime import datetime

from bookings.billing import cdrs
from bookings.billing.errors import NothingToRecord
from bookings.core import calendars
from bookings.core.locking import lock_booking
from bookings.models import Booking, BookingEvent, BookingStatus, ChargeDetailRecord
from bookings.rules import permissions
from bookings.rules.own_slots import session_into
from depots.models import ChargingSession


def issue_missing_record(
    *, session_id: int | None = None, booking_id: int | None = None, now: datetime
) -> ChargeDetailRecord:
    """Of a session that has ended, or of a booking that has none of its own: nobody used it, or its truck stayed on from the
    booking before. Raises NothingToRecord where one is there, or nothing is due."""
    with calendars.one_operation():
        booking = lock_booking(booking_id) if booking_id is not None else None
        if session_id is not None:
            session = ChargingSession.objects.select_for_update(no_key=True, of=("self",)).get(pk=session_id)
            if session.ended_at is not None and not session.cdrs.exists():
                cdrs.settle_session(session, now=now)
                found = session.cdrs.order_by("id").last()
                if found is not None:
                    return found
        elif booking is not None and not booking.cdrs.exists():
            cdr = _issue_of_booking(booking, now)
            if cdr is not None:
                return cdr
        raise NothingToRecord("It has a record, or nothing is due for it.")


def _issue_of_booking(booking: Booking, now: datetime) -> ChargeDetailRecord | None:
    if booking.status == BookingStatus.NO_SHOW:
        return cdrs.issue_no_show(booking, now=now)
    if booking.status == BookingStatus.COMPLETED:
        before = session_into(booking) if booking.session is None else None
        if before is not None and before.ended_at is not None:
            cdrs.settle_stay(booking, before, now=now)
        return booking.cdrs.order_by("id").last()
    given_up = BookingEvent.objects.filter(
        booking=booking, kind="status", after=BookingStatus.CANCELLED
    ).last()
    if given_up is None or not permissions.was_late_cancellation(booking, given_up):
        return None
    return cdrs.issue_cancellation(booking, at=given_up.at, now=now)
