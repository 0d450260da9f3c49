"""The EVSE that a booking was at before its depot or fleet moved it: for a while a driver on the way there is still right."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from bookings.models import Booking, BookingEvent
from depots.models import Evse

MOVED_FOR = timedelta(minutes=15)


def just_left(booking_ids: Collection[int], *, now: datetime) -> set[tuple[int, str]]:
    """(booking, uid of an EVSE that it was at within MOVED_FOR). One query."""
    changes = BookingEvent.objects.filter(booking__in=booking_ids, kind="changed", at__gte=now - MOVED_FOR)
    return set(changes.values_list("booking", "detail__before__evse"))


def was_just_at(booking: Booking, evse: Evse, *, now: datetime) -> bool:
    """Within MOVED_FOR. One query."""
    return (booking.pk, evse.uid) in just_left([booking.pk], now=now)
