"""How many bookings that are not over partners have at depots where terms limit them: at the limit nothing there is free."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Count

from bookings.models import LIVE, Booking
from bookings.models.bookings import BookingStatus
from bookings.rules.terms import Terms

Guest = tuple[int, int]  # organisation and depot, by key


def held_by(asked: Iterable[tuple[Guest, Terms]], *, now: datetime) -> dict[Guest, int]:
    """Counted as a booking counts them, of those whose terms limit them: one query, and none where nobody's do."""
    limited = {guest for guest, terms in asked if terms.max_open_bookings is not None}
    if not limited:
        return {}
    rows = Booking.objects.filter(
        fleet__in={fleet for fleet, _ in limited},
        depot__in={depot for _, depot in limited},
        status__in=LIVE,
    ).exclude(status=BookingStatus.HELD, held_until__lte=now)
    counted = rows.order_by().values_list("fleet_id", "depot_id").annotate(Count("pk"))
    return {(fleet, depot): held for fleet, depot, held in counted}


def has_room(guest: Guest, terms: Terms, held: dict[Guest, int]) -> bool:
    return terms.max_open_bookings is None or held.get(guest, 0) < terms.max_open_bookings
