"""Who a late truck's slot would run into, as far as its fleet may know: its own bookings by name, another fleet's by their time
alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from bookings.models import Booking, Occupancy
from depots.periods import Period

# More are not named: the first of them is what the truck runs into.
MOST = 3


@dataclass(frozen=True)
class InTheWay:
    """What has the EVSE from a moment on (its early start is its own): `own` is a booking of the same fleet, with its vehicle."""

    since: datetime
    own: Booking | None = None
    is_closure: bool = False

    def words(self, zone: ZoneInfo) -> str:
        since = f"from {self.since.astimezone(zone):%H:%M}"
        if self.own is not None:
            plate = self.own.vehicle.plate if self.own.vehicle else self.own.plate
            return f"{plate} ({self.own.reference}) of yours, {since}"
        return f"the depot has closed it, {since}" if self.is_closure else f"another fleet, {since}"


def in_the_way(booking: Booking, wanted: Period) -> list[InTheWay]:
    """What takes the EVSE of a booking at a depot of ours in a period that it wants instead, in order of time. Two queries."""
    if booking.evse_id is None or not booking.is_ours:
        return []
    reach = wanted.widened(after=booking.terms.tail)
    rows = Occupancy.objects.filter(evse=booking.evse_id, span__overlap=reach).exclude(holder=booking.pk)
    found = list(rows.order_by("span")[:MOST])
    own = Booking.objects.filter(pk__in=[row.holder for row in found], fleet=booking.fleet_id)
    named = own.select_related("vehicle").in_bulk()
    return [
        InTheWay(row.span.starts_at, named.get(row.holder), row.kind == Occupancy.Kind.CLOSURE)
        for row in found
    ]


def sentence(booking: Booking, wanted: Period) -> str:
    """Empty where nothing is known."""
    zone = booking.depot.zone
    found = [one.words(zone) for one in in_the_way(booking, wanted)]
    return f"In its way: {'; '.join(found)}." if found else ""
