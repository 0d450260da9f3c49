"""Trucks at the gate: which booking one has come for, and that nobody who stands there is a no-show."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bookings import enforcement, operations
from bookings.errors import BookingUnknown, NotAtPartner, NotYetStartable, WrongStatus
from bookings.models import Booking, BookingStatus, Enforcement, Token
from bookings.rules.entitlement import TokenName
from depots.models import Evse, Organisation
from depots.periods import Period
from tests.factories import (
    MANAGER,
    NOW,
    at,
    book_slot,
    change_slot,
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
    return make_evse(make_depot(terms={"early_start_min": 15, "no_show_min": 15, "turnaround_min": 0}))


@pytest.fixture
def fleet() -> Organisation:
    return make_fleet()


def book(evse: Evse, fleet: Organisation, period: Period = slot(10, 11), **asked: Any) -> Booking:
    if "vehicle" not in asked:
        asked["vehicle"] = make_vehicle(fleet, plate="HH-NF 100", token="04AABBCCDD10")
    return book_slot(fleet=fleet, option=option_of(evse), period=period, **asked)


def arrive(evse: Evse, **told: Any) -> Booking:
    return operations.truck_arrived(depot=evse.depot, **{"actor": MANAGER, "now": at(9, 50), **told})


@pytest.mark.parametrize("plate", ["HH-NF 100", "hhnf100", "HH NF-100"])
def test_a_plate_finds_its_booking_however_a_camera_reads_it(evse, fleet, plate) -> None:
    booked = book(evse, fleet)

    found = arrive(evse, plate=plate)

    assert (found, found.arrived_at) == (booked, at(9, 50))
    event = booked.events.order_by("-id")[0]
    assert (event.kind, event.actor, event.at) == ("arrived", MANAGER, at(9, 50))


def test_a_card_or_a_group_it_is_in_finds_the_booking(evse, fleet) -> None:
    truck = make_vehicle(fleet, token="04AABBCCDD10")
    Token.objects.create(fleet=fleet, uid="04FFEEDD", group_name="NIGHT")
    by_card = book(evse, fleet, vehicle=truck)
    by_group = book(
        evse, fleet, slot(11, 12), tokens=[TokenName("NIGHT", "GROUP")], vehicle=make_vehicle(fleet)
    )

    assert arrive(evse, token="04:aa:bb:cc:dd:10") == by_card
    assert arrive(evse, token="04FFEEDD", now=at(10, 50)) == by_group


def test_told_again_it_is_the_same_arrival(evse, fleet) -> None:
    booked = book(evse, fleet)
    first = arrive(evse, plate="HH-NF 100")

    again = arrive(evse, plate="HH-NF 100", now=at(10, 5))

    assert (again.version, again.arrived_at) == (first.version, at(9, 50))
    assert booked.events.filter(kind="arrived").count() == 1


def test_of_several_it_is_the_one_whose_time_has_come(evse, fleet) -> None:
    first = book(evse, fleet)
    second = book(evse, fleet, slot(11, 12), vehicle=first.vehicle)

    assert arrive(evse, plate="HH-NF 100", now=at(10, 5)) == first
    assert arrive(evse, plate="HH-NF 100", now=at(11, 2)) == second


REFUSED = [
    ("X-Y 1", at(9, 50), BookingUnknown),
    ("HH-NF 100", at(9, 40), NotYetStartable),
    ("HH-NF 100", at(11), BookingUnknown),
]


@pytest.mark.parametrize(("plate", "now", "refusal"), REFUSED)
def test_a_truck_without_a_slot_now_is_told_so(evse, fleet, plate, now, refusal) -> None:
    booked = book(evse, fleet)

    with pytest.raises(refusal) as why:
        arrive(evse, plate=plate, now=now)

    assert why.value.nearest == (slot(10, 11) if refusal is NotYetStartable else None)
    booked.refresh_from_db()
    assert booked.arrived_at is None


@pytest.mark.parametrize("status", ["requested", "no_show"])
def test_a_booking_that_waits_or_was_given_up_is_no_arrival(evse, fleet, status) -> None:
    booked = book(evse, fleet)
    Booking.objects.filter(pk=booked.pk).update(status=status)

    with pytest.raises(WrongStatus):
        arrive(evse, plate="HH-NF 100", now=at(10, 20))


def test_at_a_partners_depot_nobody_here_sees_who_comes(evse, fleet) -> None:
    booked = book(evse, fleet)
    Booking.objects.filter(pk=booked.pk).update(route=Booking.Route.OUTBOUND)

    with pytest.raises(NotAtPartner):
        operations.mark_arrived(booking_id=booked.pk, actor=MANAGER, now=at(10))


def test_who_stands_there_is_no_no_show_while_the_slot_lasts(evse, fleet) -> None:
    here = book(evse, fleet)
    other = make_evse(evse.depot)
    away = book(other, fleet, vehicle=make_vehicle(fleet))
    arrive(evse, plate="HH-NF 100")

    for booking in (here, away):
        enforcement.give_up_or_no_show(booking_id=booking.pk, now=at(10, 15))
        booking.refresh_from_db()
    assert (here.status, away.status) == (BookingStatus.CONFIRMED, BookingStatus.NO_SHOW)

    enforcement.give_up_or_no_show(booking_id=here.pk, now=at(11))
    here.refresh_from_db()
    assert here.status == BookingStatus.NO_SHOW


def test_what_was_not_its_truck_is_a_no_show_as_before(evse, fleet) -> None:
    booked = book(evse, fleet)
    arrive(evse, plate="HH-NF 100")

    operations.withdraw_arrival(booking_id=booked.pk, actor=MANAGER, now=at(10, 5))
    enforcement.give_up_or_no_show(booking_id=booked.pk, now=at(10, 15))

    booked.refresh_from_db()
    assert (booked.arrived_at, booked.status) == (None, BookingStatus.NO_SHOW)


def test_a_reservation_is_renewed_for_who_has_come_before_it_ends(evse, fleet) -> None:
    booked = book(evse, fleet)
    Booking.objects.filter(pk=booked.pk).update(enforcement=Enforcement.ARMED)

    arrive(evse, plate="HH-NF 100")

    booked.refresh_from_db()
    assert booked.next_try_at == at(10, 15) - timedelta(seconds=30)


CHANGES: list[tuple[dict[str, Any], bool]] = [
    ({"period": slot((10, 30), (11, 30))}, True),
    ({"period": slot(14, 15)}, False),
    ({"vehicle": None}, False),
]


@pytest.mark.parametrize(("change", "stays"), CHANGES)
def test_an_arrival_stands_for_its_vehicle_and_about_its_time(evse, fleet, change, stays) -> None:
    booked = book(evse, fleet)
    arrive(evse, plate="HH-NF 100")
    if "vehicle" in change:
        change = {"vehicle": make_vehicle(fleet)}

    change_slot(booking_id=booked.pk, **change, by="depot", actor=MANAGER, now=at(9, 55))

    booked.refresh_from_db()
    assert (booked.arrived_at is not None) == stays


def test_nothing_of_other_depots_is_found(evse, fleet) -> None:
    book(evse, fleet)

    with pytest.raises(BookingUnknown):
        operations.truck_arrived(depot=make_depot(), plate="HH-NF 100", actor=MANAGER, now=NOW)
