"""Two installations of Berth as each other's partner: a dispatcher of one books at a depot of the other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import close_old_connections

from bookings.models import ChargeDetailRecord
from conformance.specification import faults
from roaming.mirror import kept_objects
from roaming.models import PartnerObject
from tests.factories import make_fleet, make_vehicle
from tests.scenarios.outside.berth import CHECKOUT, Berth, Slot, free_port, instant
from tests.scenarios.outside.charger import Charger16
from tests.scenarios.outside.fixtures import next_party
from tests.scenarios.outside.partner_offers import moment
from tests.scenarios.outside.reservations import online, released, reserved
from tests.scenarios.outside.waiting import eventually
from tests.serving import on_test_database

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

# What one Berth keeps of what the other told, and what it is called in the specification.
KINDS = {
    kept_objects.BOOKING: "Booking",
    kept_objects.BOOKING_LOCATION: "BookingLocation",
    kept_objects.LOCATION: "Location",
    kept_objects.TARIFF: "Tariff",
    kept_objects.SESSION: "Session",
    kept_objects.CDR: "CDR",
}
PLATE = "SY-FR 100"
TRUCK = "04A1B2C3D4E5"
STRANGER = "DEADBEEF"


@contextmanager
def fleets_berth(var: Path) -> Iterator[Berth]:
    """Another Berth, on this test's own database: its web server and its worker are processes, as are its commands."""
    here = {**on_test_database(var=var), "BERTH_HTTP": f"127.0.0.1:{free_port()}"}
    berth = Berth(var, here["BERTH_HTTP"], here["BERTH_OCPP"], settings=here)
    programs = [
        subprocess.Popen(
            [sys.executable, "manage.py", name],
            cwd=CHECKOUT,
            env=berth.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for name in ("serve", "worker")
    ]
    try:
        eventually(lambda: berth._answers("serve"), of="the second Berth", within_s=60)
        yield berth
    finally:
        berth.close_commands()
        for program in programs:
            program.terminate()
        for program in programs:
            program.wait(timeout=30)


@pytest.fixture
def party(shared_folder: Path) -> str:
    """Of the fleet: one that the depots' Berth does not know from another test."""
    return next_party(shared_folder)


@pytest.fixture
def fleet_side(transactional_db: None, tmp_path: Path, party: str) -> Iterator[Berth]:
    fleet = make_fleet("Sydfrakt", country_code="SE", emsp_party_id=party)
    make_vehicle(fleet, plate=PLATE, token=TRUCK)
    with fleets_berth(tmp_path) as berth:
        yield berth


@pytest.fixture
def left_there(berth: Berth) -> Iterator[list[str]]:
    """Bookings at the depots' Berth, by OCPI id; those that stand in the end are cancelled."""
    made: list[str] = []
    yield made
    for booking in made:
        berth.run("cancel_booking", booking, "--reason", "UNKNOWN", "--by", "depot")


def test_a_dispatcher_of_one_books_changes_and_cancels_at_a_depot_of_the_other(
    berth: Berth, fleet_side: Berth, party: str, left_there: list[str], charger_of: Callable[[str], Charger16]
) -> None:
    charger = online(charger_of("1.6"))
    invited = berth.run(
        "add_partner",
        "--name",
        f"Sydfrakt {party}",
        "--country-code",
        "SE",
        "--party-id",
        party,
        "--role",
        "EMSP",
    ).one
    agreed = fleet_side.run(
        "add_partner", "--name", "Depot Berth", "--country-code", "DE", "--party-id", "NFR", "--role", "CPO",
        "--connect", invited["versions_url"], "--token", invited["token_a"],
    ).one  # fmt: skip
    assert agreed["version"] == "2.3.0"
    first, second = f"{charger.identity}-1", f"{charger.identity}-2"
    soon = Slot.soon(30, in_min=10)
    until = instant(moment(soon.end) + timedelta(minutes=15))

    booked = eventually(lambda: _booked_once_known(fleet_side, first, soon), of="the offers", within_s=60)
    assert booked["route"] == "outbound"
    held = fleet_side.until(booked, status="confirmed", remote_status="RESERVED")
    left_there.append(held["ocpi_id"])
    there = berth.booking(held["ocpi_id"])
    assert (there["route"], there["status"]) == ("inbound", "confirmed")
    given_up = fleet_side.book(second, soon, vehicle=PLATE)
    longer = fleet_side.run("change_booking", booked["id"], "--end", until).one
    eventually(lambda: berth.booking(there)["period"]["end"] == until, of="the change")
    fleet_side.until(longer, status="confirmed")
    assert fleet_side.booking(booked)["period"]["end"] == until

    fleet_side.until(given_up, status="confirmed")
    other = berth.booking(fleet_side.booking(given_up)["ocpi_id"])
    reserved(charger, other)
    fleet_side.cancel(given_up)
    fleet_side.until(given_up, status="cancelled", remote_status="CANCELED")
    released(charger, other)
    assert berth.until(other, status="cancelled")["enforcement"] == "released"

    berth.until(there, enforcement="armed")
    assert not charger.may(STRANGER)
    charger.status(1, "Preparing")
    begun = charger.start(1, TRUCK, reservation=there["reservation_id"])
    charger.status(1, "Charging")
    fleet_side.until(booked, status="charging", remote_status="FULFILLED")
    # As much as a charger can deliver in seconds: what cannot be is not billed, and not told.
    charger.stop(begun["transactionId"], TRUCK, meter=1020)
    charger.status(1, "Available")
    berth.until(there, status="completed")

    fleet_side.until(booked, status="completed", within_s=60)
    received = eventually(lambda: _record_of(booked["id"]), of="the CDR", within_s=60)
    issued = berth.run("show_cdr", received["id"]).one
    assert received["booking_id"] == there["ocpi_id"]
    assert received["total_cost"] == issued["total_cost"]
    _all_that_was_told_is_to_the_letter()


def _booked_once_known(berth: Berth, option: str, slot: Slot) -> dict[str, Any] | None:
    said = berth.run("book", "--vehicle", PLATE, "--option", option, "--start", slot.start, "--end", slot.end)
    return said.one if said.code == 0 else None


def _record_of(booking_id: int) -> dict[str, Any] | None:
    """The CDR of a partner's depot as it came."""
    close_old_connections()
    record = ChargeDetailRecord.objects.filter(booking_id=booking_id).first()
    return record.received if record else None


def _all_that_was_told_is_to_the_letter() -> None:
    """By tables written from the specification, with no field that it does not know."""
    kept = PartnerObject.objects.values_list("kind", "key", "raw")

    assert {kind for kind, _, _ in kept} == set(KINDS)
    assert [
        (kind, key, found)
        for kind, key, raw in kept
        if (found := faults(KINDS[kind], raw, "2.3.0", exact=True))
    ] == []
