"""Slots held again and again for nothing: a term, asked whatever door they are held by (docs/decisions/0173)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from bookings import operations
from bookings.errors import Conflicts, TooLateToUndo, TooManyHolds
from bookings.models import Booking, BookingOption, Trip
from bookings.operations import SlotRequest
from bookings.operations.undo import Act, Undo
from tests.factories import (
    DISPATCHER,
    NOW,
    make_depot,
    make_evse,
    make_fleet,
    make_vehicle,
    option_of,
    place_hold,
    slot,
)

pytestmark = pytest.mark.django_db


class Yard:
    """A depot where two holds a day may come to nothing, and a fleet."""

    def __init__(self) -> None:
        depot = make_depot(terms={"max_unused_holds": 2})
        self.option: BookingOption = option_of(make_evse(depot))
        self.truck = make_vehicle(make_fleet())
        self.asked = {"fleet": self.truck.fleet, "option": self.option, "vehicle": self.truck}

    def hold(self, hour: int, *, day: int = 0, now: datetime = NOW) -> Booking:
        return place_hold(**self.asked, period=slot(hour, hour + 1, day=day), actor=DISPATCHER, now=now)

    def trip(self, hour: int) -> Trip:
        """With a second stop whose depot decides."""
        asks = option_of(make_evse(make_depot(terms={"approval": True})))
        stops = [
            SlotRequest(**self.asked, period=slot(hour, hour + 1)),
            SlotRequest(**{**self.asked, "option": asks}, period=slot(hour + 2, hour + 3)),
        ]
        return operations.book_trip(stops, actor=DISPATCHER, now=NOW)


@pytest.fixture
def yard(db: None) -> Yard:
    return Yard()


def run_out(held: Booking) -> None:
    assert held.held_until is not None
    operations.expire_hold(booking_id=held.pk, now=held.held_until)


def give_back(held: Booking) -> None:
    operations.release_hold(booking_id=held.pk, actor=DISPATCHER, now=NOW)


def keep(held: Booking) -> None:
    """It is held still."""


@pytest.mark.parametrize("ended", [run_out, give_back, keep])
def test_so_many_holds_a_day_may_come_to_nothing(yard: Yard, ended: Callable[[Booking], None]) -> None:
    for hour in (10, 12):
        ended(yard.hold(hour))

    with pytest.raises(TooManyHolds) as refusal:
        yard.hold(14)

    assert refusal.value.code == "too_many_holds"
    booked = operations.request_booking(
        SlotRequest(**yard.asked, period=slot(14, 15)), actor=DISPATCHER, now=NOW
    )
    assert booked.status == "confirmed"


def test_a_day_later_they_count_no_more(yard: Yard) -> None:
    for hour in (10, 12):
        give_back(yard.hold(hour))

    assert yard.hold(14, day=1, now=NOW + timedelta(days=1)).status == "held"


def test_what_was_confirmed_or_is_another_fleets_does_not_count(yard: Yard) -> None:
    for hour in (10, 12):
        held = yard.hold(hour)
        operations.confirm_hold(booking_id=held.pk, actor=DISPATCHER, now=NOW)
        operations.cancel_booking(booking_id=held.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=NOW)
    for hour in (16, 18):
        give_back(yard.hold(hour))
    other = make_vehicle(make_fleet())

    held = place_hold(fleet=other.fleet, option=yard.option, vehicle=other, period=slot(14, 15))

    assert held.status == "held"


def test_what_its_depot_took_away_or_the_waiting_list_held_does_not_count(yard: Yard) -> None:
    taken = yard.hold(10)
    operations.cancel_booking(
        booking_id=taken.pk, reason="BROKEN_CHARGER", by="depot", actor=DISPATCHER, now=NOW
    )
    give_back(yard.hold(12))
    wanted = SlotRequest(**yard.asked, period=slot(16, 17))
    entry = operations.join_waitlist(wanted, actor=DISPATCHER, now=NOW)
    operations.serve_depot(depot_id=entry.depot_id, now=NOW)

    assert yard.hold(14).status == "held"
    assert Booking.objects.filter(status="held").count() == 2


def test_stops_that_a_trip_keeps_held_count_and_are_refused_alike(yard: Yard) -> None:
    for hour in (8, 11):
        operations.cancel_trip(trip_id=yard.trip(hour).pk, actor=DISPATCHER, now=NOW)

    with pytest.raises(Conflicts) as refusal:
        yard.trip(14)

    assert [outcome.code for outcome in refusal.value.outcomes] == ["too_many_holds", None]
    assert not Booking.objects.live().exists()


def test_stops_that_are_confirmed_at_once_are_no_holds(yard: Yard) -> None:
    for hour in (10, 12):
        give_back(yard.hold(hour))

    stop = SlotRequest(**yard.asked, period=slot(14, 15))
    trip = operations.book_trip([stop], actor=DISPATCHER, now=NOW)

    assert trip.status == Trip.Status.BOOKED


def test_a_hold_that_is_held_again_is_one_and_lasts_no_longer(yard: Yard) -> None:
    yard.hold(10)
    held = yard.hold(12)
    until, later = held.held_until, NOW + timedelta(seconds=5)

    for _ in range(3):
        operations.release_hold(booking_id=held.pk, actor=DISPATCHER, now=NOW)
        undo = Undo(Act.RELEASED, held.pk, held.version + 1, at=NOW)
        held = operations.undo(undo, actor=DISPATCHER, now=later)
        assert operations.undo(undo, actor=DISPATCHER, now=later) == held

    assert (held.status, held.held_until) == ("held", until)
    assert Booking.objects.filter(held_until__isnull=False).count() == 2
    with pytest.raises(TooManyHolds):
        yard.hold(14)


def test_a_hold_that_would_have_run_out_is_not_held_again(yard: Yard) -> None:
    held = yard.hold(10)
    assert held.held_until is not None
    given_back = held.held_until - timedelta(seconds=1)
    operations.release_hold(booking_id=held.pk, actor=DISPATCHER, now=given_back)
    undo = Undo(Act.RELEASED, held.pk, held.version + 1, at=given_back)

    with pytest.raises(TooLateToUndo):
        operations.undo(undo, actor=DISPATCHER, now=held.held_until)
