"""What can be booked along a route: which depots lie on the way, when a truck gets there, and the first slot it could use.

A truck drives the route at the journey's speed and takes the breaks and rests that Regulation (EC) No 561/2006 asks for
(bookings.rules.driving_times), so that no slot begins before it can be there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bookings.rules.driving_times import RESTED, Duty, least_time
from bookings.search import availability
from bookings.search.bookable import bookable_depots
from bookings.search.offers import find_slots
from bookings.search.routing import Route
from bookings.search.slots import SlotOffer, SlotSearch
from depots.models import Depot, Organisation
from depots.periods import Period

USUAL_CORRIDOR_KM = 20.0
MOST_CORRIDOR_KM = 100.0
# A lorry may do 80 on most motorways of Europe; hills, building sites and junctions take the rest.
USUAL_SPEED_KMH = 70.0
# A slot that a truck would wait for longer than that is not offered on its way.
PATIENCE = min(timedelta(hours=12), availability.FAR)


@dataclass(frozen=True)
class Journey:
    """A route that a truck sets out on at a moment, as what its driver has behind by then."""

    route: Route
    depart_at: datetime
    corridor_km: float = USUAL_CORRIDOR_KM
    speed_kmh: float = USUAL_SPEED_KMH
    duty: Duty = RESTED

    def driving(self, km: float) -> timedelta:
        """How long so many kilometres by road take, without stops."""
        return timedelta(hours=km / self.speed_kmh)

    def arrives_at(self, driven_km: float) -> datetime:
        """When a truck is there at the earliest, with no more stops than the driver must make."""
        return self.depart_at + least_time(self.driving(driven_km), self.duty)


@dataclass(frozen=True)
class OnTheWay:
    """A depot beside a route. By road: so far along the route one turns off, and so far it is from there; all in km.

    `arrives_at` is the earliest that a truck can be there.
    """

    depot: Depot
    along_km: float
    apart_km: float
    arrives_at: datetime

    @property
    def detour_km(self) -> float:
        """There and back to the route."""
        return 2 * self.apart_km


@dataclass(frozen=True)
class RouteOffer:
    """The first slot of an option at a depot on the way; the offer's own period says when."""

    place: OnTheWay
    offer: SlotOffer


def depots_on_the_way(journey: Journey, fleet: Organisation, *, now: datetime) -> list[OnTheWay]:
    """The depots that a fleet may book within the corridor, as one comes past them. One query."""
    boxes = journey.route.line.boxes(journey.corridor_km)
    return among(journey, bookable_depots(fleet, boxes=boxes, now=now))


def among(journey: Journey, depots: Sequence[Depot]) -> list[OnTheWay]:
    """Those of some depots that lie within the corridor, as one comes past them."""
    found = [place for depot in depots if (place := _place(journey, depot)) is not None]
    return sorted(found, key=lambda place: (place.along_km, place.apart_km, place.depot.pk))


def find_slots_along(
    journey: Journey,
    search: SlotSearch,
    length: timedelta | Mapping[int, timedelta],
    *,
    places: Sequence[OnTheWay] | None = None,
) -> list[RouteOffer]:
    """Of each option on the way the first slot of at least that length that begins once a truck can be there, free ones first in
    the order in which one comes past them; refused ones say why. Constant number of queries.

    `search` says for whom and which vehicle; its time and place do not count. `places` where they are known already, each asked
    about from its `arrives_at` on, and `length` for all of them or by the depot's id.
    """
    if places is None:
        places = depots_on_the_way(journey, search.fleet, now=search.now)
    if not places:
        return []
    here = {place.depot.pk: place for place in places}
    lengths = length if isinstance(length, Mapping) else dict.fromkeys(here, length)
    periods = {pk: Period(place.arrives_at, place.arrives_at + lengths[pk]) for pk, place in here.items()}
    last = max(period.ends_at for period in periods.values())
    asked = replace(
        search, periods=Period(min(period.starts_at for period in periods.values()), last), at_depots=periods,
        depot=None, near=None, among=[place.depot for place in places], patience=search.patience or PATIENCE,
    )  # fmt: skip
    offers = [RouteOffer(here[offer.option.depot_id], offer) for offer in find_slots(asked)]
    return sorted(offers, key=lambda one: (not one.offer.is_free, one.place.along_km))


def _place(journey: Journey, depot: Depot) -> OnTheWay | None:
    found = journey.route.line.position(depot.latitude, depot.longitude, within_km=journey.corridor_km)
    if found is None:
        return None
    along_km, apart_km = journey.route.by_road(found.along_km), journey.route.beside(found.apart_km)
    return OnTheWay(depot, along_km, apart_km, journey.arrives_at(along_km + apart_km))
