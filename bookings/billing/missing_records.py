"""Issuing by hand what should have been issued when a session or booking ended."""

from __future__ import annotations

from datetime import datetime

from bookings.billing import cdrs
from bookings.billing.errors import NothingToRecord
from bookings.core import calendars
from bookings.core.locking import lock_booking
from bookings.models import BookingEvent, BookingStatus, ChargeDetailRecord
from bookings.rules import permissions
from depots.models import ChargingSession


def issue_missing_record(
    *, session_id: int | None = None, booking_id: int | None = None, now: datetime
) -> ChargeDetailRecord:
    """Of a session that has ended, or of a booking nobody used. Raises NothingToRecord where one is there, or nothing is due."""
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
            cdr = None
            if booking.status == BookingStatus.NO_SHOW:
                cdr = cdrs.issue_no_show(booking, now=now)
            else:
                given_up = BookingEvent.objects.filter(
                    booking=booking, kind="status", after=BookingStatus.CANCELLED
                ).last()
                if given_up is not None and permissions.was_late_cancellation(booking, given_up):
                    cdr = cdrs.issue_cancellation(booking, at=given_up.at, now=now)
            if cdr is not None:
                return cdr
        raise NothingToRecord("It has a record, or nothing is due for it.")
