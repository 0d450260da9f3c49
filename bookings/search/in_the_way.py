"""Who a late truck's slot would run into, as far as its fleet may know: its own bookings by name, all else as "taken"."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db.models import Min

from bookings.models import Booking, Occupancy
from bookings.rules import periods
from depots.periods import Period

# More are not named: the first of them is what the truck runs into.
MOST = 3


@dataclass(frozen=True)
class InTheWay:
    """What has the EVSE from a moment on: `own` is a booking of the same fleet, with its vehicle (its early start is its own);
    without one it is whatever others have there, up to when the finder would offer the time before it."""

    since: datetime
    own: Booking | None = None

    def words(self, zone: ZoneInfo) -> str:
        since = f"from {self.since.astimezone(zone):%H:%M}"
        if self.own is None:
            return f"taken {since}"
        plate = self.own.vehicle.plate if self.own.vehicle else self.own.plate
        return f"{plate} ({self.own.reference}) of yours, {since}"


def in_the_way(booking: Booking, wanted: Period) -> list[InTheWay]:
    """What takes the EVSE of a booking at a depot of ours in a period that it wants instead, in order of time. Two queries."""
    if booking.evse_id is None or not booking.is_ours:
        return []
    reach = wanted.widened(after=booking.terms.tail)
    rows = Occupancy.objects.filter(evse=booking.evse_id, span__overlap=reach).exclude(holder=booking.pk)
    since = dict(rows.values_list("holder").annotate(Min("span__startswith")))
    named = Booking.objects.filter(pk__in=since, fleet=booking.fleet_id).select_related("vehicle").in_bulk()
    found = [InTheWay(since[pk], own) for pk, own in named.items()]
    others = [at for holder, at in since.items() if holder not in named]
    if others:
        found.append(InTheWay(_shown(min(others), booking)))
    return sorted(found, key=lambda one: one.since)[:MOST]


def _shown(taken_from: datetime, booking: Booking) -> datetime:
    """Where the calendar shows that free time ends: on the step, with room for the tail of whoever has it before."""
    terms = booking.terms
    free_until = periods.aligned_down(taken_from - terms.tail, terms.slot_step_min, booking.depot)
    return max(free_until, booking.ends_at)


def sentence(booking: Booking, wanted: Period) -> str:
    """Empty where nothing is known."""
    zone = booking.depot.zone
    found = [one.words(zone) for one in in_the_way(booking, wanted)]
    return f"In its way: {'; '.join(found)}." if found else ""
