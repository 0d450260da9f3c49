"""Forty trucks planned together over fifty EVSEs that are half taken, against one after the other in the order they were written.

The planner is the one that `book_many` asks under the locks (bookings.rules.joint_plan); nothing is stored. Some trucks can wait,
some fit few EVSEs. The ratio is the lowest of: trucks and minutes against one after the other, over all generated tables, and
five seconds against the slowest plan.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from statistics import fmean
from time import process_time

from benchmarks.assignment import MIDNIGHT, STEP, TERMS, generated_bays, generated_needs
from benchmarks.result import Result
from bookings.rules import fit
from bookings.rules.configuration import Bay
from bookings.rules.joint_plan import Plan, Wish, in_turn, planned
from bookings.rules.rearrangement import Spot, tightest_first
from depots.periods import Period

TABLES, TRUCKS, EVSES = 25, 40, 50
MOST_S = 5.0


def run(names: list[str]) -> Iterator[Result]:
    served, minutes, seconds, in_turns, jointly = [], [], [], 0, 0
    for seed in range(TABLES):
        chance = random.Random(seed)
        bays = generated_bays(EVSES, chance)
        taken = {bay.pk: _taken(chance) for bay in bays}
        wishes = [_wish(bays, chance) for _ in range(TRUCKS)]
        first = in_turn(wishes, taken)
        began = process_time()
        plan = planned(wishes, taken)
        seconds.append(process_time() - began)
        served.append(len(plan) / len(first))
        minutes.append(_minutes(plan) / _minutes(first))
        in_turns, jointly = in_turns + len(first), jointly + len(plan)
    yield Result(
        "batch_40",
        min([*served, *minutes, MOST_S / max(seconds)]),
        ">= 1",
        {
            "tables": TABLES,
            "trucks": TRUCKS,
            "evses": EVSES,
            "served_one_after_the_other": round(in_turns / TABLES, 1),
            "served_jointly": round(jointly / TABLES, 1),
            "least_served_ratio": round(min(served), 3),
            "mean_served_ratio": round(fmean(served), 3),
            "least_minutes_ratio": round(min(minutes), 3),
            "mean_minutes_ratio": round(fmean(minutes), 3),
            "seconds_mean": round(fmean(seconds), 2),
            "seconds_slowest": round(max(seconds), 2),
        },
    )


def _minutes(plan: Plan) -> float:
    return sum(spot.span.minutes for spot in plan.values())


def _taken(chance: random.Random) -> list[Period]:
    """About half of an EVSE's day."""
    found, at = [], MIDNIGHT + STEP * chance.randrange(16, 32)
    while at < MIDNIGHT + timedelta(hours=20):
        span = Period(at, at + STEP * chance.randrange(4, 13))
        found.append(span)
        at = span.ends_at + STEP * chance.randrange(2, 13)
    return found


def _wish(bays: list[Bay], chance: random.Random) -> Wish:
    """Of forty trucks about half can wait, up to three hours; all come in the busy hours."""
    while True:
        needs = generated_needs(chance)
        fitting = [bay for bay in bays if not fit.misfits(needs, bay)]
        if fitting:
            break
    begin = MIDNIGHT + STEP * chance.randrange(32, 52)
    length = STEP * chance.choice((3, 4, 6, 8, 12)) + TERMS.tail
    starts = [begin + STEP * step for step in range(chance.choice((1, 1, 5, 13)))]
    return [
        Spot(bay.pk, Period(start, start + length))
        for start in starts
        for bay in tightest_first(fitting, needs)
    ]
