"""Many bookings in one request: what each row comes to, all or nothing, and that nothing of a dry run stays."""

from __future__ import annotations

from typing import Any

import pytest

from bookings.models import Booking, BookingEvent, Occupancy
from tests.bookings.api.conftest import Site
from tests.bookings.api.fleet_system import refused
from tests.factories import make_evse, make_option, make_vehicle

pytestmark = pytest.mark.django_db
ITEM = {"booking", "code", "detail", "nearest"}


@pytest.fixture
def pool(site: Site) -> str:
    """An option of two EVSEs, by its id."""
    return make_option(
        make_evse(site.depot, option=False), make_evse(site.depot, option=False), code="POOL"
    ).code


def rows(site: Site, pool: str, count: int, **more: Any) -> list[dict[str, Any]]:
    trucks = [make_vehicle(site.fleet) for _ in range(count)]
    return [site.wanted(option=pool, vehicle=truck.plate, **more) for truck in trucks]


def test_a_batch_is_booked_row_by_row(site: Site, pool: str) -> None:
    asked = rows(site, pool, 2)

    response = site.system.post("/batch", {"bookings": asked})

    assert response.status_code == 201
    assert response["Location"] == "/api/v1/bookings"
    items = response.json()["items"]
    assert [item.keys() for item in items] == [ITEM, ITEM]
    assert [item["code"] for item in items] == [None, None]
    assert [item["booking"]["vehicle"] for item in items] == [row["vehicle"] for row in asked]
    assert items[0]["booking"] == site.system.get("/bookings").json()["items"][0]


def test_a_dry_run_says_what_would_be_and_leaves_nothing(site: Site, pool: str) -> None:
    asked = rows(site, pool, 3)
    before = [model.objects.count() for model in (Booking, BookingEvent, Occupancy)]

    response = site.system.post("/batch", {"dry_run": True, "bookings": asked})

    assert response.status_code == 200
    first, _, third = response.json()["items"]
    assert (first["booking"]["id"], first["booking"]["reference"]) == (None, None)
    assert (first["booking"]["status"], first["booking"]["promised_power_kw"]) == ("confirmed", 350)
    assert first["booking"]["tokens"]
    assert (third["booking"], third["code"]) == (None, "slot_taken")
    assert third["nearest"].keys() == {"starts_at", "ends_at"}
    assert [model.objects.count() for model in (Booking, BookingEvent, Occupancy)] == before


def test_all_is_nothing_where_one_is_refused_and_says_so_of_each(site: Site, pool: str) -> None:
    asked = [*rows(site, pool, 2), site.wanted(option="nowhere")]

    response = site.system.post("/batch", {"bookings": asked})

    assert refused(response) == (409, "conflicts")
    items = response.json()["items"]
    assert [item["code"] for item in items] == [None, None, "unknown_option"]
    assert [item["booking"] for item in items] == [None, None, None]
    assert not Booking.objects.exists()


def test_what_fits_is_booked_where_that_is_asked_for(site: Site, pool: str) -> None:
    asked = [site.wanted(vehicle="X-Y 1"), *rows(site, pool, 3), site.wanted(ends_at="2030-01-15T12:05:00Z")]

    response = site.system.post("/batch", {"mode": "what_fits", "bookings": asked})

    assert response.status_code == 201
    codes = [item["code"] for item in response.json()["items"]]
    assert codes == ["unknown_vehicle", None, None, "slot_taken", "not_aligned"]
    assert Booking.objects.count() == 2


WRONG = [
    ({"bookings": []}, "bookings"),
    ({}, "bookings"),
    ({"bookings": [{}] * 201}, "bookings"),
    ({"bookings": "all"}, "bookings"),
    ({"mode": "some", "bookings": [{}]}, "mode"),
    ({"dry_run": "yes", "bookings": [{}]}, "dry_run"),
]


@pytest.mark.parametrize(("body", "field"), WRONG)
def test_a_body_of_the_wrong_shape_names_its_field(site: Site, body: dict[str, Any], field: str) -> None:
    response = site.system.post("/batch", body)

    assert refused(response) == (422, "invalid")
    assert field in [error["field"] for error in response.json()["errors"]]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"starts_at": "2030-01-15T12:00:00"}, "bookings.1.starts_at"),
        ({"ends_at": None}, "bookings.1.ends_at"),
        ({"colour": "red"}, "bookings.1.colour"),
    ],
)
def test_a_row_of_the_wrong_shape_refuses_the_batch_and_is_named(
    site: Site, change: dict[str, Any], field: str
) -> None:
    body = {"mode": "what_fits", "bookings": [site.wanted(), site.wanted(**change)]}

    response = site.system.post("/batch", body)

    assert refused(response) == (422, "invalid")
    assert response.json()["field"] == field
    assert not Booking.objects.exists()


def test_a_batch_sent_again_is_the_same_batch(site: Site, pool: str) -> None:
    body = {"bookings": rows(site, pool, 2)}

    first, second = (site.system.post("/batch", body, key="tomorrow") for _ in range(2))

    assert first.json() == second.json()
    assert Booking.objects.count() == 2


def test_more_rows_do_not_read_more_of_what_they_name(
    site: Site, pool: str, django_assert_num_queries
) -> None:
    """Rows that are refused before they are booked, so that only the reading is counted."""
    site.system.get("/bookings")  # the token is noted as used

    for count in (2, 20):
        asked = [site.wanted(option=pool, vehicle=f"X-Y {number}") for number in range(count)]
        with django_assert_num_queries(16):
            site.system.post("/batch", {"dry_run": True, "bookings": asked})
