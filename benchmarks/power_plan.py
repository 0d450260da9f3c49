"""One plan of a large depot's power: 1,000 EVSEs behind one limit, somebody charges at each, against 100 of them.

What a plan costs that tells everybody, one that tells nobody, and one for a truck that has just come; statements and processor
time of this process. The worker makes one every 15 seconds and after what changes something.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from benchmarks.result import Result
from benchmarks.statements import counted

if TYPE_CHECKING:
    from depots.models import Depot, Evse

GOAL = "<= 1.5"
FEW, MANY = 100, 1000
COMING_EVERY = 5
ROUNDS = 5
SECOND = timedelta(seconds=1)


def run(names: list[str]) -> Iterator[Result]:
    few, many = (measure(count) for count in (FEW, MANY))
    detail = {
        f"{name}_{count}": cost for count, costs in ((FEW, few), (MANY, many)) for name, cost in costs.items()
    }
    grown = many["nobody_told"]["cpu_ms"] / few["nobody_told"]["cpu_ms"] / (MANY / FEW)
    yield Result("power_plan", grown, GOAL, detail)


def measure(count: int) -> dict[str, dict[str, float]]:
    from tests.factories import NOW

    depot, evses = site(count)
    charge(evses[:-1])
    costs = {"all_told": plan(depot, NOW + SECOND)}
    now = NOW
    while all_answer(now):
        now += 3 * SECOND
        plan(depot, now)
    quiet = [plan(depot, now + round_ * SECOND) for round_ in range(1, ROUNDS + 1)]
    costs["nobody_told"] = min(quiet, key=lambda cost: cost["cpu_ms"])
    charge(evses[-1:])
    costs["one_came"] = plan(depot, now + 10 * SECOND)
    return costs


def site(count: int) -> tuple[Depot, list[Evse]]:
    """Half of what all of them could take together; some booked for later."""
    from tests.factories import NOW, make_charger, make_depot, make_evse

    terms = {"walk_in": "anybody", "early_start_min": 15, "turnaround_min": 0}
    depot = make_depot(grid_limit_w=count * 100_000, terms=terms)
    told = {"smart_charging": True, "asked_at": NOW.isoformat()}
    lease: dict[str, Any] = {
        "lease_holder": "bench", "lease_until": NOW + timedelta(days=1), "connected_at": NOW, "clock_offset_s": 0,
    }  # fmt: skip
    evses = [
        make_evse(charger=make_charger(depot, told=told, **lease), max_power_w=200_000, status="available")
        for _ in range(count)
    ]
    for evse in evses[::COMING_EVERY]:
        _book(evse)
    return depot, evses


def _book(evse: Evse) -> None:
    from tests.factories import NOW, book_slot, make_vehicle, option_of, slot

    vehicle = make_vehicle(max_power_w=90_000)
    book_slot(fleet=vehicle.fleet, vehicle=vehicle, option=option_of(evse), period=slot(13, 14), now=NOW)


def charge(evses: list[Evse]) -> None:
    from depots import operations as depots
    from tests.factories import NOW

    for evse in evses:
        begun = depots.Start(evse_number=evse.number, token_uid="", key=f"{evse.pk}", at=NOW, meter_wh=0)
        depots.start_session(charger_id=evse.charger_id or 0, start=begun, now=NOW)


def plan(depot: Depot, now: datetime) -> dict[str, float]:
    from bookings import smart_charging

    began = time.process_time()
    with counted() as statements:
        smart_charging.plan_depot(depot_id=depot.pk, now=now)
    return {
        "cpu_ms": round((time.process_time() - began) * 1000, 1),
        "statements": len(statements),
        "commands": _waiting().count(),
    }


def _waiting() -> Any:
    from depots.models import ChargerCommand

    return ChargerCommand.objects.filter(state="queued")


def all_answer(now: datetime) -> bool:
    """Every charger takes what it was told. Whether any was told."""
    from django.db.models import F

    from bookings.models import ChargingProfile

    sent = ChargingProfile.objects.filter(sent_w__isnull=False)
    sent.update(accepted_w=F("sent_w"), accepted_steps=F("sent_steps"), accepted_at=now, verified_at=now)
    sent.update(sent_w=None, sent_steps=[], sent_at=None, unclear_w=None, unclear_steps=[])
    return bool(_waiting().update(state="answered", answer="accepted", answered_at=now))
