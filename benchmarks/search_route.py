"""Search along Hamburg–Basel among five thousand depots: what a depot found costs beside a search at that depot alone."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from benchmarks.result import Result
from benchmarks.search import DEPOTS, FEW

CORRIDOR_KM = 20.0
ROUNDS = 7
BREAK = timedelta(minutes=45)


def run(names: list[str]) -> Iterator[Result]:
    from benchmarks import search_world as world
    from bookings.search.along_route import Journey, depots_on_the_way, find_slots_along
    from bookings.search.offers import find_slots
    from bookings.search.routing import great_circles
    from bookings.search.slots import SlotSearch
    from depots.routes import Point

    began = time.perf_counter()
    vehicle = world.build(DEPOTS)
    evse_ids = world.evse_ids()
    rows = world.occupy(evse_ids, FEW)
    loaded_s = time.perf_counter() - began
    route = great_circles([Point(53.55, 9.99), Point(47.56, 7.59)])
    journey = Journey(route, world.NOW + timedelta(hours=20), corridor_km=CORRIDOR_KM)
    search = SlotSearch(
        vehicle.fleet, world.ASKED, world.NOW, vehicle=vehicle, min_power_w=world.LEAST_W, fitting_only=True
    )
    places = depots_on_the_way(journey, vehicle.fleet, now=world.NOW)
    alone = [_at(place, search) for place in places]
    along_ms, alone_ms = _rounds(
        partial(find_slots_along, journey, search, BREAK), [partial(find_slots, one) for one in alone]
    )
    offers = find_slots_along(journey, search, BREAK)
    _agree(offers, [offer for one in alone for offer in find_slots(one)])
    along, single = min(along_ms), min(alone_ms) / len(places)
    yield Result(
        "search_route",
        along / len(places) / single,
        "<= 2",
        {
            "depots": DEPOTS, "rows": rows, "loaded_s": round(loaded_s), "depots_found": len(places),
            "offers": len(offers), "free_of_them": sum(one.offer.is_free for one in offers),
            "ms": round(along, 1),
            "ms_a_depot": round(along / len(places), 3),
            "ms_of_one_depot_alone": round(single, 3),
            "median_ms": round(statistics.median(along_ms), 1),
        },
    )  # fmt: skip


def _rounds(along: Callable[[], Any], alone: list[Callable[[], Any]]) -> tuple[list[float], list[float]]:
    """Milliseconds of each round but the first, which pays what a process pays once."""
    taken = [(_ms(along), sum(_ms(one) for one in alone)) for _ in range(ROUNDS + 1)][1:]
    return [first for first, _ in taken], [second for _, second in taken]


def _at(place: Any, search: Any) -> Any:
    """The search at one depot for when a truck gets there."""
    from depots.periods import Period

    period = Period(place.arrives_at, place.arrives_at + BREAK)
    return replace(search, periods=period, depot=place.depot, patience=timedelta(hours=12))


def _agree(along: list[Any], alone: list[Any]) -> None:
    """Both give the same slots."""
    found = {(one.offer.evse.pk, one.offer.period, one.offer.is_free, one.offer.power_w) for one in along}
    if found != {(offer.evse.pk, offer.period, offer.is_free, offer.power_w) for offer in alone}:
        raise AssertionError("the search along the route and those at its depots differ")


def _ms(find: Callable[[], Any]) -> float:
    began = time.perf_counter()
    find()
    return (time.perf_counter() - began) * 1000
