"""Room is made by many at once: what was promised to those that are moved still holds, whoever else books, and whoever dies."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from bookings.actors import ASSIGNMENT
from bookings.core import occupancy
from bookings.errors import BookingError
from bookings.models import Booking, BookingEvent, BookingOption, Occupancy
from depots.models import Organisation
from depots.periods import Period
from tests.factories import at, book_slot, make_depot, make_evse, make_fleet, make_option, make_vehicle, slot
from tests.races.processes import all_at_once, at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.races]

Promise = tuple[Period, int, str]


def yard(count: int) -> tuple[BookingOption, Organisation]:
    depot = make_depot(terms={"early_start_min": 15, "turnaround_min": 5, "overlapping_tokens": False})
    return make_option(*[make_evse(depot) for _ in range(count)]), make_fleet()


def promises() -> dict[int, Promise]:
    """What each booking has beside its EVSE."""
    rows = Booking.objects.all()
    return {row.pk: (row.period, row.promised_power_w, row.status) for row in rows}


def test_many_who_make_room_at_once_break_no_promise() -> None:
    option, fleet = yard(4)
    vehicles = [make_vehicle(fleet) for _ in range(48)]

    def book(number: int) -> Counter[str]:
        chance, done = random.Random(number), Counter[str]()
        for vehicle in vehicles[number::6]:
            start = at(12) + timedelta(minutes=30 * chance.randrange(12))
            period = Period(start, start + timedelta(minutes=30 * chance.randrange(1, 6)))
            try:
                book_slot(fleet=fleet, option=option, vehicle=vehicle, period=period)
            except BookingError as refusal:
                done[refusal.code] += 1
            else:
                done["booked"] += 1
        return done

    reports = at_once(book, 6)

    assert not (failures := [one for one in reports if isinstance(one, str)]), "\n".join(failures)
    done: Counter[str] = sum(reports, Counter())
    assert done.keys() == {"booked", "slot_taken"}
    assert Booking.objects.count() == Occupancy.objects.count() == done["booked"]
    for booking in Booking.objects.all():
        row = Occupancy.objects.get(holder=booking.pk)
        assert (row.evse_id, row.span.covers(booking.period)) == (booking.evse_id, True)
        first = booking.events.earliest("id")
        assert (first.after, booking.status) == ("confirmed", "confirmed")
    for event in BookingEvent.objects.filter(actor_name=ASSIGNMENT.name):
        before, after = event.detail["before"], event.detail["after"]
        assert {name for name in after if after[name] != before[name]} == {"evse"}


def test_who_is_killed_while_making_room_has_moved_nobody() -> None:
    option, fleet = yard(2)
    vehicles = [make_vehicle(fleet) for _ in range(4)]
    first, second = option.evses.all()
    book_slot(fleet=fleet, option=option, vehicle=vehicles[0], period=slot(13, 14))
    other = book_slot(fleet=fleet, option=option, vehicle=vehicles[1], period=slot((14, 30), (15, 30)))
    Booking.objects.filter(pk=other.pk).update(evse=second)
    Occupancy.objects.filter(holder=other.pk).update(evse=second)
    before, places = promises(), set(Occupancy.objects.values_list("holder", "evse"))

    def book(vehicle: Any) -> str:
        return book_slot(fleet=fleet, option=option, vehicle=vehicle, period=slot((13, 30), 15)).status

    def die() -> None:
        real = occupancy.place

        def killed(*args: Any, **options: Any) -> None:
            real(*args, **options)
            os.kill(os.getpid(), signal.SIGKILL)

        occupancy.place = killed
        book(vehicles[2])

    assert all_at_once([die]) == ["ERROR the process died"]
    assert (promises(), set(Occupancy.objects.values_list("holder", "evse"))) == (before, places)
    assert not BookingEvent.objects.filter(kind="changed").exists()

    assert all_at_once([lambda: book(vehicles[3])]) == ["confirmed"]
    assert {pk: promise for pk, promise in promises().items() if pk in before} == before
    assert BookingEvent.objects.get(kind="changed").actor == ASSIGNMENT
    assert {evse_id for _, evse_id in Occupancy.objects.values_list("holder", "evse")} == {
        first.pk,
        second.pk,
    }
