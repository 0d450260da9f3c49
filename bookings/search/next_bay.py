"""Where a truck whose bay is not ready, or whose charging broke off, can charge instead: as a question to the finder."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil
from urllib.parse import urlencode

from django.urls import reverse

from bookings.models import Booking
from bookings.rules import periods
from depots.periods import Period
from depots.wall_clock import local_text


def rest_period(booking: Booking, *, now: datetime) -> Period:
    """From the next possible start, for what it still needs."""
    starts_at = periods.first_start(booking.terms, booking.depot, now)
    return Period(starts_at, starts_at + timedelta(minutes=_rest_min(booking)))


def next_bay_url(booking: Booking, *, now: datetime) -> str:
    """The finder's answer for the same truck at the same depot."""
    zone, period = booking.depot.zone, rest_period(booking, now=now)
    asked = {
        "depot": booking.depot.code,
        "vehicle": booking.vehicle.plate if booking.vehicle else "",
        "starts_at": local_text(period.starts_at, zone),
        "ends_at": local_text(period.ends_at, zone),
    }
    return f"{reverse('bookings:slots')}?{urlencode(asked)}"


def _rest_min(booking: Booking) -> int:
    """Minutes on the step, within what the terms allow, for the energy that is missing; the booked length where that is not
    known."""
    terms, expected, power_w = booking.terms, booking.expected_wh, booking.promised_power_w
    minutes = booking.period.minutes
    if expected is not None and booking.metered_wh is not None and power_w:
        minutes = max(0, expected - booking.metered_wh) / power_w * 60
    step = terms.slot_step_min
    wanted = max(ceil(minutes / step) * step, ceil(terms.min_duration_min / step) * step)
    return min(wanted, terms.max_duration_min // step * step)
