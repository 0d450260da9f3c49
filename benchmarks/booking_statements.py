"""How many statements one booking costs, enqueues counted: at a depot with and without a binding limit of power, by a
fleet and by a partner network. The dearest counts; what a process pays once for a cold start is in the detail."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from benchmarks.result import Result
from benchmarks.statements import counted
from tests.factories import DISPATCHER

if TYPE_CHECKING:
    from benchmarks import world

GOAL = "<= 12"


def run(names: list[str]) -> Iterator[Result]:
    from benchmarks import world

    counts: dict[str, dict[str, int]] = {}
    for scene in world.scenes():
        first, *_, last = [_statements(scene, day) for day in range(1, 5)]
        counts[scene.name] = {"cold": first, "warm": last}
    yield Result("booking_statements", max(count["warm"] for count in counts.values()), GOAL, counts)


def _statements(scene: world.Scene, day: int) -> int:
    from bookings import operations
    from depots.periods import Period

    start = scene.now.replace(hour=10) + timedelta(days=day)
    slot = operations.SlotRequest(period=Period(start, start + timedelta(hours=1)), **scene.ask)
    with counted() as seen:
        operations.request_booking(slot, actor=DISPATCHER, now=scene.now)
    return len(seen)
