"""Trips that were booked, or asked for, as their pages show them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from bookings.models import Booking, Trip
from bookings.operations.trips import trip_version
from bookings.pages import day
from bookings.pages.day import Entry
from bookings.rules.permissions import CANCELLABLE

# The look of a booking's status (bookings.templatetags) that a trip's is shown with, and its words.
LOOKS = {
    Trip.Status.ASKING.value: ("requested", "Waits for answers"),
    Trip.Status.BOOKED.value: ("confirmed", "Booked"),
    Trip.Status.FAILED.value: ("failed", "Not booked"),
    Trip.Status.CANCELLED.value: ("cancelled", "Cancelled"),
}


@dataclass(frozen=True)
class BookedTrip:
    """A trip with its stops in the order in which the truck comes to them; their rows are those of any list of bookings."""

    trip: Trip
    stops: list[Booking]
    now: datetime

    @classmethod
    def of(cls, trip: Trip, now: datetime) -> BookedTrip:
        """Of one whose stops were read with it, as `access.trips_of` does."""
        return cls(trip, sorted(trip.stops.all(), key=lambda stop: (stop.starts_at, stop.pk)), now)

    @property
    def look(self) -> str:
        return LOOKS[self.trip.status][0]

    @property
    def words(self) -> str:
        return LOOKS[self.trip.status][1]

    @cached_property
    def entries(self) -> list[Entry]:
        return day.entries(self.stops, self.now)

    @property
    def first(self) -> Entry:
        return day.entry(self.stops[0], self.now)

    @property
    def last(self) -> Entry:
        return day.entry(self.stops[-1], self.now)

    @property
    def plates(self) -> str:
        return ", ".join(dict.fromkeys(self._plate(stop) for stop in self.stops))

    @property
    def places(self) -> str:
        return " – ".join(stop.depot.name for stop in self.stops)

    @property
    def waits_for(self) -> int:
        """How many stops have no answer yet."""
        return sum(stop.status == "requested" for stop in self.stops)

    @property
    def answers_until(self) -> datetime | None:
        """On the clock of its first stop's depot, naive, as templates print it."""
        until = self.trip.answers_until
        return until.astimezone(self.stops[0].depot.zone).replace(tzinfo=None) if until else None

    @property
    def stays(self) -> list[Booking]:
        """Stops that stand though the trip as a whole does not."""
        is_over = self.trip.status in {Trip.Status.FAILED, Trip.Status.CANCELLED}
        return [stop for stop in self.stops if stop.is_live] if is_over else []

    @property
    def can_be_cancelled(self) -> bool:
        return any(stop.status in CANCELLABLE for stop in self.stops)

    @property
    def version(self) -> int:
        return trip_version(self.trip, self.stops)

    @staticmethod
    def _plate(stop: Booking) -> str:
        return (stop.vehicle.plate if stop.vehicle else stop.plate) or "No vehicle yet"


def booked_trips(trips: Iterable[Trip], now: datetime) -> list[BookedTrip]:
    return [BookedTrip.of(trip, now) for trip in trips]
