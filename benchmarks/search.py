"""Search around a place for what fits a truck, with half a million and then five million rows of occupancy: how it grows,
and what it costs beside the same gaps, with their power, asked for in SQL by hand. Both must give the same answers."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from benchmarks.result import Result

if TYPE_CHECKING:
    from bookings.search.offers import SlotSearch

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
    world.occupy(evse_ids, 0, FEW)
    few_rows, few_ms = world.occupied(), _each(find_slots, searches)
    world.occupy(evse_ids, FEW, MANY)
    took_s = time.perf_counter() - began
    _agree(differences(gaps_by_hand(search), find_slots(search)) for search in searches)
    many_ms, sql_ms = [], []
    for _ in range(ROUNDS):
        many_ms.append(_each(find_slots, searches, rounds=1))
        sql_ms.append(_each(gaps_by_hand, searches, rounds=1))
    shipped, by_hand = _least(many_ms), _least(sql_ms)
    offers = [find_slots(search) for search in searches]
    detail = {
        "evses": len(evse_ids),
        "loaded_s": round(took_s),
        "rows": [few_rows, world.occupied()],
        "ms": [round(statistics.mean(ms), 2) for ms in (few_ms, shipped)],
        "ms_by_hand": round(statistics.mean(by_hand), 2),
        "offers_a_search": statistics.mean(map(len, offers)),
        "free_of_them": statistics.mean(sum(offer.is_free for offer in found) for found in offers),
    }
    if "search_growth" in names:
        yield Result("search_growth", sum(shipped) / sum(few_ms), "<= 1.3", detail)
    if "search_vs_sql" in names:
        yield Result("search_vs_sql", sum(shipped) / sum(by_hand), "<= 3", detail)


def _each(find: Callable[[SlotSearch], Any], searches: list[SlotSearch], rounds: int = ROUNDS) -> list[float]:
    """The quickest of some rounds for each search, in milliseconds; what a process pays once is paid before."""
    find(searches[0])
    return _least([[_ms(find, search) for search in searches] for _ in range(rounds)])


def _agree(differences: Iterable[list[str]]) -> None:
    told = [difference for found in differences for difference in found]
    if told:
        raise AssertionError(f"{len(told)} differences between search and SQL: {told[:5]}")


def _least(rounds: list[list[float]]) -> list[float]:
    return [min(times) for times in zip(*rounds, strict=True)]


def _ms(find: Callable[[SlotSearch], Any], search: SlotSearch) -> float:
    began = time.perf_counter()
    find(search)
    return (time.perf_counter() - began) * 1000
