"""64 processes that book at once: all on one EVSE, no two for the same slot, against each on an EVSE of its own.

The same processes book both in turns, through `request_booking`, and all of it is granted: what is measured is what waiting for
one another's locks costs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from statistics import median
from time import monotonic
from typing import TYPE_CHECKING, Any

from benchmarks.result import Result

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

    from bookings.models import BookingOption, Vehicle

PROCESSES, ROUNDS, SLOTS = 64, 5, 4
GOAL = ">= 0.6"
# What one process measured: when it began and ended each round, on the clock that all processes of a machine share.
Times = list[tuple[float, float]]


def run(names: list[str]) -> Iterator[Result]:
    from tests.factories import make_depot, make_evse, make_fleet, make_vehicle, option_of
    from tests.races.processes import all_at_once, rendezvous

    terms = {"early_start_min": 15, "turnaround_min": 5, "overlapping_tokens": False, "horizon_days": 80}
    depot = make_depot(terms=terms)
    one, *own = [option_of(make_evse(depot)) for _ in range(PROCESSES + 1)]
    vehicles = [make_vehicle(make_fleet()) for _ in range(PROCESSES)]
    together = rendezvous(PROCESSES)
    found: list[Any] = all_at_once(
        [
            lambda n=n: _book(n, vehicles[n], [one, own[n]], together)  # type: ignore[misc]
            for n in range(PROCESSES)
        ]
    )
    _check(found)
    # The first round pays for cold starts.
    on_one, on_own = (_seconds(found, range(side + 2, 2 * ROUNDS, 2)) for side in range(2))
    detail = {
        "one_evse_per_s": round(PROCESSES * SLOTS / median(on_one), 1),
        "own_evses_per_s": round(PROCESSES * SLOTS / median(on_own), 1),
        "granted_each": PROCESSES * SLOTS * (ROUNDS - 1),
    }
    yield Result("booking_race", sum(on_own) / sum(on_one), GOAL, detail)


def _book(number: int, vehicle: Vehicle, options: Sequence[BookingOption], together: Barrier) -> Times:
    """Some slots on a day of its own at each option in turn, let go with all others."""
    from bookings.actors import SCHEDULER
    from bookings.operations import SlotRequest, request_booking
    from depots.periods import Period
    from tests.factories import NOW

    times: Times = []
    for turn in range(ROUNDS):
        for shift, option in enumerate(options):
            # The vehicle can be in one place only: half an hour apart.
            first = NOW.replace(hour=1) + timedelta(days=number + 1, hours=turn * SLOTS, minutes=30 * shift)
            slots = [Period(at, at + timedelta(minutes=30)) for at in _hourly(first)]
            together.wait(120)
            began = monotonic()
            for period in slots:
                request = SlotRequest(fleet=vehicle.fleet, option=option, vehicle=vehicle, period=period)
                request_booking(request, actor=SCHEDULER, now=NOW)
            times.append((began, monotonic()))
    return times


def _hourly(first: datetime) -> list[datetime]:
    return [first + timedelta(hours=hour) for hour in range(SLOTS)]


def _check(found: list[Times | str]) -> None:
    """Raises AssertionError when anybody was refused, or two have one place."""
    from bookings.models import Booking, Occupancy

    failed = [answer for answer in found if isinstance(answer, str)]
    assert not failed, failed[0]
    assert Booking.objects.count() == Occupancy.objects.count() == 2 * ROUNDS * SLOTS * PROCESSES


def _seconds(found: list[Times], rounds: range) -> list[float]:
    """From the first that began a round to the last that ended it."""
    return [max(t[r][1] for t in found) - min(t[r][0] for t in found) for r in rounds]
