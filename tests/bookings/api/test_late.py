"""A late truck, and another one in its slot, over the API."""

from __future__ import annotations

from typing import Any

import pytest

from bookings.models import Booking
from tests.bookings.api.conftest import Site
from tests.bookings.api.fleet_system import refused
from tests.factories import book_slot, make_fleet, make_vehicle, option_of, slot

pytestmark = pytest.mark.django_db


def test_a_delay_moves_the_end_only_as_far_as_there_is_room_and_is_refused_where_too_little_is_left(
    site: Site,
) -> None:
    booking = site.book(period=slot(12, 13))
    other = make_vehicle()
    book_slot(option=option_of(site.evse), fleet=other.fleet, vehicle=other, period=slot((13, 30), 14))

    told = site.system.post(f"/bookings/{booking['id']}/delay", {"minutes": 20}).json()
    assert told["starts_at"] == "2030-01-15T12:20:00Z"
    assert "2030-01-15T13:20:00Z" >= told["ends_at"] > "2030-01-15T13:10:00Z"

    refusal = site.system.post(f"/bookings/{booking['id']}/delay", {"minutes": 60})
    assert refused(refusal) == (409, "slot_taken")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("delay", {}, "minutes"),
        ("delay", {"minutes": 0}, "minutes"),
        ("delay", {"minutes": "20"}, "minutes"),
        ("delay", {"minutes": 1441}, "minutes"),
        ("swap", {}, "vehicle"),
        ("swap", {"tokens": "04AA"}, "tokens"),
        ("swap", {"vehicle": "X-Y 1"}, "vehicle"),
    ],
)
def test_what_is_wrong_is_named_and_changes_nothing(
    site: Site, path: str, body: dict[str, Any], field: str
) -> None:
    booking = site.book()

    answer = site.system.post(f"/bookings/{booking['id']}/{path}", body)

    assert answer.status_code == 422
    assert answer.json()["field"] == field
    assert Booking.objects.get(pk=booking["id"]).version == 1


def test_another_truck_comes_with_its_own_tokens(site: Site) -> None:
    booking = site.book()
    other = make_vehicle(site.vehicle.fleet)

    told = site.system.post(f"/bookings/{booking['id']}/swap", {"vehicle": other.plate.lower()}).json()

    assert (told["vehicle"], told["tokens"]) == (other.plate, [other.tokens.get().uid])


@pytest.mark.parametrize("path", ["delay", "swap"])
def test_another_fleets_booking_is_not_there(site: Site, path: str) -> None:
    truck = make_vehicle(make_fleet())
    theirs = book_slot(option=option_of(site.evse), fleet=truck.fleet, vehicle=truck, period=slot(15, 16))

    answer = site.system.post(
        f"/bookings/{theirs.pk}/{path}", {"minutes": 20} if path == "delay" else {"tokens": []}
    )

    assert refused(answer) == (404, "not_found")
