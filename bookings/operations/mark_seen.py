from __future__ import annotations

from datetime import datetime

from django.db import transaction

from bookings.actors import Actor
from bookings.core import lifecycle
from bookings.core.locking import lock_booking
from bookings.errors import ChangedMeanwhile
from bookings.models import Booking


def mark_seen(*, booking_id: int, seen_version: int | None = None, actor: Actor, now: datetime) -> Booking:
    """A dispatcher has looked at what the depot changed; the mark goes for the whole fleet.

    Raises ChangedMeanwhile when the depot's latest change came after the version that was looked at.
    """
    with transaction.atomic():
        booking = lock_booking(booking_id)
        if booking.is_changed_unseen:
            _check_was_shown(booking, seen_version)
            booking.seen_by_fleet_at = now
            lifecycle.record(booking, kind="seen", actor=actor, at=now, fields=["seen_by_fleet_at"])
    return booking


def _check_was_shown(booking: Booking, seen_version: int | None) -> None:
    if seen_version is None:
        return
    later = booking.events.filter(version__gt=seen_version, at__gte=booking.changed_by_depot_at)
    if later.exclude(kind__in=["enforcement", "seen"]).exists():
        raise ChangedMeanwhile("The depot has changed it again since this page was shown.")
