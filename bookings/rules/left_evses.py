"""The EVSE that a booking was at before its depot or fleet moved it: for a while a driver on the way there is still right."""

from __future__ import annotations

from datetime import datetime, timedelta

from bookings.models import Booking
from depots.models import Evse

MOVED_FOR = timedelta(minutes=15)


def was_just_at(booking: Booking, evse: Evse, *, now: datetime) -> bool:
    """Within MOVED_FOR. One query."""
    changes = booking.events.filter(kind="changed", at__gte=now - MOVED_FOR)
    return changes.filter(detail__before__evse=evse.uid).exists()
