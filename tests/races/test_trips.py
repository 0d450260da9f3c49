"""Trips when many act at once, and when somebody dies in the middle."""

from __future__ import annotations

import os
import signal
from datetime import timedelta

import pytest

from bookings import operations
from bookings.errors import BookingError
from bookings.models import Booking, Occupancy, Trip
from bookings.operations import SlotRequest, trips
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    make_depot,
    make_evse,
    make_fleet,
    make_vehicle,
    option_of,
    slot,
)
from tests.races.processes import all_at_once, at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.races]
LATER = NOW + timedelta(minutes=2)


def test_of_trips_that_want_each_others_stops_none_is_booked_by_half_and_none_deadlocks() -> None:
    first, second, fleet = make_evse(make_depot()), make_evse(make_depot()), make_fleet()
    trucks = [make_vehicle(fleet) for _ in range(6)]

    def book(number: int) -> str:
        order = [(first, slot(10, 11)), (second, slot(14, 15))]
        asked = [
            SlotRequest(fleet=fleet, vehicle=trucks[number], option=option_of(evse), period=period)
            for evse, period in (order if number % 2 else order[::-1])
        ]
        try:
            return operations.book_trip(asked, actor=DISPATCHER, now=NOW).status
        except BookingError as refusal:
            return refusal.code

    assert sorted(at_once(book, 6)) == ["booked", *["conflicts"] * 5]
    assert Booking.objects.count() == Occupancy.objects.count() == 2


def test_a_trip_whose_confirmation_is_killed_is_confirmed_by_the_next_tick_and_once() -> None:
    fleet = make_fleet()
    truck = make_vehicle(fleet)
    places = [make_depot(), make_depot(), make_depot(terms={"approval": True})]
    asked = [
        SlotRequest(
            fleet=fleet, vehicle=truck, option=option_of(make_evse(depot)), period=slot(hour, hour + 1)
        )
        for depot, hour in zip(places, (10, 12, 14), strict=True)
    ]
    trip = operations.book_trip(asked, actor=DISPATCHER, now=NOW)
    operations.decide(booking_id=trip.stops.get(status="requested").pk, accept=True, actor=MANAGER, now=LATER)

    def settle() -> str:
        return operations.settle_trip(trip_id=trip.pk, now=LATER).status

    def die() -> None:
        real = trips.confirm_hold

        def killed(*, booking_id: int, **options: object) -> None:
            real(booking_id=booking_id, **options)  # type: ignore[arg-type]
            os.kill(os.getpid(), signal.SIGKILL)

        trips.confirm_hold = killed  # type: ignore[assignment]
        settle()

    assert all_at_once([die]) == ["ERROR the process died"]
    assert sorted(trip.stops.values_list("status", flat=True)) == ["confirmed", "held", "held"]

    assert set(all_at_once([settle, settle])) == {"booked"}
    assert set(trip.stops.values_list("status", flat=True)) == {"confirmed"}
    assert {stop.events.filter(after="confirmed").count() for stop in trip.stops.all()} == {1}
    assert Trip.objects.get().status == "booked"
