"""What /slots asks: where, when and how long, read from its parameters into searches and their answers.

A window is looked at in stretches of a day, as long as some option has nothing yet; each is one search, by energy too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from pydantic import Field, model_validator

from bookings.api.fields import Kilowatts, Moment, Name, Parameters, Plate, watts
from bookings.api.problems import Invalid
from bookings.models import Vehicle
from bookings.operations import FullPool, full_pools, offers_by_moves
from bookings.rules.charging_duration import Charging, EnergyAsked
from bookings.rules.terms import LONGEST_BOOKING
from bookings.search.along_route import (
    MOST_CORRIDOR_KM,
    USUAL_CORRIDOR_KM,
    Journey,
    depots_on_the_way,
    find_slots_along,
)
from bookings.search.offers import find_slots
from bookings.search.routing import MOST_VIAS, route_through
from bookings.search.slots import SlotOffer, SlotSearch
from depots.geography import Circle
from depots.models import Depot, Organisation
from depots.periods import Period
from depots.routes import OppositePoints, Point

MOST_RADIUS_KM = 500.0
STRETCH = timedelta(days=1)
MOST_STRETCHES = 31
# Refusals that no later time would change.
SETTLED = frozenset({"does_not_fit", "too_far_ahead", "too_long"})
_TIMES = ("starts_at", "ends_at", "arrive_from", "arrive_to")
_LENGTHS = ("duration_min", "energy_kwh", "soc_from", "soc_to")


class SlotsQuery(Parameters):
    """Exactly one of `depot`, `near` and `along`; and a period, or (along a route) a departure, or a window with a length."""

    depot: Name | None = None
    near: str | None = Field(None, max_length=60, description="latitude,longitude")
    radius_km: float = Field(50.0, gt=0, le=MOST_RADIUS_KM)
    along: str | None = Field(None, max_length=600, description="latitude,longitude;latitude,longitude…")
    corridor_km: float = Field(USUAL_CORRIDOR_KM, gt=0, le=MOST_CORRIDOR_KM)
    depart_at: Moment | None = None
    vehicle: Plate | None = Field(None, description="its plate")
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    arrive_from: Moment | None = None
    arrive_to: Moment | None = None
    duration_min: int | None = Field(None, ge=1, le=int(LONGEST_BOOKING.total_seconds() // 60))
    energy_kwh: Kilowatts | None = None
    soc_from: int | None = Field(None, ge=0, le=100)
    soc_to: int | None = Field(None, ge=0, le=100)
    min_power_kw: Kilowatts | None = None

    @property
    def energy(self) -> EnergyAsked | None:
        """Raises EnergyImpossible."""
        asked = EnergyAsked(energy_wh=watts(self.energy_kwh), soc_from=self.soc_from, soc_to=self.soc_to)
        return asked.checked() if asked else None

    @model_validator(mode="after")
    def _is_one_question(self) -> Self:
        if faults := [*_place_faults(self), *_time_faults(self)]:
            raise Invalid(faults)
        return self


def _place_faults(query: SlotsQuery) -> Iterator[tuple[str, str]]:
    places = [name for name in ("depot", "near", "along") if getattr(query, name) is not None]
    if len(places) != 1:
        yield places[1] if places else "depot", "Give exactly one of depot, near and along."
    if "radius_km" in query.model_fields_set and query.near is None:
        yield "radius_km", "goes with near."
    for name in ("corridor_km", "depart_at"):
        if name in query.model_fields_set and query.along is None:
            yield name, "goes with along."


def _time_faults(query: SlotsQuery) -> Iterator[tuple[str, str]]:
    given = [name for name in _TIMES if getattr(query, name) is not None]
    lengths = [name for name in _LENGTHS if getattr(query, name) is not None]
    if query.along is None and given == ["starts_at", "ends_at"]:
        if lengths:
            yield lengths[0], "The period has its length already."
        if query.starts_at and query.ends_at and query.ends_at <= query.starts_at:
            yield "ends_at", "The end lies before the start."
        return
    yield from _departure_faults(query, given) if query.along is not None else _window_faults(query, given)
    if not lengths:
        yield "duration_min", "Give duration_min, energy_kwh, or soc_from and soc_to."
    elif query.duration_min is not None and len(lengths) > 1:
        yield lengths[1], "duration_min is the length already."


def _departure_faults(query: SlotsQuery, given: Sequence[str]) -> Iterator[tuple[str, str]]:
    if given:
        yield given[0], "Along a route there is no window: depart_at says when."
    if query.depart_at is None:
        yield "depart_at", "says when the truck sets out."


def _window_faults(query: SlotsQuery, given: Sequence[str]) -> Iterator[tuple[str, str]]:
    first, last = query.arrive_from, query.arrive_to
    if given != ["arrive_from", "arrive_to"] or first is None or last is None:
        wanted = _TIMES[2:] if "arrive_from" in given or "arrive_to" in given else _TIMES[:2]
        at_fault = next((name for name in wanted if name not in given), wanted[0])
        yield at_fault, "Give starts_at and ends_at, or arrive_from and arrive_to with a length."
    elif last < first:
        yield "arrive_to", "The window ends before it begins."
    elif last - first > MOST_STRETCHES * STRETCH:
        yield "arrive_to", f"A window is {MOST_STRETCHES} days long at most."


@dataclass(frozen=True)
class Found:
    """An offer, and how far it is from the place or the route that was named."""

    offer: SlotOffer
    distance_km: float | None = None


@dataclass(frozen=True)
class SlotQuestion:
    """Who looks for a slot, for which vehicle, with all that the parameters said."""

    query: SlotsQuery
    fleet: Organisation
    vehicle: Vehicle | None
    depot: Depot | None
    now: datetime

    def found(self) -> list[Found]:
        """One of each option: what can be booked, else why it cannot. Raises Invalid, EnergyImpossible."""
        if self.query.energy is not None:
            Charging.of(self.query.energy, self.vehicle)
            return self._lasting(timedelta(minutes=1))  # as long as it takes there
        if self.query.duration_min is not None:
            return self._lasting(timedelta(minutes=self.query.duration_min))
        assert self.query.starts_at is not None  # _time_faults
        assert self.query.ends_at is not None
        offers, full = self._searched(Period(self.query.starts_at, self.query.ends_at), None)
        return _best(self._placed([*offers, *offers_by_moves(full)]))

    def _lasting(self, length: timedelta) -> list[Found]:
        query = self.query
        if query.along is not None:
            return self._along(length)
        assert query.arrive_from is not None  # _time_faults
        assert query.arrive_to is not None
        best: dict[int, Found] = {}
        full: list[FullPool] = []
        since = query.arrive_from
        for _ in range(MOST_STRETCHES):
            patience = min(STRETCH, query.arrive_to - since)
            offers, full_then = self._searched(Period(since, since + length), patience)
            _take_better(best, self._placed(offers))
            full += full_then
            since += STRETCH
            if since > query.arrive_to or all(_is_settled(one.offer) for one in best.values()):
                break
        had = {pk for pk, one in best.items() if one.offer.is_free}
        _take_better(
            best, self._placed(offers_by_moves([pool for pool in full if pool.option_id not in had]))
        )
        return list(best.values())

    def _searched(self, period: Period, patience: timedelta | None) -> tuple[list[SlotOffer], list[FullPool]]:
        search = replace(self._search(period), depot=self.depot, near=self._circle(), patience=patience)
        offers = find_slots(search)
        return offers, full_pools(search, offers)

    def _placed(self, offers: Sequence[SlotOffer]) -> list[Found]:
        distance = _distance_from(self._circle())
        return [Found(offer, distance(offer.option.depot)) for offer in offers]

    def _along(self, length: timedelta) -> list[Found]:
        query = self.query
        assert query.depart_at is not None  # _time_faults
        assert query.along is not None
        try:
            route = route_through(_points(query.along))
        except OppositePoints as fault:
            raise Invalid([("along", str(fault))]) from None
        journey = Journey(route, query.depart_at, corridor_km=query.corridor_km)
        places = depots_on_the_way(journey, self.fleet, now=self.now)
        search = self._search(Period(query.depart_at, query.depart_at + length))
        offers = find_slots_along(journey, search, length, places=places)
        return _best([Found(one.offer, one.place.apart_km) for one in offers])

    def _search(self, period: Period) -> SlotSearch:
        return SlotSearch(
            fleet=self.fleet, periods=period, now=self.now, vehicle=self.vehicle, energy=self.query.energy,
            min_power_w=watts(self.query.min_power_kw), every_option=True,
        )  # fmt: skip

    def _circle(self) -> Circle | None:
        if self.query.near is None:
            return None
        return circle_around(self.query.near, self.query.radius_km)


def circle_around(near: str, radius_km: float) -> Circle:
    """Raises Invalid."""
    place = _point(near, "near")
    return Circle(place.latitude, place.longitude, radius_km)


def _best(found: Sequence[Found]) -> list[Found]:
    """Of each option the first, which is the best."""
    best: dict[int, Found] = {}
    _take_better(best, found)
    return list(best.values())


def _take_better(best: dict[int, Found], found: Sequence[Found]) -> None:
    """What can be booked takes the place of what cannot, and the earlier that of the later."""
    for one in found:
        known = best.get(one.offer.option.pk)
        if known is None or _order(one) < _order(known):
            best[one.offer.option.pk] = one


def _order(one: Found) -> tuple[bool, float]:
    return not one.offer.is_free, one.offer.period.starts_at.timestamp() if one.offer.is_free else 0.0


def _is_settled(offer: SlotOffer) -> bool:
    return offer.refusal is None or offer.refusal.code in SETTLED


def _distance_from(circle: Circle | None) -> Callable[[Depot], float | None]:
    if circle is None:
        return lambda depot: None
    return lambda depot: circle.distance_km(depot.latitude, depot.longitude)


def _points(text: str) -> list[Point]:
    """Raises Invalid."""
    parts = text.split(";")
    if not 2 <= len(parts) <= MOST_VIAS + 2:
        raise Invalid([("along", f"names 2 to {MOST_VIAS + 2} places, as in 53.55,9.99;47.56,7.59")])
    return [_point(part, "along") for part in parts]


def _point(text: str, name: str) -> Point:
    """Raises Invalid."""
    try:
        latitude, longitude = (float(part) for part in text.split(","))
    except ValueError:
        raise Invalid([(name, "is written as latitude,longitude, as in 51.31,9.49")]) from None
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise Invalid([(name, "lies on no globe")])
    return Point(latitude, longitude)
