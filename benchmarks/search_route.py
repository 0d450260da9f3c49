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
    from depots.periods import Period
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
    alone = [
        replace(
            search, periods=Period(place.arrives_at, place.arrives_at + BREAK), depot=place.depot,
            patience=timedelta(hours=12),
        )
        for place in places
    ]  # fmt: skip
    along_ms, alone_ms = [], []
    for _ in range(ROUNDS + 1):
        along_ms.append(_ms(partial(find_slots_along, journey, search, BREAK)))
        alone_ms.append(sum(_ms(partial(find_slots, one)) for one in alone))
    offers = find_slots_along(journey, search, BREAK)
    _agree(offers, [offer for one in alone for offer in find_slots(one)])
    # The first round of each pays what a process pays once.
    along, single = min(along_ms[1:]), min(alone_ms[1:]) / len(places)
    yield Result(
        "search_route",
        along / len(places) / single,
        "<= 2",
        {
            "depots": DEPOTS,
            "rows": rows,
            "loaded_s": round(loaded_s),
            "depots_found": len(places),
            "offers": len(offers),
            "free_of_them": sum(one.offer.is_free for one in offers),
            "ms": round(along, 1),
            "ms_a_depot": round(along / len(places), 3),
            "ms_of_one_depot_alone": round(single, 3),
            "median_ms": round(statistics.median(along_ms[1:]), 1),
        },
    )


def _agree(along: list[Any], alone: list[Any]) -> None:
    """Both give the same slots."""
    found = {(one.offer.evse.pk, one.offer.period, one.offer.is_free, one.offer.power_w) for one in along}
    if found != {(offer.evse.pk, offer.period, offer.is_free, offer.power_w) for offer in alone}:
        raise AssertionError("the search along the route and those at its depots differ")


def _ms(find: Callable[[], Any]) -> float:
    began = time.perf_counter()
    find()
    return (time.perf_counter() - began) * 1000
