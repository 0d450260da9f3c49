"""A partner's asks: refusals are answers, repetitions change nothing."""

from __future__ import annotations

import pytest

from bookings import operations
from bookings.models import Occupancy
from bookings.operations.request_log import ReceivedMessage
from tests.bookings.operations.asks_of_partners import ask, change, decisions
from tests.factories import (
    MANAGER,
    NOW,
    make_depot,
    make_evse,
    slot,
)

pytestmark = pytest.mark.django_db


def test_a_refused_ask_is_kept_with_its_reason_and_takes_no_place():
    evse = make_evse()
    first = ask(evse)

    second = ask(evse, fleet=first.fleet, request_id="R-2")

    assert (second.status, second.note, decisions(second)) == (
        "declined",
        "This slot is taken.",
        ["declined"],
    )
    assert Occupancy.objects.count() == 1


def test_a_change_to_what_is_booked_already_is_granted_and_changes_nothing():
    booking = ask(make_evse())

    same = change(booking, booking.period)

    assert (same.status, same.period, decisions(same)) == (
        "confirmed",
        slot(10, 11),
        ["accepted", "accepted"],
    )


def test_asking_for_what_is_booked_takes_back_a_change_that_waits():
    booking = ask(make_evse(make_depot(terms={"approval": True})))
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    change(booking, slot(12, 13))

    back = change(booking, booking.period, message=ReceivedMessage({}, "f3"))

    assert decisions(back) == ["accepted", "declined", "accepted"]
    assert not Occupancy.objects.filter(kind="pending").exists()


def test_asking_again_for_what_waits_for_its_first_decision_leaves_it_waiting():
    booking = ask(make_evse(make_depot(terms={"approval": True})))

    same = change(booking, booking.period)

    assert (same.status, decisions(same)) == ("requested", ["pending"])


def test_a_change_that_a_rule_refuses_leaves_the_booking_and_says_why():
    booking = ask(make_evse())

    refused = change(booking, slot(10, (10, 15)))

    assert (refused.status, refused.period, decisions(refused)) == (
        "confirmed",
        slot(10, 11),
        ["accepted", "declined"],
    )
    assert "at least 30 minutes" in refused.requests.last().reason
