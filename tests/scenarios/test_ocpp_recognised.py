"""A truck that plugs in is known: by its contract, by its address, or as a member of the group its booking names."""

from __future__ import annotations

import pytest

from bookings import enforcement
from bookings.models import GROUP, Booking, Token
from bookings.rules.entitlement import TokenName
from depots.models import Charger, Evse
from simulators.charger import IdToken
from tests.bookings.enforcement.online_chargers import TERMS
from tests.factories import (
    at,
    book_slot,
    make_charger,
    make_depot,
    make_evse,
    make_fleet,
    make_vehicle,
    option_of,
    slot,
)
from tests.scenarios.bed import Bed, eventually

ALL = ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"]
# What the truck's plug and its driver's card tell, and the name a reservation is made with.
READ_16 = {"EMAID": "DE83DUIEN83QGZD", "MAC": "VID:92D50A693F80", "GROUP": "04AABBCC"}
READ_2X = {
    "EMAID": IdToken("DE83DUIEN83QGZD", "eMAID"),
    "MAC": IdToken("92:D5:0A:69:3F:80", "MacAddress"),
    "GROUP": IdToken("04AABBCC", "ISO14443"),
}


@pytest.fixture
def row(transactional_db: None) -> Charger:
    charger = make_charger(make_depot(terms=TERMS))
    for _ in range(3):
        make_evse(charger=charger, status=Evse.Status.AVAILABLE)
    return charger


def booked(row: Charger) -> dict[str, Booking]:
    """By what opens it: one booking for each EVSE."""
    fleet = make_fleet()
    contract, autocharge, anybody = (make_vehicle(fleet, token=None) for _ in range(3))
    Token.objects.create(fleet=fleet, vehicle=contract, uid="DE-83D-UIEN83QGZ", type="EMAID")
    Token.objects.create(fleet=fleet, vehicle=autocharge, uid="92-d5-0a-69-3f-80", type="MAC")
    Token.objects.create(fleet=fleet, uid="04AABBCC", group_name="Night shift")
    group = [TokenName("Night shift", GROUP)]
    trucks = {"EMAID": (contract, None), "MAC": (autocharge, None), "GROUP": (anybody, group)}
    places = zip(trucks.items(), row.evses.order_by("number"), strict=True)
    return {
        name: book_slot(
            fleet=fleet,
            vehicle=vehicle,
            tokens=tokens,
            option=option_of(evse),
            evse=evse,
            period=slot(10, 11),
        )
        for (name, (vehicle, tokens)), evse in places
    }


@pytest.mark.parametrize("protocol", ALL)
def test_a_truck_is_recognised_by_what_its_plug_or_its_groups_card_tells(
    bed: Bed, row: Charger, protocol: str
) -> None:
    bookings = booked(row)
    bed.clock.now = at(9, 50)
    charger = bed.charger(row, protocol, evses=3)
    charger.come_online()
    eventually(lambda: Charger.objects.get().told.get("asked_at"))
    enforcement.arm_due(now=bed.clock.now)
    eventually(lambda: Booking.objects.filter(enforcement="armed").count() == 3)

    assert charger.tap(1, IdToken("04FFFFFF")) is None  # a stranger's card
    for name, booking in bookings.items():
        token = READ_16[name] if protocol == "ocpp1.6" else READ_2X[name]
        assert booking.evse is not None
        assert charger.tap(booking.evse.number, token) is not None

    for booking in bookings.values():
        eventually(lambda pk=booking.pk: Booking.objects.filter(pk=pk, status="charging", enforcement="used"))
    if protocol != "ocpp1.6":
        kinds = {reservation.token.type for reservation in charger.station.reservations.values()}
        assert kinds <= {"eMAID", "MacAddress", "Central"}
