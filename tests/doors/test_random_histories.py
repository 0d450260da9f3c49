"""Whatever is done at random by every door, no truth is broken at any moment; and without a guard one is.

Hypothesis chooses, and shrinks what it finds to the fewest steps.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from bookings.core import lifecycle
from bookings.models import BookingEvent, BookingStatus
from bookings.operations import places
from bookings.rules import permissions, quotas
from bookings.rules.power import Supply
from tests.doors.doors import BOOK, CANCEL, CHANGE
from tests.doors.random_depot import RandomDepot, machine
from tests.doors.truths import Broken
from tests.doors.yard import STARTS

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
    "overlap": without_places, "power": without_power, "quota": without_quotas, "final": without_ends,
    "event": without_events,
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
