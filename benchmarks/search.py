"""Search around a place for what fits a truck, with half a million and then five million rows of occupancy: how it grows,
and what it costs beside the same gaps, with their power, asked for in SQL by hand. Both must give the same answers."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.result import Result

if TYPE_CHECKING:
    from bookings.search.slots import SlotSearch

    # What comes before a round, and what is measured.
    Way = tuple[Callable[[], None], Callable[[SlotSearch], Any]]

DEPOTS = int(os.environ.get("BERTH_BENCH_DEPOTS", "5000"))
# Rows for each EVSE: 500,000 and 5,000,000 of 50,000.
FEW, MANY = 10, 100
PLACES, ROUNDS = 20, 10


def run(names: list[str]) -> Iterator[Result]:
    from benchmarks import search_world as world
    from benchmarks.gaps_by_hand import differences, gaps_by_hand
    from bookings.search.offers import find_slots

    began = time.perf_counter()
    vehicle = world.build(DEPOTS)
    evse_ids, searches = world.evse_ids(), world.searches(vehicle, PLACES)
    rows = [world.occupy(evse_ids, size) for size in (FEW, MANY)]
    took_s = time.perf_counter() - began
    _agree(differences(gaps_by_hand(search), find_slots(search)) for search in searches)
    ms = _measure(
        {
            "few": (partial(world.use, FEW), find_slots),
            "many": (partial(world.use, MANY), find_slots),
            "by_hand": (partial(world.use, MANY), gaps_by_hand),
        },
        searches,
    )
    offers = [find_slots(search) for search in searches]
    detail = {
        "evses": len(evse_ids),
        "loaded_s": round(took_s),
        "rows": rows,
        "ms": {name: round(statistics.mean(found), 2) for name, found in ms.items()},
        "offers_a_search": statistics.mean(map(len, offers)),
        "free_of_them": statistics.mean(sum(offer.is_free for offer in found) for found in offers),
    }
    if "search_growth" in names:
        yield Result("search_growth", sum(ms["many"]) / sum(ms["few"]), "<= 1.3", detail)
    if "search_vs_sql" in names:
        yield Result("search_vs_sql", sum(ms["many"]) / sum(ms["by_hand"]), "<= 3", detail)


def _measure(ways: dict[str, Way], searches: list[SlotSearch]) -> dict[str, list[float]]:
    """The quickest of some rounds for each search, in milliseconds, each way by its turns, so that what else the machine does
    hits all alike; what a process pays once is paid before."""
    took: dict[str, list[list[float]]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        for name, (prepare, find) in ways.items():
            prepare()
            times = [_ms(find, search) for search in searches]
            if number:
                took[name].append(times)
    return {name: [min(times) for times in zip(*rounds, strict=True)] for name, rounds in took.items()}


def _agree(differences: Iterable[list[str]]) -> None:
    told = [difference for found in differences for difference in found]
    if told:
        raise AssertionError(f"{len(told)} differences between search and SQL: {told[:5]}")


def _ms(find: Callable[[SlotSearch], Any], search: SlotSearch) -> float:
    began = time.perf_counter()
    find(search)
    return (time.perf_counter() - began) * 1000
