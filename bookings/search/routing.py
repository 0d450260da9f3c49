"""The way from place to place: by great circles, or as a routing service says that an operator plugs in.

A service is a function named in `settings.ROUTING_SERVICE` (`BERTH_ROUTING_SERVICE=package.module.function`); it fulfils
`RoutingService`. Whatever it does is limited and checked: where it fails, is slow or answers nonsense, the way is by great
circles, and says so.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise
from math import isfinite
from threading import Thread
from typing import Protocol

from django.conf import settings
from django.db import connections
from django.utils.module_loading import import_string

from depots.routes import Line, Point, distance_km

logger = logging.getLogger(__name__)
MOST_VIAS = 8
# A truck's way by road is about so much longer than the great circle.
ROAD_FACTOR = 1.2
# What a service may answer: so many points, none further than that from one another, and so much longer than the great circle.
MOST_POINTS = 100_000
MOST_APART_KM = 500.0
MOST_FACTOR = 10.0
# How far its ends may lie from what was asked: a road is not always at the door.
MOST_OFF_KM = 30.0
WAIT_S = 5.0


class RoutingFailed(Exception):
    """A routing service gave nothing that could be used."""


@dataclass(frozen=True)
class RoutedWay:
    """What a routing service answers: the points of a way, in order, and its length by road in km (None: as the points say)."""

    points: Sequence[tuple[float, float]]
    length_km: float | None = None


class RoutingService(Protocol):
    """Gives the way a truck takes through these places (latitude, longitude), two at least. Called in a thread, without a
    transaction; whatever it raises counts as no answer."""

    def __call__(self, places: Sequence[tuple[float, float]]) -> RoutedWay: ...


@dataclass(frozen=True)
class Route:
    """A line on the globe and how long it is by road. `is_by_road`: a routing service gave it; `failed`: one should have."""

    line: Line
    length_km: float
    is_by_road: bool = False
    failed: bool = False

    @cached_property
    def _factor(self) -> float:
        return self.length_km / self.line.length_km if self.line.length_km else 1.0

    def by_road(self, along_km: float) -> float:
        """How far one has driven where the line is so long."""
        return along_km * self._factor

    def beside(self, apart_km: float) -> float:
        """How far it is by road to what lies so far from the line."""
        return apart_km * ROAD_FACTOR


def route_through(places: Sequence[Point]) -> Route:
    """From the first place by the others to the last, by the plugged-in service where there is one. Raises OppositePoints."""
    if not settings.ROUTING_SERVICE:
        return great_circles(places)
    try:
        return _routed(settings.ROUTING_SERVICE, tuple(places))
    except RoutingFailed as failure:
        logger.warning("The routing service gave no way: %s", failure)
        return replace(great_circles(places), failed=True)


def great_circles(places: Sequence[Point]) -> Route:
    line = Line(tuple(places))
    return Route(line, line.length_km * ROAD_FACTOR)


@lru_cache(maxsize=256)
def _routed(name: str, places: tuple[Point, ...]) -> Route:
    """Kept: a page asks for the same way again with each change of its other fields."""
    try:
        service = import_string(name)
    except ImportError as missing:
        raise RoutingFailed(str(missing)) from missing
    return _checked(_asked(service, places), places)


# One call at a time that does not come back is enough: while it hangs, and for as long as it may hang, nobody else waits.
_hanging: list[Thread] = []


def _asked(service: RoutingService, places: tuple[Point, ...]) -> RoutedWay:
    """In a thread of its own, which is left to itself when it takes too long."""
    _hanging[:] = [thread for thread in _hanging if thread.is_alive()]
    if _hanging:
        raise RoutingFailed("an earlier call still hangs")
    call = _Call(service, [(place.latitude, place.longitude) for place in places])
    call.start()
    call.join(WAIT_S)
    if call.is_alive():
        _hanging.append(call)
        raise RoutingFailed(f"no answer within {WAIT_S:g} s")
    if call.way is None:
        raise RoutingFailed(call.fault)
    return call.way


class _Call(Thread):
    """A daemon: a process that stops waits for no service."""

    def __init__(self, service: RoutingService, places: list[tuple[float, float]]) -> None:
        super().__init__(name="routing", daemon=True)
        self._service, self._places = service, places
        self.way: RoutedWay | None = None
        self.fault = "it gave nothing"

    def run(self) -> None:
        try:
            self.way = self._service(self._places)
        except Exception as fault:
            self.fault = f"{type(fault).__name__}: {fault}"
        finally:
            connections.close_all()


def _checked(way: RoutedWay, places: Sequence[Point]) -> Route:
    try:
        points = [_sound(*pair) for pair in way.points[: MOST_POINTS + 1]]
        length_km = None if way.length_km is None else float(way.length_km)
    except (TypeError, ValueError, AttributeError) as fault:
        raise RoutingFailed(f"not a way: {fault}") from fault
    if not 2 <= len(points) <= MOST_POINTS:
        raise RoutingFailed(f"{len(points)} points; 2 to {MOST_POINTS} are taken")
    if any(distance_km(a, b) > MOST_APART_KM for a, b in pairwise(points)):
        raise RoutingFailed(f"two points that follow one another are more than {MOST_APART_KM:g} km apart")
    line = Line.thinned(points)
    for place in places:
        if line.position(*place, within_km=MOST_OFF_KM) is None:
            raise RoutingFailed(f"it does not come past {place.latitude:.4f}, {place.longitude:.4f}")
    shortest = sum(distance_km(a, b) for a, b in pairwise(places))
    length_km = line.length_km if length_km is None else length_km
    if not isfinite(length_km) or not line.length_km * 0.9 <= length_km <= max(shortest, 1) * MOST_FACTOR:
        raise RoutingFailed(f"a length of {length_km} km")
    return Route(line, length_km, is_by_road=True)


def _sound(latitude: float, longitude: float) -> Point:
    place = Point(float(latitude), float(longitude))
    if not (-90 <= place.latitude <= 90 and -180 <= place.longitude <= 180):  # NaN is neither
        raise ValueError(f"a point at {latitude}, {longitude}")
    return place
