"""A truck that charges without its booking when the time of that begins: the booking has its session from then on, and nobody
plugs in again (docs/decisions/0102)."""

from __future__ import annotations

from datetime import datetime

from django.db.models import DateTimeField, Exists, ExpressionWrapper, OuterRef, Value

from bookings.actors import ENFORCEMENT
from bookings.core import calendars, occupancy, power_marks
from bookings.core.locking import lock_booking
from bookings.core.one_by_one import each_by_itself
from bookings.enforcement.occupants import is_of_another, own_session
from bookings.enforcement.state import longest_term
from bookings.models import Booking, BookingStatus
from bookings.operations import start_charging
from bookings.rules.terms import LONGEST_EARLY_START
from depots.models import ChargingSession

AT_ONCE = 200


def adopt_due(*, now: datetime) -> int:
    """Give every booking whose time has begun the session that its truck began before. How many there were."""
    unbooked = ChargingSession.objects.filter(
        evse=OuterRef("evse"), ended_at__isnull=True, announced_at__isnull=False, is_entitled=True, visit=None
    )
    begins_by = ExpressionWrapper(Value(now) + longest_term("early_start_min"), DateTimeField())
    due = Booking.objects.here().filter(
        Exists(unbooked),
        status=BookingStatus.CONFIRMED,
        starts_at__lte=now + LONGEST_EARLY_START,
        ends_at__gt=now,
    )
    soon = due.filter(starts_at__lte=begins_by).order_by("starts_at", "pk").values_list("pk", flat=True)
    return each_by_itself(list(soon[:AT_ONCE]), lambda pk: _adopt_if_begun(pk, now))


def adopt(booking: Booking, session: ChargingSession, *, now: datetime) -> Booking:
    """The booking is used by a session that runs at its EVSE already. Both are locked by that EVSE; what it was promised holds
    from now on."""
    begun = start_charging(
        booking_id=booking.pk, session=session, actor=ENFORCEMENT, now=now, is_adopted=True
    )
    power_marks.mark_depot(booking.depot_id, due_at=now)
    return begun


def _adopt_if_begun(booking_id: int, now: datetime) -> int:
    with calendars.one_operation():
        booking = lock_booking(booking_id)
        if booking.status != BookingStatus.CONFIRMED or booking.ends_at <= now:
            return 0
        session = own_session(booking)
        if session is None or is_of_another(session, booking) or not _has_begun(booking, now):
            return 0
        adopt(booking, session, now=now)
    return 1


def _has_begun(booking: Booking, now: datetime) -> bool:
    assert booking.evse_id is not None  # a session runs there
    return occupancy.has_begun(booking, is_free=not occupancy.is_taken(booking.evse_id, now), now=now)
