"""Which cards a vehicle brings: one rule, which a new booking asks of the database together with the vehicle."""

from __future__ import annotations

import pytest

from bookings.errors import VehicleUnknown
from bookings.models import Token, Vehicle
from bookings.rules.entitlement import ask_for_vehicle, entitled
from tests.factories import make_fleet, make_vehicle

pytestmark = pytest.mark.django_db
PARTY = ("DE", "NFR")


def own(vehicle: Vehicle, uid: str, **fields: object) -> None:
    Token.objects.create(fleet=vehicle.fleet, vehicle=vehicle, uid=uid, **fields)


@pytest.mark.parametrize(
    ("elsewhere", "usable"),
    [
        ({}, {"04AA01", "CONTRACT-1"}),
        ({"uid": "04:aa:01", "type": "APP_USER", "is_blocked": True}, {"CONTRACT-1"}),
        ({"uid": "04 aa-01", "type": "OTHER", "vehicle": "retired"}, {"CONTRACT-1"}),
        ({"uid": "04:aa:01", "type": "OTHER"}, {"04AA01", "CONTRACT-1"}),
        ({"uid": "04AA01", "fleet": "another", "is_blocked": True}, {"04AA01", "CONTRACT-1"}),
    ],
    ids=["alone", "blocked once", "left in a retired vehicle", "also free", "another fleet's"],
)
def test_the_cards_of_a_vehicle_are_the_same_however_they_are_asked_for(
    elsewhere: dict[str, object], usable: set[str]
) -> None:
    vehicle = make_vehicle(token=None)
    own(vehicle, "04AA01", contract_id="DE-NFR-C1")
    own(vehicle, "CONTRACT-1", type="APP_USER")
    own(vehicle, "04AA02", is_blocked=True)
    if elsewhere:
        fleet = make_fleet() if elsewhere.get("fleet") else vehicle.fleet
        retired = make_vehicle(fleet, token=None, is_retired=True) if elsewhere.get("vehicle") else None
        Token.objects.create(**{**elsewhere, "fleet": fleet, "vehicle": retired})

    found, cards = ask_for_vehicle(vehicle, vehicle.fleet).found()

    named = entitled(None, vehicle, vehicle.fleet, PARTY)
    assert found == vehicle
    assert [(card.uid, card.type, card.contract_id) for card in cards] == [
        (token.uid, token.type, token.contract_id) for token in named
    ]
    assert {card.uid for card in cards} == usable


def test_a_vehicle_without_cards_brings_none_and_a_strangers_is_unknown() -> None:
    vehicle = make_vehicle(token=None)

    assert ask_for_vehicle(vehicle, vehicle.fleet).found() == (vehicle, [])
    with pytest.raises(VehicleUnknown):
        ask_for_vehicle(vehicle, make_fleet()).found()
