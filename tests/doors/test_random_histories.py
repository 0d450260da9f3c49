"""Whatever is done at random by every door, no truth is broken at any moment; and without a guard one is.

Hypothesis chooses, and shrinks what it finds to the fewest steps.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from bookings.core import lifecycle
from bookings.models import BookingEvent, BookingStatus
from bookings.operations import places
from bookings.rules import permissions, quotas
from bookings.rules.power import Supply
from depots.periods import Period
from tests.doors.customers import Manager, Wish
from tests.doors.doors import BOOK, CANCEL, CHANGE, cancel_by_depot
from tests.doors.random_depot import RandomDepot, machine
from tests.doors.truths import Broken, Truths
from tests.doors.yard import STARTS, Yard

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_quiet")]

STEPS = 40
# The first history of each has one step. Of five evenings they are 2,000 steps, and 200,000.
HISTORIES, MANY_HISTORIES = 11, 1001


@pytest.fixture
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of refusals are no news."""
    monkeypatch.setattr(logging.getLogger("django.request"), "disabled", True)


def play(kind: type[RandomDepot], histories: int, **more: Any) -> Counter[str]:
    run_state_machine_as_test(
        kind,
        settings=settings(
            max_examples=histories, stateful_step_count=STEPS, deadline=None, database=None,
            suppress_health_check=list(HealthCheck), **more,
        ),
    )  # fmt: skip
    return kind.done


@pytest.mark.parametrize("start", STARTS)
def test_no_truth_is_broken_by_any_door(start: str) -> None:
    done = play(machine(start), HISTORIES, derandomize=True)

    assert done["steps"] >= (HISTORIES - 1) * STEPS
    assert sum(times for what, times in done.items() if what.endswith(": done")) > 50, done


@pytest.mark.long
@pytest.mark.parametrize("start", STARTS)
def test_no_truth_is_broken_over_many_histories(start: str) -> None:
    done = play(machine(start), MANY_HISTORIES, print_blob=True)

    assert done["steps"] >= (MANY_HISTORIES - 1) * STEPS
    doors = [f"book by {door}" for door in [*BOOK, "OCPI"]]
    doors += [f"change by {door}" for door in [*CHANGE, "OCPI"]] + [
        f"cancel by {door}" for door in [*CANCEL, "OCPI"]
    ]
    assert {door for door in doors if not done[f"{door}: done"]} == set(), done


def without_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the look at what stands there nor the constraint."""
    look = places.free_places
    for module in [one for name, one in sys.modules.items() if name.startswith("bookings.")]:
        if getattr(module, "free_places", None) is look:
            monkeypatch.setattr(module, "free_places", lambda *a, **k: look(*a, **{**k, "taken": {}}))
    monkeypatch.setattr(RandomDepot, "without", ("bookings_occupancy", "occupancy_evse_once"))


def without_power(monkeypatch: pytest.MonkeyPatch) -> None:
    def promise(
        self: Supply, evse: Any, span: Any, wish_w: int | None, vehicle_max_w: int | None, **_: Any
    ) -> int:
        return wish_w or min(evse.max_power_w, vehicle_max_w or evse.max_power_w)

    monkeypatch.setattr(Supply, "promise", promise)


def without_quotas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "caps_of", lambda *_, **__: [])


def without_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is over may be cancelled."""
    monkeypatch.setattr(permissions, "check_cancellable", lambda booking: None)
    monkeypatch.setattr(permissions, "check_cancel", lambda booking, **_: None)
    for status in BookingStatus.values:
        monkeypatch.setitem(
            lifecycle.NEXT, status, {BookingStatus.CANCELLED, *lifecycle.NEXT.get(status, ())}
        )


def without_events(monkeypatch: pytest.MonkeyPatch) -> None:
    write = lifecycle.update_with
    monkeypatch.setattr(
        lifecycle, "update_with",
        lambda booking, fields, rows: write(booking, fields, [row for row in rows if not isinstance(row, BookingEvent)]),
    )  # fmt: skip


GUARDS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "overlap": without_places, "power": without_power, "quota": without_quotas, "event": without_events,
}  # fmt: skip


@pytest.mark.parametrize("truth", GUARDS)
def test_without_its_guard_a_truth_is_broken(truth: str, monkeypatch: pytest.MonkeyPatch) -> None:
    GUARDS[truth](monkeypatch)

    with pytest.raises(Broken) as broken:
        play(
            machine("Berlin, spring", by_operations=True), 20, derandomize=True, phases=[Phase.generate],
            report_multiple_bugs=False,
        )  # fmt: skip

    assert broken.value.truth == truth


def test_without_the_guard_of_ends_what_is_over_changes_and_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the fewest steps: of thousands at random few cancel what has ended in another way."""
    with time_machine.travel(STARTS["Berlin, winter"][1], tick=False):
        yard = Yard(*STARTS["Berlin, winter"])
        truths, fleet = Truths(yard.depot), yard.fleets[0]
        start = timezone.now() + timedelta(hours=3)
        wish = Wish(yard.options[0], Period(start, start + timedelta(hours=1)), fleet.trucks[0])
        booking = BOOK["operation"](fleet, wish).booking
        assert booking is not None
        truths.check(timezone.now())
        cancel_by_depot(Manager(yard.depot), booking)
        truths.check(timezone.now())
        assert CANCEL["operation"](fleet, booking).code == "wrong_status"
        truths.check(timezone.now())

        without_ends(monkeypatch)
        CANCEL["operation"](fleet, booking)

        with pytest.raises(Broken) as broken:
            truths.check(timezone.now())
    assert broken.value.truth == "final"
