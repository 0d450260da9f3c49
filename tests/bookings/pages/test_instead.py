"""A booking that was not granted, or taken back by the depot, comes with what is free instead."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from bookings.models import Booking, BookingOption, BookingStatus, OfferedSlot, Vehicle
from bookings.search.offers import find_slots
from bookings.search.slots import SlotSearch
from bookings.search.told_slots import nearest_told
from depots.models import Membership
from tests.bookings.people import client_of
from tests.factories import (
    NOW,
    at,
    book_slot,
    make_depot,
    make_evse,
    make_operator,
    make_option,
    make_user,
    slot,
)

QUARTER = timedelta(minutes=15)


@pytest.mark.parametrize(
    ("free", "nearest"),
    [
        ([slot(8, 20)], slot(10, 11)),
        ([slot(8, 9), slot(14, 16)], slot(8, 9)),
        ([slot(8, 9), slot(11, 16)], slot(11, 12)),
        ([slot(8, (10, 20))], slot((9, 15), (10, 15))),  # the last quarter of an hour that leaves an hour
        ([slot((8, 7), (10, 20))], slot((9, 7), (10, 7))),  # on the steps of the calendar
        ([slot(6, 9)], slot(8, 9)),  # not before now
        ([slot(7, (8, 50)), slot((10, 30), 11)], None),
        ([], None),
    ],
)
def test_the_nearest_of_what_is_told_is_within_it_on_its_step_and_ahead(free: Any, nearest: Any) -> None:
    assert nearest_told(free, slot(10, 11), QUARTER, now=NOW) == nearest


def test_the_nearest_of_what_is_told_lasts_whole_steps() -> None:
    wanted = slot((10, 16), (10, 56))

    assert nearest_told([slot(8, 20)], wanted, QUARTER, now=NOW) == slot((10, 15), 11)


@pytest.fixture
def offer() -> BookingOption:
    partner = make_operator("Network", is_partner=True)
    evse = make_evse(
        make_depot(partner, code="FR-SIM-L1", name="Reims", is_mirror=True), charger=None, option=False
    )
    option = make_option(evse, code="BL-1", is_mirror=True)
    for period in (slot(8, 9), slot(14, 16)):
        OfferedSlot.objects.create(option=option, calendar_id="C", period=period, step_min=15)
    return option


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wish", "sentence", "nearest"),
    [
        (slot((14, 10), (15, 10)), "Slots there begin and end every 15 minutes.", slot(14, 15)),
        (slot(14, (14, 50)), "Slots there begin and end every 15 minutes.", slot(14, 15)),
        (slot((11, 10), (12, 10)), "Slots there begin and end every 15 minutes, counted from 12:07.", slot((11, 7), (12, 7))),
        (slot((14, 15), (15, 15)), "", None),
        (slot((11, 22), (12, 22)), "", None),
        (slot((11, 15), (12, 15)), "", None),  # on the wall clock's: the partner may mean that
    ],
)  # fmt: skip
def test_a_partners_free_time_off_its_step_is_offered_on_it(
    offer: BookingOption, vehicle: Vehicle, wish: Any, sentence: str, nearest: Any
) -> None:
    OfferedSlot.objects.create(option=offer, calendar_id="C", period=slot((11, 7), (13, 7)), step_min=15)

    (hint,) = find_slots(SlotSearch(vehicle.fleet, wish, NOW, depot=offer.depot, vehicle=vehicle))

    assert (str(hint.refusal or ""), hint.is_free) == (sentence, not sentence)
    assert (hint.refusal.nearest if hint.refusal else None) == nearest


@pytest.fixture
def declined(offer: BookingOption, vehicle: Vehicle) -> Booking:
    OfferedSlot.objects.create(option=offer, calendar_id="C", period=slot(10, 11), step_min=15)
    booking = book_slot(fleet=vehicle.fleet, option=offer, period=slot(10, 11), vehicle=vehicle, now=NOW)
    Booking.objects.filter(pk=booking.pk).update(status=BookingStatus.DECLINED)
    OfferedSlot.objects.filter(period=slot(10, 11)).delete()  # read anew, as the partner has refused
    return booking


def shown(client: Client, booking: Booking) -> str:
    page = client.get(f"/bookings/{booking.pk}/").content.decode()
    return page.partition("data-instead")[2].partition("What is booked")[0]


@pytest.mark.django_db
@pytest.mark.usefixtures("clock")
def test_what_a_partner_declined_is_shown_with_what_it_has_free_then(
    dispatcher: Client, declined: Booking, clock: Any
) -> None:
    instead = shown(dispatcher, declined)

    assert "Free at Reims instead" in instead
    assert "depot=FR-SIM-L1" in instead
    assert "starts_at=2030-01-15T09%3A00" in instead  # 08:00 UTC on the wall there
    assert "Other depots at that time" in instead
    viewer = make_user(declined.fleet, Membership.Role.VIEWER)
    assert shown(client_of(viewer), declined) == ""

    clock.move_to(at(10, 1))
    assert shown(dispatcher, declined) == ""


@pytest.mark.django_db
@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("asked", "there"),
    [
        (slot(10, 11), "10:00–11:00"),  # 11 to 12 on the wall there
        (slot((9, 50), (10, 50)), "10:45–11:45"),  # its step was not kept
    ],
)
def test_what_a_partner_said_no_to_is_not_offered_again(
    dispatcher: Client, declined: Booking, asked: Any, there: str
) -> None:
    """Its calendar shows it as free all the same."""
    Booking.objects.filter(pk=declined.pk).update(starts_at=asked.starts_at, ends_at=asked.ends_at)
    OfferedSlot.objects.create(option=declined.option, calendar_id="C", period=slot(8, 14), step_min=15)

    instead = shown(dispatcher, declined)

    assert there in instead
    assert "11:00–12:00" not in instead


@pytest.mark.django_db
@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(("by", "is_shown"), [("depot", True), ("fleet", False)])
def test_what_the_depot_took_back_is_to_be_replaced_and_what_the_fleet_gave_up_is_not(
    dispatcher: Client, declined: Booking, by: str, is_shown: bool
) -> None:
    Booking.objects.filter(pk=declined.pk).update(status=BookingStatus.CANCELLED, cancelled_by=by)

    assert bool(shown(dispatcher, declined)) is is_shown


@pytest.mark.django_db
@pytest.mark.usefixtures("clock")
def test_the_finder_names_the_nearest_time_of_a_partner(dispatcher: Client, offer: BookingOption) -> None:
    asked = {"depot": "FR-SIM-L1", "starts_at": "2030-01-15T12:00", "ends_at": "2030-01-15T13:00"}

    page = dispatcher.get("/slots/", asked).content.decode()

    assert "The partner shows no free time for this slot." in page
    assert "data-nearest" in page
