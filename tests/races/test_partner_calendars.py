"""Calendars of one offer that a partner puts at the same moment: each is merged into what the others made of it."""

from __future__ import annotations

from typing import Any

import pytest

from bookings.models import BookingOption
from roaming.models import Partner, PartnerObject
from tests.races.processes import at_once
from tests.roaming.partners import Caller, make_partner
from tests.roaming.pushed_objects import OFFER, calendar, offer

pytestmark = pytest.mark.django_db(transaction=True)
MANY = 6


@pytest.fixture
def caller() -> Caller:
    role = {"role": "CPO", "country_code": "FR", "party_id": "CPO", "name": "Network"}
    partner = make_partner("CPO", country_code="FR", roles=[role])
    caller = Caller(partner)
    assert caller.send("PUT", OFFER, offer(calendars=[])).status_code == 201
    return caller


def put(caller: Caller, number: int) -> int:
    body = calendar(id=f"CA-{number}")
    return caller.send("PUT", f"{OFFER}/CA-{number}", body).status_code


def patch(caller: Caller, number: int) -> int:
    body = {"calendars": [calendar(id=f"CA-{number}")], "last_updated": "2030-01-15T07:00:00Z"}
    return caller.send("PATCH", OFFER, body).status_code


@pytest.mark.parametrize(("send", "status"), [(put, 201), (patch, 200)])
def test_no_calendar_of_several_at_once_is_lost(caller: Caller, send: Any, status: int) -> None:
    answers = at_once(lambda number: send(caller, number), MANY)

    assert answers == [status] * MANY
    kept = PartnerObject.objects.get(partner=Partner.objects.get(), kind="booking_location").raw
    assert {c["id"] for c in kept["calendars"]} == {f"CA-{number}" for number in range(MANY)}
    assert BookingOption.objects.get().offered_slots.count() == MANY
