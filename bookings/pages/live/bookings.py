"""What a changed booking looks like in the lists of its fleet. Boards hear of bars (bookings.pages.live.board)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.template.loader import render_to_string
from django.utils import timezone

from bookings.models import Booking
from bookings.pages import access, day
from bookings.pages.live.audiences import depot_audience, fleet_audience
from bookings.pages.live.rendering import Views, renders


@renders("booking")
def render_booking(booking_id: int) -> Views:
    """Lists of the fleet get the row itself; who looks after the depot and has its page open looks for himself."""
    booking = access.booking_rows().get(pk=booking_id)
    return {
        fleet_audience(booking.fleet_id): fleet_view(booking, timezone.now()),
        depot_audience(booking.depot_id): {},
    }


def fleet_view(booking: Booking, now: datetime) -> dict[str, Any]:
    """{"version", "group" (bookings.pages.day), "row": HTML}."""
    entry = day.entry(booking, now)
    row = render_to_string("bookings/_row.html", {"entry": entry})
    return {"version": booking.version, "group": entry.group, "row": row}
