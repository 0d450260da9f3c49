"""Slots that are outlived."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Exists, OuterRef

from bookings.actors import ENFORCEMENT
from bookings.core import lifecycle
from bookings.core.locking import lock_booking
from bookings.enforcement.occupants import running_bookings
from bookings.enforcement.one_by_one import each_by_itself
from bookings.models import BookingEvent

AT_ONCE = 200


def note_overstays(*, now: datetime) -> int:
    """Sessions that have outlived their slot and the late stop of its terms, each told once. How many are new."""
    told = BookingEvent.objects.filter(booking=OuterRef("pk"), kind="overstay", at__gte=OuterRef("ends_at"))
    late = running_bookings().filter(~Exists(told), ends_at__lte=now)
    due = [booking.pk for booking in late.order_by("ends_at", "pk")[:AT_ONCE] if booking.overstays(now)]
    return each_by_itself(due, lambda pk: _note_overstay(pk, now))


def _note_overstay(booking_id: int, now: datetime) -> int:
    booking = lock_booking(booking_id)
    if not booking.overstays(now) or booking.events.filter(kind="overstay", at__gte=booking.ends_at).exists():
        return 0
    detail = {
        "since": booking.overstays_from().isoformat(),
        "evse": booking.evse.uid if booking.evse else None,
    }
    lifecycle.record(booking, kind="overstay", actor=ENFORCEMENT, at=now, detail=detail)
    return 1
