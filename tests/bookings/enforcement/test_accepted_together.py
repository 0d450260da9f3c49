"""Reservations that chargers accept in the same moment arm what each would have armed by itself."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings import enforcement
from bookings.models import Booking
from depots import operations as depots
from depots.models import Charger, ChargerCommand
from tests.bookings.enforcement.online_chargers import TERMS, book, evse_online, start
from tests.factories import at, make_depot
from tests.scenarios.locked_rows import somebody_locks

pytestmark = pytest.mark.django_db

ARMED_AT, ANSWERED_AT = at(9, 45), at(9, 46)


def asked(count: int, **measured: Any) -> list[Booking]:
    """Bookings whose reservations were sent."""
    depot = make_depot(terms=TERMS)
    bookings = [book(evse_online(depot)) for _ in range(count)]
    Charger.objects.update(measured=measured)
    enforcement.arm_due(now=ARMED_AT)
    ChargerCommand.objects.filter(action="reserve").update(state="sent", sent_at=ARMED_AT)
    return bookings


def call(booking: Booking) -> dict[str, Any]:
    command = ChargerCommand.objects.get(reservation_id=booking.reservation_id, action="reserve")
    return {
        "command_id": command.pk,
        "state": "answered",
        "answer": "accepted",
        "answer_text": "",
        "now": ANSWERED_AT,
    }


def settle(*bookings: Booking) -> int:
    return len(depots.settle_commands([call(booking) for booking in bookings]))


def facts(booking: Booking) -> tuple[Any, ...]:
    booking = Booking.objects.select_related("evse__charger").get(pk=booking.pk)
    assert booking.evse is not None
    assert booking.evse.charger is not None
    command = ChargerCommand.objects.get(reservation_id=booking.reservation_id, action="reserve")
    events = booking.events.order_by("id").values_list("kind", "before", "after", "at", "detail")
    measured = {
        name: seen for name, seen in booking.evse.charger.measured.items() if name != "reservation_by"
    }
    return (
        booking.enforcement, booking.enforcement_why, booking.enforcement_at, booking.next_try_at, booking.version,
        booking.updated_at, booking.armed_evse_id == booking.evse_id, list(events), measured,
        command.state, command.answer, command.answered_at,
    )  # fmt: skip


@pytest.mark.parametrize("measured", [{}, {"reservation": "works"}, {"claim_s": 600}])
@pytest.mark.parametrize("state", ["due", "at_risk"])
def test_what_is_accepted_together_is_armed_as_if_alone(measured: dict[str, Any], state: str) -> None:
    one, *many = asked(3, **measured)
    Booking.objects.update(enforcement=state, enforcement_why="no_answer" if state == "at_risk" else "")

    depots.settle_command(**call(one))

    assert settle(*many) == 2
    assert facts(one)[0] == "armed"
    assert [facts(each) for each in many] == [facts(one)] * 2


@pytest.mark.parametrize(
    ("measured", "now_is"),
    [
        ({"reservation": "lies"}, {}),
        ({"reservation": "refuses"}, {}),
        ({"answers_calls": False}, {}),
        ({}, {"status": "cancelled"}),
        ({}, {"enforcement": "not_due"}),
        ({}, {"enforcement": "armed"}),
    ],
)
def test_a_yes_from_which_more_follows_is_left_to_its_own_operation(
    measured: dict[str, Any], now_is: dict[str, str]
) -> None:
    special, plain = asked(2)
    assert special.evse is not None
    Charger.objects.filter(pk=special.evse.charger_id).update(measured=measured)
    Booking.objects.filter(pk=special.pk).update(**now_is)
    before = facts(special)

    assert settle(special, plain) == 1

    assert facts(special) == before
    assert facts(plain)[0] == "armed"


def test_a_yes_where_somebody_else_charges_arms_nothing() -> None:
    (booking,) = asked(1)
    assert booking.evse is not None
    start(booking.evse, "STRANGER", ANSWERED_AT)

    assert settle(booking) == 0
    depots.settle_command(**call(booking))

    assert facts(booking)[:2] == ("at_risk", "occupied")
    assert Booking.objects.get(pk=booking.pk).armed_evse == booking.evse


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", ["evse", "charger", "booking"])
def test_what_somebody_has_locked_holds_up_no_other(what: str) -> None:
    locked, free = asked(2)
    evse = locked.evse
    assert evse is not None
    row: Any = {"evse": evse, "charger": evse.charger, "booking": locked}[what]

    with somebody_locks(row):
        assert settle(locked, free) == 1

    assert (facts(locked)[0], facts(free)[0]) == ("due", "armed")


def test_twelve_accepted_reservations_cost_as_many_statements_as_two() -> None:
    def statements(count: int) -> int:
        bookings = asked(count)
        calls = [call(booking) for booking in bookings]
        with CaptureQueriesContext(connection) as captured:
            assert len(depots.settle_commands(calls)) == count
        return len(captured)

    assert (statements(2), statements(12)) == (11, 11)
