"""What telematics tells: kept whole, and an ETA after the start is a truck that is late, once and not with every message."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from bookings import operations
from bookings.errors import ChangedMeanwhile, PaymentAwaited, WrongStatus
from bookings.models import Booking, VehicleState
from bookings.operations import vehicle_states
from bookings.operations.change_request import ChangeRequest
from bookings.operations.vehicle_states import Told
from depots.models import Evse, Organisation
from depots.periods import Period
from tests.factories import (
    DISPATCHER,
    MANAGER,
    at,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_vehicle,
    option_of,
    slot,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def evse() -> Evse:
    terms = {"turnaround_min": 0, "early_start_min": 0, "change_until_min": 60, "min_duration_min": 30}
    return make_evse(make_depot(terms=terms))


@pytest.fixture
def fleet() -> Organisation:
    return make_fleet()


def book(evse: Evse, fleet: Organisation, period: Period = slot(10, 11), **asked: Any) -> Booking:
    asked.setdefault("vehicle", make_vehicle(fleet))
    return book_slot(fleet=fleet, option=option_of(evse), period=period, **asked)


def tell(booking: Booking, eta: datetime | None, now: datetime = at(9, 30)) -> None:
    assert booking.vehicle is not None
    operations.tell_vehicle_state(booking.vehicle, Told(soc=40, eta=eta), now=now)
    operations.follow_eta(vehicle_id=booking.vehicle.pk, now=now)
    booking.refresh_from_db()


def test_what_is_told_takes_the_place_of_what_was_told(fleet) -> None:
    truck = make_vehicle(fleet)

    _, is_new = operations.tell_vehicle_state(truck, Told(soc=40, eta=at(10)), now=at(9))
    _, is_second_new = operations.tell_vehicle_state(truck, Told(latitude=51.3, longitude=9.5), now=at(9, 1))

    assert (is_new, is_second_new) == (True, False)
    kept = VehicleState.objects.get()
    assert (kept.soc, kept.eta, kept.latitude, kept.longitude) == (None, None, 51.3, 9.5)
    assert kept.told_at == at(9, 1)


ETAS = [
    (at(9, 50), slot(10, 11)),  # in time
    (at(10, 5), slot(10, 11)),  # hardly late
    (at(10, 6), slot((10, 10), (11, 10))),
    (at(10, 20), slot((10, 20), (11, 20))),
    (at(10, 22), slot((10, 25), (11, 25))),
    (None, slot(10, 11)),
]


@pytest.mark.parametrize(("eta", "then"), ETAS)
def test_a_slot_slides_to_an_eta_that_is_late(evse, fleet, eta, then) -> None:
    booked = book(evse, fleet)

    tell(booked, eta)

    assert booked.period == then


def test_a_slot_slides_as_far_as_the_next_one_leaves_room(evse, fleet) -> None:
    booked = book(evse, fleet)
    book(evse, fleet, slot(11, 12))

    tell(booked, at(10, 20))

    assert booked.period == slot((10, 20), 11)


def test_many_messages_move_a_slot_once(evse, fleet) -> None:
    booked = book(evse, fleet)
    for minute in range(4):
        tell(booked, at(10, 20 + 3 * minute), now=at(9, 30 + minute))

    assert booked.period == slot((10, 20), (11, 20))
    tell(booked, at(10, 21), now=at(9, 50))
    assert booked.period == slot((10, 20), (11, 20))
    tell(booked, at(10, 31), now=at(9, 51))
    assert booked.period == slot((10, 35), (11, 35))
    assert booked.events.filter(kind="changed").count() == 2


def test_only_the_slot_it_drives_to_follows_and_only_soon(evse, fleet) -> None:
    first = book(evse, fleet)
    second = book(evse, fleet, slot(13, 14), vehicle=first.vehicle)

    tell(first, at(13, 30), now=at(7, 30))
    assert first.period == slot(10, 11)

    tell(first, at(10, 30))
    second.refresh_from_db()
    assert (first.period, second.period) == (slot((10, 30), (11, 30)), slot(13, 14))


def test_whoever_stands_there_is_not_late(evse, fleet) -> None:
    booked = book(evse, fleet)
    Booking.objects.filter(pk=booked.pk).update(arrived_at=at(9, 50))

    tell(booked, at(10, 30))

    assert booked.period == slot(10, 11)


def test_a_slot_that_cannot_follow_is_told_of_once(evse, fleet) -> None:
    booked = book(evse, fleet)
    book(evse, fleet, slot(11, 12))

    tell(booked, at(10, 45))
    tell(booked, at(10, 50), now=at(9, 40))

    assert booked.period == slot(10, 11)
    [event] = booked.events.filter(kind="eta_late")
    assert (event.detail["code"], event.detail["eta"]) == ("slot_taken", "2030-01-15T10:45:00Z")


def test_a_slot_that_somebody_moves_meanwhile_is_looked_at_again(evse, fleet, monkeypatch) -> None:
    booked, read = book(evse, fleet), vehicle_states.next_booking

    def read_before_a_move(vehicle_id: int, *, now: datetime) -> Booking | None:
        found = read(vehicle_id, now=now)
        monkeypatch.setattr(vehicle_states, "next_booking", read)
        request = ChangeRequest(period=slot((10, 15), (11, 15)))
        operations.change_booking(booked.pk, request, actor=DISPATCHER, now=at(8, 30))
        return found

    monkeypatch.setattr(vehicle_states, "next_booking", read_before_a_move)
    tell(booked, at(10, 30))

    assert booked.period == slot((10, 30), (11, 30))
    assert not booked.events.filter(kind="eta_late").exists()


BUSY = [(WrongStatus("charging", "changed"), True), (PaymentAwaited(""), True), (ChangedMeanwhile(""), False)]


@pytest.mark.parametrize(("refusal", "is_over"), BUSY)
def test_what_is_no_want_of_room_is_no_alarm(evse, fleet, monkeypatch, refusal, is_over) -> None:
    booked, tries = book(evse, fleet), []

    def refuse(*_: Any, **__: Any) -> Booking:
        tries.append(None)
        raise refusal

    monkeypatch.setattr(vehicle_states, "delay_booking", refuse)
    if is_over:
        tell(booked, at(10, 30))
    else:
        with pytest.raises(ChangedMeanwhile):
            tell(booked, at(10, 30))

    assert len(tries) == (1 if is_over else vehicle_states.MOST_LOOKS)
    assert not booked.events.filter(kind="eta_late").exists()


def test_where_the_depot_decides_it_is_asked_once(evse, fleet) -> None:
    evse = make_evse(make_depot(terms={"approval": True, "decision_min": 60}))
    booked = book(evse, fleet)
    operations.decide(booking_id=booked.pk, accept=True, actor=MANAGER, now=at(8, 30))

    tell(booked, at(10, 30))
    tell(booked, at(10, 50), now=at(9, 45))

    assert booked.period == slot(10, 11)
    assert booked.requests.filter(kind="change", decision="pending").count() == 1


def test_an_old_eta_moves_nothing(evse, fleet) -> None:
    booked = book(evse, fleet)
    assert booked.vehicle is not None
    operations.tell_vehicle_state(booked.vehicle, Told(eta=at(10, 30)), now=at(8, 30))

    assert operations.follow_eta(vehicle_id=booked.vehicle.pk, now=at(9, 30)) is None
    assert (
        operations.follow_eta(vehicle_id=booked.vehicle.pk, now=at(8, 30) + timedelta(minutes=5)) is not None
    )
