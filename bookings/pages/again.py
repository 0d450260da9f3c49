"""A booking again at another time: the finder filled in as it was."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode

from django.urls import reverse

from bookings.models import Booking, BookingStatus
from bookings.pages.forms.energy import written
from bookings.rules.energy_slots import asked_of
from depots.wall_clock import MomentUnclear, in_zone


class Again(NamedTuple):
    """Words of when, and the finder's address."""

    words: str
    url: str


def book_again(booking: Booking, *, now: datetime) -> list[Again]:
    """At the same time of the depot's clock on the next day and a week on, of what is to come then; nothing for a hold."""
    if booking.status == BookingStatus.HELD:
        return []
    zone = booking.depot.zone
    first, last = (
        moment.astimezone(zone).replace(tzinfo=None) for moment in (booking.starts_at, booking.ends_at)
    )
    today = now.astimezone(zone).date()
    next_day = max((today - first.date()).days, 0) + 1
    next_week = 7 * ((next_day + 6) // 7)
    return [
        Again(f"{first + timedelta(days=days):%a %-d %b, %H:%M}", _address(booking, first, last, days))
        for days in dict.fromkeys((next_day, next_week))
        if _is_a_time(first + timedelta(days=days), booking)
    ]


def _is_a_time(local: datetime, booking: Booking) -> bool:
    """Not in the hour that clocks skip or show twice."""
    try:
        in_zone(local, booking.depot.zone)
    except MomentUnclear:
        return False
    return True


def _address(booking: Booking, first: datetime, last: datetime, days: int) -> str:
    asked = {
        "fleet": booking.fleet.name,
        "depot": booking.depot.code,
        "vehicle": booking.vehicle.plate if booking.vehicle else "",
        "trailer": booking.trailer.plate if booking.trailer else "",
        "starts_at": f"{first + timedelta(days=days):%Y-%m-%dT%H:%M}",
        "ends_at": f"{last + timedelta(days=days):%Y-%m-%dT%H:%M}",
        **written(asked_of(booking)),
    }
    given = {name: value for name, value in asked.items() if value}
    return f"{reverse('bookings:slots')}?{urlencode(given)}"
