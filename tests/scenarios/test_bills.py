"""From a booking over a charger's own messages to its record: what is billed is what the one pricing function says."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bookings import enforcement, scheduler
from bookings.imports.tariff_schemas import TariffRow
from bookings.models import Booking, ChargeDetailRecord
from bookings.pricing.price import price
from bookings.pricing.visits import BookedSlot, ChargingPeriod, SessionUse, Visit
from depots.models import Charger, ChargerCommand, ChargingSession, Evse
from depots.periods import Period, utc_text
from tests.billing_factories import BOOKING, CHARGING, priced, standing
from tests.bookings.enforcement.online_chargers import TERMS
from tests.factories import NOW, book_slot, make_charger, make_depot, make_evse, make_vehicle, option_of
from tests.scenarios.bed import Bed, ScriptedCharger, eventually

MINUTE = timedelta(minutes=1)
SLOT = Period(NOW + 15 * MINUTE, NOW + 75 * MINUTE)


@pytest.fixture
def booking(transactional_db) -> Booking:
    return priced(booked(SLOT))


def booked(period: Period) -> Booking:
    evse: Evse = make_evse(charger=make_charger(make_depot(terms={**TERMS, "slot_step_min": 1})))
    vehicle = make_vehicle(token="04AABBCCDD10")
    return book_slot(fleet=vehicle.fleet, vehicle=vehicle, option=option_of(evse), period=period, now=NOW)


def online(bed: Bed, booking: Booking, protocol: str) -> ScriptedCharger:
    charger = bed.charger(booking.evse.charger, protocol, evses=1)
    charger.come_online()
    return charger


def arm(bed: Bed, booking: Booking) -> None:
    """The charger has the reservation and has said so."""
    enforcement.arm_due(now=bed.clock())
    eventually(lambda: ChargerCommand.objects.filter(action="reserve", state="answered").exists())


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
def test_a_booking_is_charged_at_a_real_socket_and_billed_by_the_function_that_prices(
    bed: Bed, booking: Booking, protocol: str
):
    charger = online(bed, booking, protocol)
    bed.clock.advance(minutes=15)
    arm(bed, booking)

    charger.tap(1, booking.tokens.get().uid)
    begin = bed.clock()
    bed.clock.advance(minutes=30)
    charger.charge(1, 30 * MINUTE, power_w=120_000)
    end = bed.clock.advance(minutes=5)
    charger.stop(1)

    (cdr,) = standing()
    session = ChargingSession.objects.get()
    periods = (ChargingPeriod(begin, energy_kwh=Decimal(60)),)
    slot = BookedSlot(SLOT, ended_at=end)
    bill = price(
        Visit(SessionUse(periods, end), slot), booking.depot.zone, charging=CHARGING, booking=BOOKING
    )
    assert (cdr.booking, cdr.session, cdr.energy_wh) == (booking, session, 60_000)
    assert (cdr.before_taxes, cdr.taxes) == (bill.total.before_taxes, bill.total.tax)
    assert cdr.bill == bill.to_json()


def charged_at_one_go() -> list[dict[str, Any]]:
    """Of the visits with published totals those that any charger can have, on any day: energy for a while, then off."""
    path = Path(__file__).parents[1] / "samples/prices/worked.json"
    found = []
    for worked in json.loads(path.read_text(), parse_float=Decimal):
        session, elements = worked["file"]["session"], worked["file"]["tariff"]["elements"]
        (first, *more), is_plain = session["charging_periods"], not any("restrictions" in e for e in elements)
        volumes = {each["type"]: each["volume"] for each in first["dimensions"]}
        begin, end = (
            datetime.fromisoformat(at) for at in (first["start_date_time"], session["end_date_time"])
        )
        whole = Decimal((end - begin).total_seconds()) / 3600
        if is_plain and not more and volumes.keys() <= {"ENERGY", "TIME"} and volumes["TIME"] == whole:
            found.append({**worked, "kwh": volumes.get("ENERGY", Decimal(20)), "during": end - begin})
    return [each for each in found if each["kwh"]]


@pytest.mark.parametrize("worked", charged_at_one_go(), ids=lambda w: f"{w['tariff_name']}, {w['visit']}")
def test_a_published_total_is_what_a_charge_at_a_real_socket_is_billed(
    bed: Bed, transactional_db: None, worked: dict[str, Any]
):
    booking = booked(Period(SLOT.starts_at, SLOT.starts_at + 3 * 60 * MINUTE))
    priced(booking, TariffRow.model_validate(worked["file"]["tariff"]).content(), None)
    charger = online(bed, booking, "ocpp2.0.1")
    bed.clock.advance(minutes=15)
    arm(bed, booking)

    charger.tap(1, booking.tokens.get().uid)
    bed.clock.advance(seconds=worked["during"].total_seconds())
    hours = Decimal(worked["during"].total_seconds()) / 3600
    charger.charge(1, worked["during"], power_w=int(worked["kwh"] * 1000 / hours))
    charger.stop(1)

    (cdr,) = standing()
    assert (cdr.booking, cdr.energy_wh) == (booking, worked["kwh"] * 1000)
    assert round(cdr.before_taxes, 2) == worked["before_taxes"]
    assert round(cdr.before_taxes + cdr.taxes, 2) == worked["after_taxes"]


def test_a_no_show_with_a_dead_charger_costs_nothing_and_says_why(bed: Bed, booking: Booking):
    charger = online(bed, booking, "ocpp1.6")
    bed.clock.advance(minutes=14)
    arm(bed, booking)
    charger.drop()
    eventually(lambda: not Charger.objects.get().lease_holder)

    scheduler.run_tick(bed.clock.advance(minutes=16, seconds=1))

    booking.refresh_from_db()
    assert booking.status == "no_show"
    (fault,) = booking.events.get(kind="waived").detail["seen"]
    assert (fault["why"], fault["start"]) == ("offline", utc_text(SLOT.starts_at))
    assert not ChargeDetailRecord.objects.exists()


def test_the_same_with_a_healthy_charger_costs_the_fee(bed: Bed, booking: Booking):
    online(bed, booking, "ocpp1.6")
    bed.clock.advance(minutes=14)
    arm(bed, booking)
    # Its gateway has held its lease all the while.
    Charger.objects.update(lease_until=NOW + timedelta(hours=2))

    scheduler.run_tick(bed.clock.advance(minutes=16, seconds=1))

    (cdr,) = standing()
    assert (cdr.kind, f"{cdr.before_taxes:.2f}") == ("no_show", "30.00")


def event(kind: str, seq_no: int, minute: int, wh: int, **fields) -> dict:
    at = utc_text(SLOT.starts_at + minute * MINUTE)
    told = {
        "eventType": kind, "timestamp": at, "triggerReason": "Trigger", "seqNo": seq_no, "evse": {"id": 1, "connectorId": 1},
        "transactionInfo": {"transactionId": "T1", "chargingState": "Charging"},
        "meterValue": [{"timestamp": at, "sampledValue": [{"value": wh}]}],
        "offline": True,
    }  # fmt: skip
    return {**told, **fields}


@pytest.mark.parametrize("seed", range(6))
def test_in_whatever_order_and_however_often_messages_come_one_record_stands(
    bed: Bed, booking: Booking, seed: int
):
    token = {"idToken": booking.tokens.get().uid, "type": "ISO14443"}
    events = [
        event("Started", 0, 0, 1000, idToken=token),
        event("Updated", 1, 10, 21_000),
        event("Updated", 2, 20, 41_000),
        event("Ended", 3, 30, 61_000),
    ]
    told = events + random.Random(seed).choices(events, k=4)
    random.Random(seed).shuffle(told)
    charger = online(bed, booking, "ocpp2.0.1")
    bed.clock.advance(minutes=50)

    for each in told:
        charger.ask("TransactionEvent", each)

    (cdr,) = standing()
    issued = ChargeDetailRecord.objects.filter(credits=None).count()
    assert ChargeDetailRecord.objects.exclude(credits=None).count() == issued - 1
    assert (cdr.energy_wh, f"{cdr.before_taxes:.2f}") == (60_000, "35.00")
    assert sorted(ChargeDetailRecord.objects.values_list("number", flat=True)) == list(range(1, 2 * issued))
