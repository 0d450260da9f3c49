"""A partner books where its agreement asks for a prepayment: pending until its balance covers it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from bookings.models import Booking
from bookings.scheduler import run_tick
from depots.models import Evse
from tests.bookings.payments_made import answer_waiting, available, make_prepaid_site, pay_in
from tests.factories import NOW, option_of, slot
from tests.roaming.partners import BOOKINGS, Caller, booking_request, code, data, make_partner

pytestmark = pytest.mark.django_db
ELEVEN = slot(11, 12)


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def caller() -> Caller:
    return Caller(make_partner())


@pytest.fixture
def evse() -> Evse:
    return make_prepaid_site()


def told(caller: Caller, booking: Any) -> tuple[str, str]:
    """Status of the booking and of its request."""
    found = data(caller.get(f"{BOOKINGS}/{booking['id']}"))
    [request] = found["booking_requests"]
    return found["reservation_status"], request["request_status"]


def test_it_is_pending_and_reserved_once_the_money_is_there(caller: Caller, evse: Evse) -> None:
    answer = caller.book(option_of(evse), ELEVEN)
    pending = told(caller, data(answer))
    partner = caller.partner.organisation

    pay_in(evse.depot, partner, "10.00")
    answer_waiting(evse.depot, partner)

    assert code(answer) == (201, 1000)
    assert pending == ("PENDING", "PENDING")
    assert told(caller, data(answer)) == ("RESERVED", "ACCEPTED")


def test_what_the_balance_covers_is_reserved_at_once(caller: Caller, evse: Evse) -> None:
    pay_in(evse.depot, caller.partner.organisation, "10.00")

    answer = caller.book(option_of(evse), ELEVEN)

    assert told(caller, data(answer)) == ("RESERVED", "ACCEPTED")
    assert available(evse.depot, caller.partner.organisation) == 0


def test_the_same_request_sent_twice_reserves_once(caller: Caller, evse: Evse) -> None:
    pay_in(evse.depot, caller.partner.organisation, "20.00")
    body = booking_request(caller.party, option_of(evse), ELEVEN)

    for _ in range(2):
        caller.post(BOOKINGS, body)

    assert available(evse.depot, caller.partner.organisation) == 10


def test_without_the_money_it_fails_in_time(caller: Caller, evse: Evse) -> None:
    answer = caller.book(option_of(evse), ELEVEN)

    run_tick(NOW + timedelta(minutes=60))

    assert told(caller, data(answer))[0] == "FAILED"
    assert Booking.objects.get().note == "It was not paid for in time."
