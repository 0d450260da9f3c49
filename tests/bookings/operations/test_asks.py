"""A partner's asks: refusals are answers, repetitions change nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from bookings import operations
from bookings.models import Booking, Occupancy
from bookings.operations.request_log import ReceivedMessage
from bookings.rules.entitlement import TokenName
from bookings.rules.fit import Needs
from depots.periods import Period
from tests.factories import (
    MANAGER,
    NOW,
    PARTNER,
    ask_for_slot,
    make_depot,
    make_evse,
    make_organisation,
    option_of,
    slot,
)

pytestmark = pytest.mark.django_db

PARTY = ("DE", "ABC")


def ask(evse: Any, period: Period = slot(10, 11), **wishes: Any) -> Booking:
    partner = wishes.pop("fleet", None) or make_organisation(
        country_code="DE", emsp_party_id="ABC", is_partner=True
    )
    asked = {
        "fleet": partner, "option": option_of(evse), "period": period, "needs": Needs(), "evse": None,
        "tokens": [TokenName("CARD1")], "power_w": None, "plate": "", "request_id": "R-1",
        "authorization_reference": "A-1", "party": PARTY, "message": ReceivedMessage({"request_id": "R-1"}, "f1"),
        "actor": PARTNER, "now": NOW, **wishes,
    }  # fmt: skip
    return ask_for_slot(**asked)


def change(booking: Booking, period: Period, *, now: datetime = NOW, **wishes: Any) -> Booking:
    asked = {"period": period, "message": ReceivedMessage({}, "f2"), **wishes}
    request = operations.ChangeRequest(**asked)
    return operations.ask_to_change(booking.pk, request, actor=PARTNER, now=now)


def decisions(booking: Booking) -> list[str]:
    return list(booking.requests.values_list("decision", flat=True))


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
