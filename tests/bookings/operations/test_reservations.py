"""A charger kept from now on is a booking with terms of its own: under the same locks, and never a second promise."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bookings import operations
from bookings.errors import BookingError, EvseUnknown, InThePast, SlotTaken, TooLong
from bookings.models import Booking, BookingStatus
from bookings.operations import SlotRequest
from bookings.rules.entitlement import TokenName
from bookings.rules.reservations import ReservedTime, period_of_reservation
from depots.models import ChargerCommand, Evse
from tests.factories import (
    MANAGER,
    NOW,
    PARTNER,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_option,
    make_vehicle,
    option_of,
    slot,
)

pytestmark = pytest.mark.django_db
HALF_AN_HOUR = timedelta(minutes=30)


def online(evse: Evse) -> Evse:
    evse.charger.lease_holder, evse.charger.lease_until = "gateway", NOW + timedelta(hours=9)
    evse.charger.save()
    return evse


def reserve(evse: Any, *, until: Any = None, now: Any = NOW, fleet: Any = None) -> Booking:
    network = fleet or make_fleet(is_partner=True)
    request = SlotRequest(
        fleet=network,
        option=option_of(evse),
        period=period_of_reservation(until or now + HALF_AN_HOUR, now=now),
        tokens=[TokenName("04AB", country_code="DE", party_id="ABC")],
        reserved=ReservedTime(now, until or now + HALF_AN_HOUR),
    )
    return operations.reserve_now(request, actor=PARTNER, now=now)


def test_a_reservation_is_kept_at_the_charger_at_once_whatever_the_terms_of_slots_say() -> None:
    terms = {"approval": True, "lead_min": 120, "min_duration_min": 60, "slot_step_min": 60}
    evse = online(make_evse(make_depot(terms=terms)))
    began = NOW + timedelta(minutes=7, seconds=31)

    booking = reserve(evse, until=began + timedelta(minutes=20), now=began)

    assert (booking.status, booking.route) == (BookingStatus.CONFIRMED, Booking.Route.RESERVED)
    assert booking.ends_at == NOW + timedelta(minutes=28)
    command = ChargerCommand.objects.get(reservation_id=booking.pk)
    assert (command.action, command.payload["token"]) == (ChargerCommand.Action.RESERVE, "04AB")


def test_a_reservation_promises_nothing_twice() -> None:
    evse = make_evse()
    vehicle = make_vehicle()
    book_slot(fleet=vehicle.fleet, option=option_of(evse), vehicle=vehicle, period=slot((8, 15), 9))

    with pytest.raises(SlotTaken):
        reserve(evse)
    until_then = reserve(evse, until=NOW + timedelta(minutes=15))
    with pytest.raises(SlotTaken):
        reserve(evse, until=NOW + timedelta(minutes=10))

    assert until_then.status == BookingStatus.CONFIRMED


@pytest.mark.parametrize(("length", "refusal"), [(-1, InThePast), (121, TooLong)])
def test_a_reservation_ends_in_time(length: int, refusal: type[BookingError]) -> None:
    with pytest.raises(refusal):
        reserve(make_evse(), until=NOW + timedelta(minutes=length))


def test_a_reservation_takes_the_place_of_the_one_it_replaces_or_leaves_it() -> None:
    evse, other = make_evse(), make_evse()
    network = make_fleet(is_partner=True)
    first = reserve(evse, fleet=network)
    reserve(other)

    def replace(at: Any, until: Any) -> Booking:
        request = SlotRequest(
            fleet=network, option=option_of(at), period=period_of_reservation(until, now=NOW), tokens=[],
            reserved=ReservedTime(NOW, until),
        )  # fmt: skip
        return operations.reserve_now(request, replaces=first, actor=PARTNER, now=NOW)

    with pytest.raises(SlotTaken):
        replace(other, NOW + HALF_AN_HOUR)
    first.refresh_from_db()
    assert first.status == BookingStatus.CONFIRMED

    second = replace(evse, NOW + timedelta(minutes=45))
    first.refresh_from_db()
    assert (first.status, second.status) == (BookingStatus.CANCELLED, BookingStatus.CONFIRMED)


def test_a_reservation_is_given_back_at_any_time_and_without_a_fee() -> None:
    evse = make_evse(make_depot(terms={"cancel_until_min": 60}))
    booking = reserve(evse)

    operations.give_back(booking, actor=PARTNER, now=NOW + timedelta(minutes=10))

    booking.refresh_from_db()
    assert (booking.status, booking.cancelled_by) == (BookingStatus.CANCELLED, Booking.Side.FLEET)


def test_a_truck_starts_at_the_evse_its_booking_was_just_moved_from() -> None:
    depot = make_depot()
    first, second, third = (online(make_evse(depot)) for _ in range(3))
    vehicle = make_vehicle()
    option = make_option(first, second, third)
    booking = book_slot(fleet=vehicle.fleet, option=option, vehicle=vehicle, evse=first, period=slot(9, 10))
    change_slot(
        booking_id=booking.pk, evse=second, by="depot", actor=MANAGER, now=NOW + timedelta(minutes=50)
    )
    soon = NOW + timedelta(minutes=62)

    def start(evse: Any, now: Any) -> ChargerCommand:
        return operations.start_remotely(booking_id=booking.pk, left_evse=evse, actor=PARTNER, now=now)

    with pytest.raises(EvseUnknown):
        start(third, soon)
    assert start(first, soon).charger == first.charger
    with pytest.raises(EvseUnknown):
        start(first, NOW + timedelta(minutes=66))
    assert start(second, NOW + timedelta(minutes=66)).charger == second.charger
