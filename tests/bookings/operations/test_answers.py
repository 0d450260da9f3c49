"""One function says whether it is allowed, what it costs and what else would be, and leaves nothing behind."""

from __future__ import annotations

from typing import Any

import pytest

from bookings.models import Booking, BookingEvent, CalendarMark, Occupancy
from bookings.operations import ChangeRequest, SlotRequest
from bookings.operations.answers import answer_to_booking, answer_to_change
from tests.factories import (
    DISPATCHER,
    NOW,
    book_slot,
    make_depot,
    make_evse,
    make_rule,
    make_vehicle,
    option_of,
    slot,
)
from tests.money_factories import make_bound, per_kwh

pytestmark = pytest.mark.django_db


def everything() -> list[Any]:
    tables = (Booking, BookingEvent, CalendarMark, Occupancy)
    return [list(table.objects.order_by("pk").values()) for table in tables]  # type: ignore[attr-defined]


@pytest.fixture(params=[False, True], ids=["at once", "decided"])
def asked(request) -> SlotRequest:
    depot = make_depot(terms={"approval": request.param})
    make_bound(per_kwh("0.40"), depot=depot)
    vehicle = make_vehicle()
    return SlotRequest(
        fleet=vehicle.fleet, option=option_of(make_evse(depot)), vehicle=vehicle, period=slot(10, 11)
    )


def test_what_can_be_booked_says_its_price_and_whether_the_depot_decides(asked):
    before = everything()

    answer = answer_to_booking(asked, actor=DISPATCHER, now=NOW)

    assert everything() == before
    made = book_slot(**vars(asked))
    assert answer.is_allowed
    assert answer.quote == made.quote
    assert answer.quote["currency"] == "EUR"
    assert answer.waits == (made.status == "requested")


def test_what_cannot_says_why_and_what_is_nearest(asked):
    make_rule(asked.option.depot, "quota", amount=1)
    book_slot(**{**vars(asked), "option": option_of(make_evse(asked.option.depot))})
    before = everything()

    answer = answer_to_booking(asked, actor=DISPATCHER, now=NOW)

    assert (answer.is_allowed, answer.code, answer.nearest) == (False, "quota_reached", slot(9, 10))
    assert "1 EVSE at the same time" in answer.sentence
    assert everything() == before


def test_a_change_is_answered_alike(asked):
    booking = book_slot(**vars(asked))
    book_slot(**{**vars(asked), "period": slot(12, 13)})
    before = everything()

    def answer(period: Any) -> Any:
        return answer_to_change(booking.pk, ChangeRequest(period=period), actor=DISPATCHER, now=NOW)

    longer, taken = answer(slot(10, 12)), answer(slot(12, 13))

    assert longer.is_allowed
    assert float(longer.quote["total"]) > float(booking.quote["total"])
    assert (taken.is_allowed, taken.code) == (False, "slot_taken")
    assert everything() == before
