"""What clearing a closure reads and locks, and that claims are waited for all at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings import operations
from bookings.core import occupancy
from bookings.models import Booking, Closure, Occupancy
from bookings.rules.terms import Terms
from depots.models import Depot, Evse
from depots.periods import Period
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    at,
    book_slot,
    change_slot,
    make_charger,
    make_depot,
    make_evse,
    make_option,
    make_vehicle,
    option_of,
    place_hold,
    slot,
)

pytestmark = pytest.mark.django_db

CLAIMING = {"overlapping_tokens": False}


def yard(bookings: int, *, depot: Depot | None = None, **limits: Any) -> tuple[Closure, list[Evse]]:
    """Bookings one after the other at the first of four EVSEs, which is closed all day."""
    depot = depot or make_depot(terms=CLAIMING, **limits)
    evses = [make_evse(depot) for _ in range(4)]
    for hour in range(9, 9 + bookings):
        truck = make_vehicle()
        book_slot(
            fleet=truck.fleet,
            option=option_of(evses[0]),
            vehicle=truck,
            period=slot(hour, hour + 1),
            actor=DISPATCHER,
            now=NOW,
        )
    return operations.close_evse(evse=evses[0], period=slot(8, 20), actor=MANAGER, now=NOW), evses


def statements(does: Callable[[], Any]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        does()
    return [query["sql"] for query in captured]


def locked(table: str, told: list[str]) -> set[int]:
    """The keys of the rows of a table that were locked."""
    found = [sql for sql in told if f'FROM "{table}"' in sql and "FOR NO KEY UPDATE" in sql]
    keys = [re.findall(rf'"{table}"."id" (?:=|IN) (?:ANY\(\'{{)?\(?([\d, ]+)', sql) for sql in found]
    assert all(keys), found
    return {int(key) for groups in keys for group in groups for key in group.split(",")}


def test_a_closure_is_looked_at_in_as_many_queries_for_one_booking_as_for_eight():
    one, _ = yard(1)
    eight, _ = yard(8)

    asked = [len(statements(lambda c=c: operations.affected(c, now=NOW))) for c in (one, eight)]

    assert asked[0] == asked[1] <= 12


def test_clearing_a_closure_locks_its_evse_where_its_bookings_go_and_nothing_else():
    closure, evses = yard(3)
    target = operations.affected(closure, now=NOW)[0].move_to
    assert target is not None

    told = statements(lambda: operations.clear_closure(closure_id=closure.pk, actor=MANAGER, now=NOW))

    assert locked("depots_evse", told) == {evses[0].pk, target.pk}
    assert locked("depots_depot", told) == set()
    assert set(Booking.objects.values_list("evse", flat=True)) == {target.pk}


def test_the_depot_is_locked_where_its_power_can_bind():
    closure, _ = yard(1, grid_limit_w=600_000)

    told = statements(lambda: operations.clear_closure(closure_id=closure.pk, actor=MANAGER, now=NOW))

    assert locked("depots_depot", told) == {closure.evse.depot_id}


def test_what_one_more_booking_costs_under_the_locks_is_bounded():
    few, many = yard(2)[0], yard(6)[0]

    asked = [
        len(statements(lambda c=c: operations.clear_closure(closure_id=c.pk, actor=MANAGER, now=NOW)))
        for c in (few, many)
    ]

    # Each is moved, claimed, told and followed at its charger.
    assert (asked[1] - asked[0]) / 4 <= 30


def test_two_bookings_of_a_closure_are_not_sent_to_the_same_place():
    closure, evses = yard(0)
    trucks = [make_vehicle(), make_vehicle()]
    pool = make_option(*evses[:2])
    Closure.objects.update(lifted_at=NOW)
    occupancy.lift(closure)
    first = book_slot(
        fleet=trucks[0].fleet,
        option=pool,
        evse=evses[0],
        vehicle=trucks[0],
        period=slot(9, 11),
        actor=DISPATCHER,
        now=NOW,
    )
    second = book_slot(
        fleet=trucks[1].fleet,
        option=pool,
        evse=evses[0],
        vehicle=trucks[1],
        period=slot(11, 13),
        actor=DISPATCHER,
        now=NOW,
    )
    change_slot(booking_id=first.pk, evse=evses[1], by="depot", actor=MANAGER, now=NOW)
    change_slot(booking_id=first.pk, evse=evses[0], by="depot", actor=MANAGER, now=NOW)
    again = operations.close_evse(evse=evses[0], period=slot(8, 20), actor=MANAGER, now=NOW)

    done = operations.clear_closure(closure_id=again.pk, actor=MANAGER, now=NOW)

    assert [proposal.booking.pk for proposal in done] == [first.pk, second.pk]
    assert [proposal.move_to for proposal in done] == [evses[1], evses[1]]


@pytest.mark.parametrize("does", ["clear", "decide", "change"])
def test_claims_are_waited_for_all_at_once(monkeypatch, does):
    """Whoever waits for a second after having the first can cross with somebody who does it the other way round."""
    if does == "clear":
        closure, _ = yard(3)
        work = lambda: operations.clear_closure(closure_id=closure.pk, actor=MANAGER, now=NOW)  # noqa: E731
    else:
        depot = make_depot(terms={**CLAIMING, "approval": does == "decide"})
        truck = make_vehicle()
        booking = book_slot(
            fleet=truck.fleet,
            option=option_of(make_evse(depot)),
            vehicle=truck,
            period=slot(9, 10),
            actor=DISPATCHER,
            now=NOW,
        )
        other = make_vehicle(truck.fleet)
        asked = {"booking_id": booking.pk, "vehicle": other, "actor": DISPATCHER, "now": NOW}
        change = lambda: change_slot(**asked)  # noqa: E731
        work = change
        if does == "decide":
            operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
            change()
            work = lambda: operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)  # noqa: E731
    queued: list[list[str]] = []
    queue = occupancy._queue
    monkeypatch.setattr(occupancy, "_queue", lambda names: (queued.append(names), queue(names)))

    work()

    assert len(queued[0]) > 1
    assert all(set(names) <= set(queued[0]) for names in queued)


def test_a_closed_evses_booking_goes_where_its_power_is_kept_not_where_a_charger_could_give_it():
    depot = make_depot()
    strong = make_charger(depot, cabinet_limit_w=400_000)
    full, beside = (make_evse(charger=strong, max_power_w=400_000) for _ in range(2))
    weaker = make_evse(depot, max_power_w=200_000)
    closed = make_evse(depot, max_power_w=400_000)
    trucks = [make_vehicle(max_power_w=350_000) for _ in range(2)]
    for truck, evse, watts in zip(trucks, (beside, closed), (350_000, 200_000), strict=True):
        book_slot(
            fleet=truck.fleet, option=option_of(evse), vehicle=truck, period=slot(10, 11), power_w=watts
        )
    closure = operations.close_evse(evse=closed, period=slot(9, 12), actor=MANAGER, now=NOW)

    [proposal] = operations.affected(closure, now=NOW)

    assert (proposal.move_to, full.max_power_w) == (weaker, 400_000)


def test_a_moved_booking_reaches_back_no_further_than_to_a_hold_that_ran_out():
    """Its row stands until it is swept."""
    depot = make_depot(terms={"early_start_min": 15})
    closed, other = make_evse(depot), make_evse(depot)
    truck, holder = make_vehicle(), make_vehicle()
    booking = book_slot(fleet=truck.fleet, option=option_of(closed), vehicle=truck, period=slot(14, 15))
    place_hold(fleet=holder.fleet, option=option_of(other), vehicle=holder, period=slot(13, 14))
    closure = operations.close_evse(evse=closed, period=slot(13, 20), actor=MANAGER, now=NOW)

    operations.clear_closure(closure_id=closure.pk, actor=MANAGER, now=NOW + Terms().hold_time)

    place = Occupancy.objects.get(holder=booking.pk)
    assert (place.evse, place.span) == (other, Period(at(14), at(15)))
