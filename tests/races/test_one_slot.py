"""Everybody wants the same slot at the same moment."""

from __future__ import annotations

from collections import Counter

import pytest

from bookings.errors import BookingError
from bookings.models import Booking, Occupancy
from tests.factories import (
    DISPATCHER,
    NOW,
    book_slot,
    make_depot,
    make_evse,
    make_option,
    make_vehicle,
    option_of,
    slot,
)
from tests.races.processes import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.races]


def test_of_64_processes_racing_for_one_slot_exactly_one_gets_it():
    evse = make_evse()
    option = option_of(evse)
    vehicles = [make_vehicle() for _ in range(64)]

    def book(number: int) -> str:
        vehicle = vehicles[number]
        try:
            booking = book_slot(
                fleet=vehicle.fleet,
                option=option,
                period=slot(10, 11),
                vehicle=vehicle,
                actor=DISPATCHER,
                now=NOW,
            )
        except BookingError as refusal:
            return refusal.code
        return booking.status

    answers = Counter(at_once(book, 64))

    assert answers == {"confirmed": 1, "slot_taken": 63}
    assert Booking.objects.count() == Occupancy.objects.count() == 1


def test_a_pool_is_filled_to_the_last_evse_and_not_beyond():
    depot = make_depot()
    pool = make_option(*[make_evse(depot) for _ in range(5)])
    vehicles = [make_vehicle() for _ in range(16)]

    def book(number: int) -> str:
        vehicle = vehicles[number]
        try:
            book_slot(
                fleet=vehicle.fleet,
                option=pool,
                period=slot(10, 11),
                vehicle=vehicle,
                actor=DISPATCHER,
                now=NOW,
            )
        except BookingError as refusal:
            return refusal.code
        return "got one"

    assert Counter(at_once(book, 16)) == {"got one": 5, "slot_taken": 11}
    assert Occupancy.objects.values("evse").distinct().count() == 5
