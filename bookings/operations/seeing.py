from __future__ import annotations

from datetime import datetime

from django.db import transaction

from bookings import lifecycle
from bookings.locking import lock_booking
from bookings.models import Booking


def mark_seen(*, booking_id: int, actor: str, now: datetime) -> Booking:
    """A dispatcher has looked at what the depot changed; the mark goes for the whole fleet."""
    with transaction.atomic():
        booking = lock_booking(booking_id)
        if booking.is_changed_unseen:
            booking.seen_by_fleet_at = now
            lifecycle.record(booking, kind="seen", actor=actor, at=now, fields=["seen_by_fleet_at"])
    return booking
