"""What our own bookings ask for at partners that keep no bookings: nobody but us keeps them from one another."""

from __future__ import annotations

from collections.abc import Collection

from bookings.models import Booking, BookingStatus
from depots.periods import Period

ASKED = (BookingStatus.REQUESTED, BookingStatus.CONFIRMED, BookingStatus.CHARGING)


def asked_elsewhere(
    option_ids: Collection[int], within: Period, *, but: int | None = None
) -> dict[int, list[Period]]:
    """By option the periods that touch `within`, of all bookings `but` one. One query, and none without options."""
    found: dict[int, list[Period]] = {}
    if not option_ids:
        return found
    rows = Booking.objects.filter(option__in=option_ids, route=Booking.Route.OUTBOUND, status__in=ASKED)
    rows = rows.filter(starts_at__lt=within.ends_at, ends_at__gt=within.starts_at)
    if but is not None:
        rows = rows.exclude(pk=but)
    for option_id, starts_at, ends_at in rows.values_list("option", "starts_at", "ends_at"):
        found.setdefault(option_id, []).append(Period(starts_at, ends_at))
    return found
