"""Trips over the API: all stops or none, and which of them is in the way."""

from __future__ import annotations

from typing import Any

import pytest

from bookings.models import Booking, Trip
from tests.bookings.api.conftest import Site
from tests.bookings.api.fleet_system import refused
from tests.factories import make_depot, make_evse, slot

pytestmark = pytest.mark.django_db


@pytest.fixture
def stops(site: Site) -> list[dict[str, Any]]:
    further = make_evse(make_depot())
    return [site.wanted(slot(10, 11)), {**site.wanted(slot(14, 15)), "option": further.uid}]


def test_a_trip_is_booked_whole_read_and_given_up(site: Site, stops: list[dict[str, Any]]) -> None:
    response = site.system.post("/trips", {"stops": stops})

    told = response.json()
    assert (response.status_code, response["Location"]) == (201, f"/api/v1/trips/{told['id']}")
    assert told.keys() == {"id", "status", "answers_until", "failure", "bookings"}
    assert [(stop["status"], stop["trip"]) for stop in told["bookings"]] == [("confirmed", told["id"])] * 2
    assert site.system.get(f"/trips/{told['id']}").json() == told
    assert site.system.get(f"/bookings/{told['bookings'][0]['id']}").json()["trip"] == told["id"]

    assert site.system.send("DELETE", f"/trips/{told['id']}").status_code == 204

    after = site.system.get(f"/trips/{told['id']}").json()
    assert (after["status"], {stop["status"] for stop in after["bookings"]}) == ("cancelled", {"cancelled"})
    assert refused(site.system.send("DELETE", f"/trips/{told['id']}")) == (409, "wrong_status")


def test_where_one_stop_is_taken_none_is_booked_and_the_items_say_which(
    site: Site, stops: list[dict[str, Any]]
) -> None:
    site.book(period=slot(10, 11))

    response = site.system.post("/trips", {"stops": stops})

    assert refused(response) == (409, "conflicts")
    first, second = response.json()["items"]
    assert (first["booking"], first["code"], first["nearest"]["starts_at"]) == (
        None,
        "slot_taken",
        "2030-01-15T09:00:00Z",
    )
    assert second == {"booking": None, "code": None, "detail": None, "nearest": None}
    assert (Booking.objects.count(), Trip.objects.count()) == (1, 0)


@pytest.mark.parametrize(
    ("stops", "code", "field"),
    [
        ([], "invalid", "stops"),
        ([{}] * 21, "invalid", "stops"),
        ([{"starts_at": "noon"}], "invalid", "stops.0.starts_at"),
        ([{}, {"option": "nothing"}], "unknown_option", "stops.1.option"),
        ([{}, {"ends_at": None}], "invalid", "stops.1.ends_at"),
    ],
)
def test_what_is_wrong_with_a_stop_is_said_by_its_field(
    site: Site, stops: list[dict[str, Any]], code: str, field: str
) -> None:
    response = site.system.post("/trips", {"stops": [{**site.wanted(), **stop} for stop in stops]})

    assert refused(response) == (422, code)
    assert (response.json()["field"], response.json()["errors"][0]["field"]) == (field, field)
    assert Booking.objects.count() == 0
