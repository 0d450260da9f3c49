"""What a changed booking looks like in the lists of its fleet. Boards hear of bars (bookings.pages.live.board)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.template.loader import render_to_string
from django.utils import timezone

from bookings.models import Booking
from bookings.pages import access, day
from bookings.pages.live.audiences import depot_audience, fleet_audience
from bookings.pages.live.rendering import Views, renders_all
from bookings.rules.own_slots import note_going_on


@renders_all("booking")
def render_bookings(booking_ids: list[int]) -> dict[int, Views]:
    """Lists of the fleet get the row itself; who looks after the depot and has its page open looks for himself."""
    now = timezone.now()
    rows = list(access.booking_rows().filter(pk__in=booking_ids))
    note_going_on(rows, now=now)
    return {
        booking.pk: {
            fleet_audience(booking.fleet_id): fleet_view(booking, now),
            depot_audience(booking.depot_id): {},
        }
        for booking in rows
    }


def fleet_view(booking: Booking, now: datetime) -> dict[str, Any]:
    """{"version", "group" (bookings.pages.day), "row": HTML}."""
    entry = day.entry(booking, now)
    row = render_to_string("bookings/_row.html", {"entry": entry})
    return {"version": booking.version, "group": entry.group, "row": row}
