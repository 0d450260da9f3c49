"""A truck that charges on into its next slot at the same EVSE: its session stays the first booking's, and the second is used
(docs/decisions/0105)."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Exists, OuterRef

from bookings import operations
from bookings.actors import ENFORCEMENT
from bookings.core import power_marks
from bookings.core.locking import lock_booking
from bookings.core.one_by_one import each_by_itself
from bookings.models import Booking, BookingStatus
from bookings.operations import begin_stay
from bookings.rules.own_slots import session_into
from depots.models import ChargingSession

AT_ONCE = 200


def take_stay(booking: Booking, session: ChargingSession, *, now: datetime) -> Booking:
    """The booking, which is locked, is used by a session that lasts, or did, from the one before into its slot."""
    begun = begin_stay(booking_id=booking.pk, session=session, actor=ENFORCEMENT, now=now)
    power_marks.mark_depot(booking.depot_id, due_at=now)
    return _end(begun, session.ended_at, now) if session.ended_at is not None else begun


def end_stays(*, now: datetime) -> int:
    """Complete what was used by a session of the booking before that has ended. How many there were."""
    running = ChargingSession.objects.filter(
        evse=OuterRef("evse"), ended_at__isnull=True, started_at__lt=OuterRef("starts_at")
    )
    stays = Booking.objects.here().filter(~Exists(running), status=BookingStatus.CHARGING, session=None)
    ids = list(stays.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])
    return each_by_itself(ids, lambda pk: _end_stay(pk, now))


def _end_stay(booking_id: int, now: datetime) -> int:
    booking = lock_booking(booking_id)
    if booking.status != BookingStatus.CHARGING or booking.session_id is not None:
        return 0  # it has plugged in again
    session = session_into(booking)
    if session is not None and session.ended_at is None:
        return 0
    _end(booking, session.ended_at if session is not None else None, now)
    return 1


def _end(booking: Booking, at: datetime | None, now: datetime) -> Booking:
    return operations.complete(booking_id=booking.pk, at=at or now, actor=ENFORCEMENT, now=now)
