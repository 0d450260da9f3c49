"""A fleet's bookings of one day as rows for another: vehicle, place and times of the depot's clock stay."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from bookings.imports.pasted_table import PastedRow
from bookings.models import Booking, BookingStatus
from depots.models import Organisation

# What was booked and not given up, whatever became of it.
_TAKEN = [
    BookingStatus.REQUESTED,
    BookingStatus.CONFIRMED,
    BookingStatus.CHARGING,
    BookingStatus.COMPLETED,
    BookingStatus.NO_SHOW,
]
_A_DAY = timedelta(days=1)


def rows_of_day(fleet: Organisation, day: date, to: date) -> list[PastedRow]:
    """In the order of their starts; what begins on that day at its depot. One query."""
    midnight = datetime.combine(day, time(), UTC)
    rows = Booking.objects.filter(
        fleet=fleet, status__in=_TAKEN, starts_at__gte=midnight - _A_DAY, starts_at__lt=midnight + 2 * _A_DAY
    )
    found = rows.select_related("depot", "option", "vehicle", "trailer").order_by("starts_at", "pk")
    return [_row(one, to) for one in found if one.starts_at.astimezone(one.depot.zone).date() == day]


def _row(booking: Booking, to: date) -> PastedRow:
    first, last = (moment.astimezone(booking.depot.zone) for moment in (booking.starts_at, booking.ends_at))
    wish = booking.wished_power_w
    return PastedRow(
        vehicle=booking.vehicle.plate if booking.vehicle else booking.plate,
        place=booking.option.code,
        day=f"{to:%Y-%m-%d}",
        starts=f"{first:%H:%M}",
        ends=f"{last:%H:%M}",
        power=f"{wish / 1000:g}" if wish else "",
        trailer=booking.trailer.plate if booking.trailer else "",
    )
