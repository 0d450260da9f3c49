"""Search around a place for what fits a truck, with half a million and then five million rows of occupancy: how it grows,
and what it costs beside the same gaps asked for in SQL by hand."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
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
    from bookings.search.offers import find_slots

    vehicle = world.build(DEPOTS)
    evse_ids, searches = world.evse_ids(), world.searches(vehicle, PLACES)
    world.occupy(evse_ids, 0, FEW)
    few_rows, few_ms = world.occupied(), _each(find_slots, searches)
    world.occupy(evse_ids, FEW, MANY)
    many_ms, sql_ms = [], []
    for _ in range(ROUNDS):
        many_ms.append(_each(find_slots, searches, rounds=1))
        sql_ms.append(_each(gaps_by_hand, searches, rounds=1))
    shipped, by_hand = _least(many_ms), _least(sql_ms)
    offers = [find_slots(search) for search in searches]
    detail = {
        "evses": len(evse_ids),
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


def _least(rounds: list[list[float]]) -> list[float]:
    return [min(times) for times in zip(*rounds, strict=True)]


def _ms(find: Callable[[SlotSearch], Any], search: SlotSearch) -> float:
    began = time.perf_counter()
    find(search)
    return (time.perf_counter() - began) * 1000


def gaps_by_hand(search: SlotSearch) -> list[tuple[Any, ...]]:
    """EVSE, its option and depot, a gap, and the power that is left in the period; as one statement."""
    from django.db import connection

    near, period, needs = search.near, search.periods, search.wanted
    assert near is not None
    asked = {
        "latitude": near.latitude, "longitude": near.longitude, "km": near.radius_km, "now": search.now,
        "starts_at": period.starts_at, "ends_at": period.ends_at, "fleet": search.fleet.pk,  # type: ignore[union-attr]
        "plugs": sorted(needs.connector_standards), "length": needs.length_cm, "height": needs.height_cm,
        "weight": needs.weight_kg, "least_w": search.min_power_w,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_BY_HAND, asked)
        return cursor.fetchall()


_BY_HAND = """
WITH place AS (
    SELECT d.id, d.name, d.grid_limit_w,
           6371 * 2 * asin(sqrt(sin(radians(d.latitude - %(latitude)s) / 2) ^ 2 + cos(radians(d.latitude))
             * cos(radians(%(latitude)s)) * sin(radians(d.longitude - %(longitude)s) / 2) ^ 2)) AS km
    FROM depots_depot d
    WHERE d.latitude BETWEEN %(latitude)s - %(km)s / 111.2 AND %(latitude)s + %(km)s / 111.2
      AND d.longitude BETWEEN %(longitude)s - %(km)s / 111.2 / cos(radians(%(latitude)s))
                          AND %(longitude)s + %(km)s / 111.2 / cos(radians(%(latitude)s))
      AND NOT d.is_withdrawn
      AND EXISTS (
          SELECT FROM depots_agreement a
          WHERE a.depot_id = d.id AND (a.guest_id IS NULL OR a.guest_id = %(fleet)s)
            AND a.starts_at <= %(now)s AND (a.ends_at IS NULL OR a.ends_at > %(now)s)
      )
), fitting AS (
    SELECT o.id AS option_id, o.code, e.id, e.uid, e.max_power_w, p.id AS depot_id, p.name, p.km, p.grid_limit_w
    FROM place p
    JOIN depots_evse e ON e.depot_id = p.id
    JOIN bookings_bookingoption_evses oe ON oe.evse_id = e.id
    JOIN bookings_bookingoption o ON o.id = oe.bookingoption_id AND NOT o.is_withdrawn
    WHERE p.km <= %(km)s
      AND (e.max_vehicle_length_cm IS NULL OR e.max_vehicle_length_cm >= %(length)s)
      AND (e.max_vehicle_height_cm IS NULL OR e.max_vehicle_height_cm >= %(height)s)
      AND (e.max_vehicle_weight_kg IS NULL OR e.max_vehicle_weight_kg >= %(weight)s)
      AND e.max_power_w >= %(least_w)s
      AND EXISTS (
          SELECT FROM depots_connector c WHERE c.evse_id = e.id AND c.standard = ANY(%(plugs)s)
      )
), promised AS (
    SELECT p.id, sum(o.power_w) AS watts
    FROM place p
    JOIN depots_evse e ON e.depot_id = p.id
    JOIN bookings_occupancy o ON o.evse_id = e.id AND o.span && tstzrange(%(starts_at)s, %(ends_at)s)
    WHERE p.grid_limit_w IS NOT NULL
    GROUP BY p.id
)
SELECT f.option_id, f.code, f.id, f.uid, f.depot_id, f.name, f.km, lower(gap), upper(gap),
       least(f.max_power_w, f.grid_limit_w - coalesce(promised.watts, 0)) AS left_w
FROM fitting f
LEFT JOIN promised ON promised.id = f.depot_id
CROSS JOIN LATERAL (
    SELECT range_agg(o.span) AS spans FROM bookings_occupancy o
    WHERE o.evse_id = f.id
      AND o.span && tstzrange(%(starts_at)s - interval '1 day', %(ends_at)s + interval '1 day')
) taken
CROSS JOIN LATERAL unnest(
    tstzmultirange(tstzrange(%(starts_at)s - interval '1 day', %(ends_at)s + interval '1 day'))
    - coalesce(taken.spans, '{}')
) gap
"""
