"""How much of a time an EVSE was in order: a fault, a lost line and the depot's own closure are told apart."""

from __future__ import annotations

from datetime import timedelta

from depots.periods import Period
from depots.uptime import Condition, Uptime, measure, stretches
from tests.factories import at, slot

ON, OFF = Condition.IN_ORDER, Condition.OFFLINE
OK, FAULT, OUT = Condition.IN_ORDER, Condition.FAULTED, Condition.OUT_OF_SERVICE
DAY = slot(8, 20)


def test_what_is_known_is_measured_and_a_closure_is_nobodys_fault() -> None:
    history = stretches(
        DAY,
        statuses=[(at(9), OK), (at(10), FAULT), (at(11), OK), (at(14), OUT), (at(16), OK)],
        connections=[(at(9), ON), (at(12), OFF), (at(13), ON)],
        closed=[slot(15, 17)],
    )

    assert [(s.starts_at, s.condition.value) for s in history] == [
        (at(8), "unknown"), (at(9), "in_order"), (at(10), "faulted"), (at(11), "in_order"), (at(12), "offline"),
        (at(13), "in_order"), (at(14), "out_of_service"), (at(15), "closed"), (at(17), "in_order"),
    ]  # fmt: skip
    hour = 3600.0
    found = measure(history, [DAY])
    assert found == Uptime(
        in_order_s=6 * hour, faulted_s=hour, out_of_service_s=hour, offline_s=hour, closed_s=2 * hour,
        faults=1, repairs=1, repair_s=hour, times_offline=1,
    )  # fmt: skip
    assert (found.share, found.mean_time_to_repair) == (6 / 9, timedelta(hours=1))
    assert measure(history, [slot(10, 11), slot(13, 14)]).share == 0.5


def test_a_fault_that_goes_on_is_not_repaired_and_nothing_known_is_no_share() -> None:
    going_on = stretches(DAY, statuses=[(at(8), OK), (at(19), FAULT)], connections=[(at(8), ON)])
    nothing = stretches(DAY, statuses=[(at(8), OK)], connections=[])

    assert (measure(going_on, [DAY]).faults, measure(going_on, [DAY]).mean_time_to_repair) == (1, None)
    assert measure(nothing, [DAY]).share is None
    assert measure(nothing, []).share is None


def test_out_of_service_for_a_truck_that_has_booked_is_in_order() -> None:
    kept = [Period(at(9), at(10))]
    history = stretches(DAY, statuses=[(at(8), OUT)], connections=[(at(8), ON)], kept=kept)

    assert measure(history, [DAY]).in_order_s == 3600
    assert (measure(history, [DAY]) + measure(history, [DAY])).in_order_s == 7200
