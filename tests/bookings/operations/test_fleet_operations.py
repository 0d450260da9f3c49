"""Vehicles and tokens are written by operations: one of a name, never over what somebody else has just written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bookings import errors, operations
from bookings.models import Token, Vehicle
from bookings.operations.tokens import TokenFacts
from bookings.operations.vehicles import VehicleFacts
from bookings.rules.content_version import version_of
from tests.factories import make_fleet, make_vehicle

pytestmark = pytest.mark.django_db

FACTS = VehicleFacts(plate="HH-NF 100", vehicle_type="RIGID", connector_standards=["IEC_62196_T2_COMBO"])
CARD = TokenFacts(uid="04AABBCC", type="RFID")


def test_a_plate_is_a_fleets_once_in_whatever_capitals():
    fleet = make_fleet()
    operations.add_vehicle(fleet=fleet, facts=FACTS)

    with pytest.raises(errors.PlateInUse):
        operations.add_vehicle(fleet=fleet, facts=replace(FACTS, plate="hh-nf 100"))

    operations.add_vehicle(fleet=make_fleet(), facts=FACTS)
    assert Vehicle.objects.count() == 2


def test_a_card_is_a_fleets_once_however_it_is_written():
    fleet = make_fleet()
    operations.add_token(fleet=fleet, facts=CARD)

    with pytest.raises(errors.TokenInUse):
        operations.add_token(fleet=fleet, facts=replace(CARD, uid="04:aa:bb:cc"))


def test_a_vehicle_is_not_changed_over_what_somebody_else_has_written():
    vehicle = make_vehicle()
    seen = version_of(vehicle)
    operations.set_retired(vehicle_id=vehicle.pk, is_retired=True, seen_version=seen)

    with pytest.raises(errors.ChangedMeanwhile):
        operations.change_vehicle(vehicle_id=vehicle.pk, facts=FACTS, seen_version=seen)

    vehicle.refresh_from_db()
    assert (vehicle.is_retired, vehicle.plate == FACTS.plate) == (True, False)


def test_a_token_goes_to_no_vehicle_of_another_fleet():
    token = make_vehicle().tokens.get()
    facts = replace(CARD, vehicle=make_vehicle())

    with pytest.raises(errors.VehicleUnknown):
        operations.change_token(token_id=token.pk, facts=facts, seen_version=version_of(token))

    assert Token.objects.get(pk=token.pk).uid == token.uid
