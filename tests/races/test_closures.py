"""A closure of several EVSEs against what happens at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bookings import operations
from bookings.models import Booking, BookingRequest, ClosureAct, ClosureStep, Occupancy
from bookings.operations import closure_acts
from bookings.operations.closure_acts import act_version
from bookings.operations.closure_plan import Outage, proposed, version_of
from depots.models import Evse
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    book_slot,
    make_depot,
    make_evse,
    make_vehicle,
    option_of,
    slot,
)
from tests.races.processes import all_at_once, at_once
from tests.races.removed_guards import attempt

pytestmark = pytest.mark.django_db(transaction=True)


def booker(evse: Evse) -> Callable[[], Any]:
    truck = make_vehicle()
    asked = {"option": option_of(evse), "vehicle": truck, "period": slot(10, 11)}
    return lambda: attempt(lambda: book_slot(fleet=truck.fleet, actor=DISPATCHER, now=NOW, **asked))


def close(evse: Evse) -> ClosureAct:
    where = Outage(evse.depot, frozenset({evse.pk}), slot(9, 18))
    return operations.close_evses(outage=where, actor=MANAGER, now=NOW)


def test_a_booking_made_meanwhile_keeps_the_place_that_a_closure_would_move_another_to() -> None:
    depot = make_depot()
    closed, free = make_evse(depot), make_evse(depot)
    booker(closed)()
    standing = Booking.objects.get()

    answers = all_at_once([booker(free), lambda: attempt(lambda: close(closed))])

    assert answers[1] == "done"
    standing.refresh_from_db()
    expected = {"done": ("cancelled", closed), "slot_taken": ("confirmed", free)}
    assert (standing.status, standing.evse) == expected[answers[0]]
    assert Booking.objects.filter(evse=free, status="confirmed").count() == 1


def test_who_books_a_place_while_a_closure_is_taken_back_and_who_came_from_there_do_not_both_have_it() -> (
    None
):
    depot = make_depot()
    closed, free = make_evse(depot), make_evse(depot)
    booker(closed)()
    standing = Booking.objects.get()
    act = close(closed)
    operations.lift_closure(closure_id=act.closures.get().pk, actor=MANAGER, now=NOW)
    version = act_version(act)
    asked = {"act_id": act.pk, "seen_version": version, "actor": MANAGER, "now": NOW}

    answers = all_at_once([booker(closed), lambda: attempt(lambda: operations.undo_closure(**asked))])

    assert answers[1] == "done"
    standing.refresh_from_db()
    step = act.steps.get()
    expected = {"done": (free, "kept"), "slot_taken": (closed, "restored")}
    assert (standing.evse, step.after) == expected[answers[0]]
    assert Booking.objects.filter(evse=closed, status="confirmed").count() == 1


def test_what_a_closure_cancelled_is_booked_again_once_and_its_step_says_so() -> None:
    evse = make_evse(make_depot())
    booker(evse)()
    act = close(evse)
    operations.lift_closure(closure_id=act.closures.get().pk, actor=MANAGER, now=NOW)
    step = ClosureStep.objects.select_related("booking").get()

    def book_again(_: int) -> str:
        closure_acts._rebook(step, MANAGER, NOW)
        return step.after

    assert at_once(book_again, 3) == ["rebooked"] * 3
    step.refresh_from_db()
    assert (step.after, step.why, step.rebooked) == ("rebooked", "", Booking.objects.get(status="confirmed"))


def offered(evse: Evse) -> tuple[Booking, ClosureAct]:
    """A booking for which its closure has another time offered."""
    booker(evse)()
    where = Outage(evse.depot, frozenset({evse.pk}), slot(9, 18))
    act = operations.close_evses(outage=where, offers=True, actor=MANAGER, now=NOW)
    return Booking.objects.get(), act


def test_a_yes_to_what_a_closure_offers_and_taking_the_closure_back_do_not_both_count() -> None:
    evse = make_evse(make_depot())
    booking, act = offered(evse)
    version = act_version(act)
    undo = {"act_id": act.pk, "seen_version": version, "actor": MANAGER, "now": NOW}
    yes = {"booking_id": booking.pk, "actor": DISPATCHER, "now": NOW}

    answers = all_at_once(
        [
            lambda: attempt(lambda: operations.accept_counter_offer(**yes)),
            lambda: attempt(lambda: operations.undo_closure(**undo)),
        ]
    )

    assert answers[1] == "done"
    booking.refresh_from_db()
    step = act.steps.get()
    expected = {"done": (slot(18, 19), "kept"), "nothing_to_decide": (slot(10, 11), "restored")}
    assert (booking.period, step.after) == expected[answers[0]]
    assert list(Occupancy.objects.values_list("kind", "span")) == [("booking", booking.period)]


def test_of_two_managers_who_close_the_same_evse_the_second_sees_what_the_first_has_offered() -> None:
    evse = make_evse(make_depot())
    booker(evse)()
    where = Outage(evse.depot, frozenset({evse.pk}), slot(9, 18))
    seen = version_of(proposed(where, leaves_armed=True, offers=True, now=NOW))
    asked = {"outage": where, "offers": True, "seen_version": seen, "actor": MANAGER, "now": NOW}

    answers = at_once(lambda _: attempt(lambda: operations.close_evses(**asked)), 2)

    assert sorted(answers) == ["changed_meanwhile", "done"]
    assert BookingRequest.objects.filter(kind="offer").count() == 1
    assert ClosureStep.objects.get().outcome == "offered"
