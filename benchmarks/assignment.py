"""Generated days at a depot, asked for booking by booking: what Berth accepts against the first free EVSE that fits.

Nothing is stored: the functions by which the booking path decides (places.free_places, rearrangement.rearrangements) are given
what stands there. Days on which less is accepted are counted and shown. Several trucks of a day fit only some EVSEs, some ask for
one EVSE alone, own trucks come with a wish for a certain bay more often than guests, and more is asked for than there is.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import fmean, median, quantiles
from time import process_time
from typing import Any

from benchmarks.result import Result
from bookings.core.standing import Taken
from bookings.models import Occupancy
from bookings.operations.places import free_places
from bookings.rules import fit
from bookings.rules.configuration import Bay, Site
from bookings.rules.fit import Needs
from bookings.rules.rearrangement import (
    Block,
    Budget,
    Movable,
    may_go_to,
    rearrangements,
    tightest_first,
)
from bookings.rules.terms import Terms
from depots.periods import Period

DAYS = 600
STEP = timedelta(minutes=15)
MIDNIGHT = datetime(2030, 1, 15, tzinfo=UTC)
NOW = MIDNIGHT - timedelta(days=1)
TERMS = Terms(early_start_min=15, turnaround_min=5)
CCS, MCS = "IEC_62196_T2_COMBO", "MCS"


@dataclass(frozen=True)
class Wish:
    """A booking that is asked for; `chosen` where it asks for one EVSE of the pool."""

    needs: Needs
    pool: Sequence[Bay]
    period: Period
    chosen: bool

    @property
    def minutes(self) -> float:
        return self.period.minutes


@dataclass
class Day:
    """What stands at the depot, by EVSE, and who is there by holder."""

    taken: dict[int, list[Taken]]
    there: dict[int, Wish]

    def put(self, holder: int, wish: Wish, bay: Bay, span: Period) -> None:
        watts = min(bay.max_power_w, wish.needs.max_power_w or bay.max_power_w)
        self.taken.setdefault(bay.pk, []).append(
            Taken(bay.pk, span, holder, watts, Occupancy.Kind.BOOKING, False)
        )
        self.there[holder] = wish

    @property
    def minutes(self) -> float:
        return sum(wish.minutes for wish in self.there.values())


def run(names: list[str]) -> Iterator[Result]:
    minutes, bookings, moves, fewer = [], [], 0, []
    searching = slowest = 0.0
    for seed in range(DAYS):
        wishes = generated(random.Random(seed))
        first = accepted(wishes, assign=first_fit)
        ours, moved, took = berth(wishes)
        moves, searching, slowest = moves + moved, searching + sum(took), max([slowest, *took])
        minutes.append(ours.minutes / first.minutes)
        bookings.append(len(ours.there) / len(first.there))
        if minutes[-1] < 1 or bookings[-1] < 1:
            fewer.append({"day": seed, "minutes": round(minutes[-1], 3), "bookings": round(bookings[-1], 3)})
    tenth, middle, mean = quantiles(minutes, n=10)[0], median(bookings), fmean(minutes)
    yield Result(
        "assignment_vs_first_fit",
        min(tenth, middle, mean / 1.03),
        ">= 1",
        {
            "days": DAYS,
            "minutes_tenth_percentile": round(tenth, 4),
            "bookings_median": round(middle, 4),
            "minutes_mean": round(mean, 4),
            "bookings_mean": round(fmean(bookings), 4),
            "days_with_fewer_minutes": sum(ratio < 1 for ratio in minutes),
            "days_with_fewer_bookings": sum(ratio < 1 for ratio in bookings),
            "fewest": sorted(fewer, key=lambda one: one["minutes"])[:10],
            "moves_a_day": round(moves / DAYS, 1),
            "search_ms_mean": round(searching / DAYS * 1000, 2),
            "slowest_decision_ms": round(slowest * 1000, 1),
        },
    )


def first_fit(day: Day, wish: Wish, holder: int) -> bool:
    """The first EVSE, in their order, that fits and is free."""
    return _put_free(day, wish, holder, by_number=True)


def take(day: Day, wish: Wish, holder: int) -> int:
    """As Berth does: where it wastes least, else where moving others makes room; how many were moved."""
    return 0 if _put_free(day, wish, holder, by_number=False) else _made_room(day, wish, holder)


def _put_free(day: Day, wish: Wish, holder: int, *, by_number: bool) -> bool:
    pool = [bay for bay in wish.pool if not fit.misfits(wish.needs, bay)]
    free = free_places(pool, wish.needs, wish.period, TERMS, now=NOW, taken=day.taken)
    if not free:
        return False
    place = min(free, key=lambda place: place.evse.pk) if by_number else free[0]
    day.put(holder, wish, place.evse, place.span)
    return True


def accepted(wishes: Sequence[Wish], *, assign: Any) -> Day:
    day = Day({}, {})
    for holder, wish in enumerate(wishes):
        assign(day, wish, holder)
    return day


def berth(wishes: Sequence[Wish]) -> tuple[Day, int, list[float]]:
    """The day, how many bookings were moved, and the seconds of each decision."""
    day, moves, took = Day({}, {}), 0, []
    for holder, wish in enumerate(wishes):
        began = process_time()
        moves += take(day, wish, holder)
        took.append(process_time() - began)
    return day, moves, took


def _made_room(day: Day, wish: Wish, holder: int) -> int:
    """Put it where moving others makes room; how many were moved."""
    wanted = Period(wish.period.starts_at, wish.period.ends_at + TERMS.tail)
    pool = tightest_first([bay for bay in wish.pool if not fit.misfits(wish.needs, bay)], wish.needs)
    blocks = {pk: [Block(row.span, row.holder) for row in rows] for pk, rows in day.taken.items()}
    rows = {row.holder: row for here in day.taken.values() for row in here}
    movable = {}
    for other, row in rows.items():
        there = day.there[other]
        if not there.chosen:
            to = may_go_to(there.pool, there.needs, power_w=row.power_w, but=row.evse_id)
            movable[other] = Movable(row.span, to)
    found = rearrangements(wanted, [bay.pk for bay in pool], blocks, movable, budget=Budget())
    plan = next(found, None)
    if plan is None:
        return 0
    for other, evse_id in plan.moves.items():
        row = rows[other]
        day.taken[row.evse_id].remove(row)
        day.taken.setdefault(evse_id, []).append(row._replace(evse_id=evse_id))
    place = next(
        p for p in free_places(pool, wish.needs, wish.period, TERMS, now=NOW, taken=day.taken)
        if p.evse.pk == plan.evse_id
    )  # fmt: skip
    day.put(holder, wish, place.evse, place.span)
    return len(plan.moves)


def generated(chance: random.Random) -> list[Wish]:
    """A day's wishes at a depot of eight to sixteen EVSEs, in the order they come: about as much as it has time for in its busy
    hours, and up to half as much again."""
    bays = generated_bays(chance.randint(8, 16), chance)
    most = len(bays) * 12 * 60 * chance.uniform(0.8, 1.4)
    wishes, minutes = [], 0.0
    while minutes < most:
        wishes.append(_wish(bays, chance))
        minutes += wishes[-1].minutes
    return wishes


def generated_bays(count: int, chance: random.Random) -> list[Bay]:
    site = Site(pk=1, operator_id=1, time_zone="Europe/Berlin", charging_when_closed=True, hours=())
    return [_bay(number, site, chance) for number in range(1, count + 1)]


def _bay(number: int, site: Site, chance: random.Random) -> Bay:
    strong = chance.random() < 0.25
    return Bay(
        pk=number, depot=site, uid=f"E{number}", max_power_w=1_000_000 if strong else chance.choice((150_000, 400_000)),
        plugs=frozenset({CCS, MCS} if strong else {CCS}), vehicle_types=frozenset(),
        max_vehicle_length_cm=chance.choice((1200, 1800, 2500)), max_vehicle_width_cm=None, max_vehicle_height_cm=None,
        max_vehicle_weight_kg=None, drive_through=chance.random() < 0.4,
        dangerous_goods_allowed=chance.random() < 0.3, refrigeration_outlet=chance.random() < 0.3,
    )  # fmt: skip


def _wish(bays: Sequence[Bay], chance: random.Random) -> Wish:
    own = chance.random() < 0.6
    while True:
        needs = generated_needs(chance)
        pool = [bay for bay in bays if not fit.misfits(needs, bay)]
        if pool:
            break
    chosen = chance.random() < (0.2 if own else 0.05)
    hour = min(max(chance.gauss(chance.choice((9, 14)), 3.5), 4), 20)
    starts_at = MIDNIGHT + STEP * round(hour * 4)
    length = STEP * chance.choice((2, 3, 3, 4, 4, 6, 8, 12, 16))
    period = Period(starts_at, starts_at + length)
    return Wish(needs, [chance.choice(pool)] if chosen else bays, period, chosen)


def generated_needs(chance: random.Random) -> Needs:
    return Needs(
        connector_standards=frozenset({MCS} if chance.random() < 0.1 else {CCS}),
        length_cm=chance.choice((800, 1100, 1650, 1650, 1875)),
        dangerous_goods=chance.random() < 0.08,
        refrigeration=chance.random() < 0.1,
        drive_through=chance.random() < 0.1,
        max_power_w=chance.choice((150_000, 250_000, 350_000)),
    )
