"""A calendar keeps its word: what lies in a timeslot can be booked, what lies in none cannot."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from bookings.models import BookingOption, Occupancy
from depots.periods import Period
from tests.factories import make_depot, make_evse, make_opening_hours, make_option
from tests.roaming.partners import BOOKINGS, Caller, data, make_partner

pytestmark = pytest.mark.django_db
# Six days before clocks go forward at the depot.
MONDAY = datetime(2030, 3, 25, 7, 7, tzinfo=UTC)
STEP = timedelta(minutes=15)


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(MONDAY, tick=False) as traveller:
        yield traveller


@pytest.fixture
def caller() -> Caller:
    return Caller(make_partner())


def timeslots(caller: Caller, option: BookingOption) -> list[Period]:
    location = data(caller.get(f"{BOOKINGS}/booking_locations/{option.code}"))
    return [
        Period(*(datetime.fromisoformat(slot[end]) for end in ("start_date_time", "end_date_time")))
        for calendar in location["calendars"]
        for slot in calendar["available_timeslots"]
    ]


def some_period(chance: random.Random, within: Period) -> Period:
    """On the step, half an hour to four hours long, inside a span."""
    steps = int(within.duration / STEP)
    length = chance.randint(2, min(16, steps))
    first = chance.randint(0, steps - length)
    return Period(within.starts_at + first * STEP, within.starts_at + (first + length) * STEP)


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("charging_when_closed", [False, True])
def test_every_period_inside_a_timeslot_is_reserved(
    caller: Caller, pooled: bool, charging_when_closed: bool
) -> None:
    chance = random.Random(7)
    depot = make_depot(
        charging_when_closed=charging_when_closed,
        terms={"turnaround_min": 10, "early_start_min": 15, "late_stop_min": 20, "horizon_days": 9},
    )
    make_opening_hours(depot, 6 * 60, 22 * 60 + 30)
    evses = [make_evse(depot, option=False) for _ in range(2 if pooled else 1)]
    option = make_option(*evses)

    for _ in range(20):
        period = some_period(chance, chance.choice(timeslots(caller, option)))
        booking = caller.book(option, period)
        assert data(booking)["reservation_status"] == "RESERVED", (period, booking.json()["status_message"])

    assert Occupancy.objects.count() == 20


def test_every_period_outside_all_timeslots_is_rejected(caller: Caller) -> None:
    chance = random.Random(11)
    depot = make_depot(charging_when_closed=False, terms={"turnaround_min": 10, "horizon_days": 3})
    make_opening_hours(depot, 6 * 60, 22 * 60 + 30)
    option = make_option(make_evse(depot, option=False))
    for _ in range(8):
        caller.book(option, some_period(chance, chance.choice(timeslots(caller, option))))
    free = timeslots(caller, option)
    horizon = Period(MONDAY.replace(minute=15), MONDAY.replace(minute=15) + timedelta(days=3))

    tried = [some_period(chance, horizon) for _ in range(40)]
    outside = [period for period in tried if not any(slot.covers(period) for slot in free)]

    assert len(outside) > 15
    for period in outside:
        assert data(caller.book(option, period))["reservation_status"] == "REJECTED", period
