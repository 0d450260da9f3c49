"""Trucks that charge without their booking when its time begins: they are recognised, and nobody plugs in again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from bookings import enforcement, scheduler
from bookings.models import Booking, Occupancy, PowerMark, Vehicle
from bookings.pages.history import moments
from depots import operations as depots
from depots.models import ChargingSession, Evse
from tests.billing_factories import amounts, priced, records, uses
from tests.bookings.enforcement.charging_trucks import fresh, happened, stop
from tests.bookings.enforcement.online_chargers import TERMS, book, commands, evse_online, start
from tests.factories import at, make_depot, make_vehicle, slot

pytestmark = pytest.mark.django_db


def came_unbooked(
    *, began_at: datetime = at(9), period: Any = slot(10, 11), **terms: Any
) -> tuple[Booking, ChargingSession]:
    """A truck that charges since then, and its booking of the same EVSE."""
    evse = evse_online(make_depot(terms={**TERMS, "walk_in": "known", **terms}))
    vehicle = make_vehicle()
    session = start(evse, uid_of(vehicle), began_at)
    assert session.is_entitled
    show(evse, "charging", began_at)
    return book(evse, period, vehicle=vehicle), session


def uid_of(vehicle: Vehicle) -> str:
    return vehicle.tokens.get().uid


def show(evse: Evse, status: str, now: datetime) -> None:
    depots.report_status(charger_id=evse.charger_id, evse_number=evse.number, status=status, at=now, now=now)


def test_a_truck_that_charges_already_is_its_booking_from_early_start_on():
    booking, session = came_unbooked()

    scheduler.run_tick(at(9, 44))
    assert fresh(booking).status == "confirmed"
    PowerMark.objects.all().delete()
    scheduler.run_tick(at(9, 45))
    scheduler.run_tick(at(9, 46))

    booking = fresh(booking)
    assert (booking.status, booking.session, booking.visits.count()) == ("charging", session, 1)
    (begun,) = [detail for detail in happened(booking, "status") if "transaction" in detail]
    assert begun["already_since"] == at(9).isoformat()
    assert (
        "charging there since 10:00 already" in moments(booking, organisation_ids=[], is_fleet=True)[0].text
    )


def test_whoever_charges_with_a_card_that_its_fleet_has_blocked_since_uses_no_booking():
    booking, session = came_unbooked()
    booking.vehicle.tokens.update(is_blocked=True)

    scheduler.run_tick(at(9, 46))

    assert fresh(booking).status == "confirmed"
    assert not hasattr(ChargingSession.objects.get(pk=session.pk), "visit")


def test_its_promise_of_power_is_planned_as_it_is_adopted():
    booking, _ = came_unbooked()
    PowerMark.objects.all().delete()

    enforcement.adopt_due(now=at(9, 45))

    assert PowerMark.objects.get().depot_id == booking.depot_id


@pytest.mark.parametrize("before_start", [5, 4, 1])
def test_without_early_start_it_waits_for_its_slot_and_is_not_sent_elsewhere(before_start):
    booking, session = came_unbooked(early_start_min=0, arm_lead_min=15)
    evse_online(booking.depot)  # free, and would be taken

    scheduler.run_tick(at(9, 45))
    scheduler.run_tick(at(9, 60 - before_start))
    waiting = fresh(booking)
    assert (waiting.status, waiting.evse_id) == ("confirmed", session.evse_id)
    assert (waiting.enforcement, waiting.enforcement_why) == ("due", "own_vehicle")
    assert not [action for action, _ in commands() if action == "reserve"]
    assert "takes the session over" in waiting.enforcement_in_full

    scheduler.run_tick(at(10))
    assert (fresh(booking).status, fresh(booking).session) == ("charging", session)


def test_one_that_leaves_before_its_slot_has_its_evse_reserved_at_once():
    booking, session = came_unbooked(early_start_min=0)
    scheduler.run_tick(at(9, 45))

    stop(session, at(9, 50), 40_000)
    show(booking.evse, "available", at(9, 50))

    assert commands()[-1] == ("reserve", booking.reservation_id)


def test_it_waits_while_the_slot_of_another_lasts():
    evse = evse_online(
        make_depot(terms={**TERMS, "walk_in": "known", "early_start_min": 30, "no_show_min": 60})
    )
    vehicle = make_vehicle()
    session = start(evse, uid_of(vehicle), at(8))
    show(evse, "charging", at(8))
    book(evse, slot(9, (9, 45)))
    booking = book(evse, slot(10, 11), vehicle=vehicle)

    scheduler.run_tick(at(9, 44))
    assert fresh(booking).status == "confirmed"
    scheduler.run_tick(at(9, 45))

    assert (fresh(booking).status, fresh(booking).session) == ("charging", session)


def test_a_slot_booked_while_it_charges_is_its_own_at_once():
    evse = evse_online(make_depot(terms={**TERMS, "walk_in": "known"}))
    vehicle = make_vehicle()
    session = start(evse, uid_of(vehicle), at(9))
    show(evse, "charging", at(9))
    booking = book(evse, slot((9, 30), 11), vehicle=vehicle, now=at(9, 29))

    scheduler.run_tick(at(9, 29))

    assert (fresh(booking).status, fresh(booking).session) == ("charging", session)
    assert Occupancy.objects.get(holder=booking.pk).span.starts_at == at(9, 29)


@pytest.mark.parametrize("why", ["another's", "refused", "of the booking before", "ended"])
def test_no_other_session_is_adopted(why):
    booking, session = came_unbooked()
    if why == "another's":
        ChargingSession.objects.update(token_uid=uid_of(make_vehicle()))
    elif why == "refused":
        ChargingSession.objects.update(is_entitled=False)
    elif why == "of the booking before":
        earlier = book(booking.evse, slot(8, 9), now=at(7))
        earlier.visits.create(session=session)
    else:
        stop(session, at(9, 44), 1_000)

    scheduler.run_tick(at(9, 50))

    assert fresh(booking).status == "confirmed"


def test_it_is_no_no_show_and_pays_charging_from_its_start_and_the_booking_from_its_slot():
    booking, session = came_unbooked(early_start_min=0)
    priced(booking)
    scheduler.run_tick(at(10))
    scheduler.run_tick(at(10, 30))
    stop(session, at(10, 50), 100_000)

    (record,) = records()
    assert (record.booking, record.kind, record.starts_at) == (booking, "session", at(9))
    assert (record.energy_wh, uses(record)) == (100_000, [("booking", "flat"), ("charging", "energy")])
    assert amounts([record]) == [("55.00", "10.45")]
    assert [period["starts_at"] for period in record.periods if "booked_s" in period] == [
        "2030-01-15T10:00:00Z"
    ]
    assert not booking.events.filter(kind__in=["waived", "evidence"]).exists()
    assert fresh(booking).status == "completed"
