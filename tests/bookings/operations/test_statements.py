"""What an operation costs the database: statements, without those that begin and end a transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings import operations
from bookings.models import Booking, TermsOverride
from bookings.operations import SlotRequest
from depots.models import Evse
from depots.periods import Period
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    change_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_option,
    make_vehicle,
    slot,
)
from tests.roaming.partners import make_partner

pytestmark = pytest.mark.django_db

# Whatever makes a booking dear: tokens and vehicles that are claimed, early start, turnaround.
TERMS = {"early_start_min": 15, "turnaround_min": 5, "overlapping_tokens": False, "hold_min": 30}
BEGIN_OR_END = ("SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT")
HOUR = timedelta(hours=1)


@pytest.fixture(params=[None, 600_000], ids=["unlimited", "limited"])
def pool(request) -> SlotRequest:
    """A request for one of six EVSEs at a depot where power is scarce, or not."""
    option = make_option(*_evses(grid_limit_w=request.param))
    vehicle = make_vehicle(make_fleet())
    return SlotRequest(fleet=vehicle.fleet, option=option, vehicle=vehicle, period=slot(10, 11))


@pytest.fixture(params=["fleet", "partner"])
def anybody(request, pool) -> SlotRequest:
    """The same, made by a fleet or by a partner network."""
    return (
        pool if request.param == "fleet" else replace(pool, fleet=make_partner().organisation, vehicle=None)
    )


def test_a_change_of_time_takes_seventeen_statements(anybody):
    assert len(statements(later, anybody)) <= 17


def test_a_change_that_waits_for_the_depot_takes_fifteen_statements(pool):
    TermsOverride.objects.filter(depot=pool.option.depot).update(approval=True)

    assert len(statements(later, pool, made=granted)) <= 15


def test_a_move_by_the_depot_takes_seventeen_statements(anybody):
    assert len(statements(moved, anybody)) <= 17


def test_a_cancellation_takes_eleven_statements(anybody):
    assert len(statements(cancelled, anybody)) <= 11


def test_a_hold_is_confirmed_in_six_statements(pool):
    assert len(statements(confirmed, pool, made=held)) <= 6


def statements(
    does: Callable[[Booking], Any], request: SlotRequest, made: Callable[..., Booking] | None = None
) -> list[str]:
    """Of the third booking it is done to: what a process keeps is known by then."""
    *others, last = [(made or booked)(request, day=day) for day in range(1, 4)]
    for booking in others:
        does(booking)
    with _counted() as seen:
        does(last)
    return seen


def booked(request: SlotRequest, *, day: int) -> Booking:
    return operations.request_booking(_on(request, day), actor=DISPATCHER, now=NOW)


def held(request: SlotRequest, *, day: int) -> Booking:
    return operations.hold_slot(_on(request, day), actor=DISPATCHER, now=NOW)


def granted(request: SlotRequest, *, day: int) -> Booking:
    return operations.decide(booking_id=booked(request, day=day).pk, accept=True, actor=MANAGER, now=NOW)


def later(booking: Booking) -> None:
    period = Period(booking.starts_at + 3 * HOUR, booking.ends_at + 3 * HOUR)
    change_slot(booking_id=booking.pk, period=period, actor=DISPATCHER, now=NOW)


def moved(booking: Booking) -> None:
    there = Evse.objects.filter(options=booking.option).exclude(pk=booking.evse_id).last()
    change_slot(booking_id=booking.pk, evse=there, by="depot", actor=MANAGER, now=NOW)


def cancelled(booking: Booking) -> None:
    operations.cancel_booking(booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=NOW)


def confirmed(booking: Booking) -> None:
    operations.confirm_hold(booking_id=booking.pk, actor=DISPATCHER, now=NOW)


def _evses(**of_depot: Any) -> list[Any]:
    depot = make_depot(terms=TERMS, **of_depot)
    return [make_evse(depot) for _ in range(6)]


def _on(request: SlotRequest, day: int) -> SlotRequest:
    period, days = request.period, timedelta(days=day)
    return replace(request, period=Period(period.starts_at + days, period.ends_at + days))


@contextmanager
def _counted() -> Iterator[list[str]]:
    seen: list[str] = []
    with CaptureQueriesContext(connection) as captured:
        yield seen
    told = [one for query in captured for one in query["sql"].split(";\n")]  # as they share a message
    seen += [one for one in told if not one.startswith(BEGIN_OR_END)]
