"""One plan of a depot's power at 200 EVSEs that all charge, where each customer limits its session, against where nobody does.

A plan in which nothing changes, as the worker makes one every 15 seconds; with limits of a day of hours, and with the longest
that are taken. Besides, the plan that follows when all of them are set at once, how many plans until every charger has what it
is to have, and a plan for a truck that has just come.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from benchmarks import power_plan
from benchmarks.power_plan import SECOND
from benchmarks.result import Result

if TYPE_CHECKING:
    from depots.models import Evse

GOAL = "<= 4"
EVSES = 200
# Names of what is wished, and in how many steps a day.
WISHED = {"nothing": 0, "a_day_of_hours": 24, "a_day_of_steps": 1000}
# A depot that is not told of something new by then never will be.
MOST_PLANS = 60


def run(names: list[str]) -> Iterator[Result]:
    costs = {name: _measure(steps) for name, steps in WISHED.items()}
    quiet = {name: cost["nobody_told"]["cpu_ms"] for name, cost in costs.items()}
    are_told = all(cost["plans_until_all_is_told"] is not None for cost in costs.values())
    ratio = quiet["a_day_of_steps"] / quiet["nothing"] if are_told else None
    yield Result("power_limits", ratio, GOAL, costs)


def _measure(steps: int) -> dict[str, Any]:
    from tests.factories import NOW

    depot, evses = power_plan.site(EVSES)
    power_plan.charge(evses[:-1])
    now = NOW + SECOND
    power_plan.plan(depot, now)
    power_plan.all_answer(now)
    if steps:
        _limit(evses[:-1], steps, now)
    now += 3 * SECOND
    costs: dict[str, Any] = {"all_told": power_plan.plan(depot, now)}
    plans = 1
    while power_plan.all_answer(now) and plans < MOST_PLANS:
        now += 3 * SECOND
        power_plan.plan(depot, now)
        plans += 1
    costs["plans_until_all_is_told"] = plans if plans < MOST_PLANS else None
    quiet = [power_plan.plan(depot, now + round_ * SECOND) for round_ in range(1, power_plan.ROUNDS + 1)]
    costs["nobody_told"] = min(quiet, key=lambda cost: cost["cpu_ms"])
    power_plan.charge(evses[-1:])
    costs["one_came"] = power_plan.plan(depot, now + 10 * SECOND)
    return costs


def _limit(evses: list[Evse], steps: int, now: datetime) -> None:
    """Each another amount, so that no two are filled at once; it changes with every step."""
    from bookings import smart_charging
    from bookings.models.power_schedules import Step
    from depots.models import ChargingSession

    every = timedelta(days=1) / steps
    sessions = ChargingSession.objects.filter(evse__in=evses, ended_at=None).order_by("pk")
    for number, session_id in enumerate(sessions.values_list("pk", flat=True)):
        least = 40_000 + 173 * number
        wished = [Step(now + step * every, least + 5_000 * (step % 3)) for step in range(steps)]
        smart_charging.limit_session(session_id=session_id, wish=smart_charging.Wish(wished), now=now)
