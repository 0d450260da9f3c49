"""Every address of the API, as its OpenAPI document lists them: none answers without a token, none that changes something takes
one that may only look, and what is another organisation's is not there. A new address has to be entered in BODIES."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from bookings.api.urls import api
from bookings.webhooks.registry import make_webhook
from tests.bookings.api.conftest import Site
from tests.bookings.api.fleet_system import FleetSystem, refused
from tests.factories import NOW, make_depot, make_evse, make_fleet, slot

pytestmark = pytest.mark.django_db
PREFIX = "/api/v1"
# A right body of each address below something that belongs to somebody, where it takes one.
BODIES: dict[str, Any] = {
    "GET /bookings/{booking_id}": None,
    "PATCH /bookings/{booking_id}": {"power_kw": 100},
    "POST /bookings/{booking_id}/cancellation": {"reason": "TRAFFIC"},
    "POST /bookings/{booking_id}/delay": {"minutes": 15},
    "POST /bookings/{booking_id}/swap": {"vehicle": "X-Y 1"},
    "GET /bookings/{booking_id}/offer": None,
    "POST /bookings/{booking_id}/offer/acceptance": None,
    "POST /bookings/{booking_id}/offer/refusal": None,
    "POST /bookings/{booking_id}/start": None,
    "POST /bookings/{booking_id}/stop": None,
    "POST /holds/{booking_id}/confirmation": None,
    "DELETE /holds/{booking_id}": None,
    "GET /depots/{depot_id}": None,
    "GET /trips/{trip_id}": None,
    "DELETE /trips/{trip_id}": None,
    "GET /series/{series_id}": None,
    "PATCH /series/{series_id}": {"scope": "all", "power_kw": 100},
    "DELETE /series/{series_id}": None,
    "DELETE /depots/{depot_id}/limit": None,
    "POST /depots/{depot_id}/limit": {"kw": 100, "until": "2030-01-15T12:00:00Z"},
    "GET /vehicles/{plate}/state": None,
    "PUT /vehicles/{plate}/state": {"soc": 40},
    "GET /waitlist/{entry_id}": None,
    "DELETE /waitlist/{entry_id}": None,
    "POST /waitlist/{entry_id}/acceptance": None,
    "GET /vehicles/{plate}": None,
    "DELETE /vehicles/{plate}": None,
    "GET /webhooks/{webhook_id}": None,
    "DELETE /webhooks/{webhook_id}": None,
}
# Makes what is not there.
MAKES = {"PUT /vehicles/{plate}"}


@cache
def addresses() -> list[tuple[str, str]]:
    document = api.get_openapi_schema(path_prefix=f"{PREFIX}/")
    return [
        (method.upper(), path.removeprefix(PREFIX))
        for path, operations in document["paths"].items()
        for method in operations
    ]


def test_without_a_token_no_address_answers(site: Site) -> None:
    nobody = FleetSystem("nobody")

    for method, path in addresses():
        assert refused(nobody.send(method, path, Idempotency_Key="k")) == (401, "unauthorized"), path


def test_a_token_that_may_only_look_changes_nothing_anywhere(site: Site) -> None:
    reader = FleetSystem.of(site.fleet, is_read_only=True)

    for method, path in addresses():
        if method != "GET":
            assert refused(reader.send(method, path, Idempotency_Key="k")) == (403, "read_only"), path


def test_what_is_another_organisations_is_not_there(site: Site) -> None:
    closed = make_depot(open_to_all=False)
    make_evse(closed)
    stranger = FleetSystem.of(make_fleet())
    names = {"booking_id": site.book()["id"], "depot_id": closed.code, "plate": site.vehicle.plate}
    trip = site.system.post("/trips", {"stops": [site.wanted(slot(15, 16))]})
    names["entry_id"] = site.system.post("/waitlist", site.wanted(slot(17, 18))).json()["id"]
    names["trip_id"] = trip.json()["id"]
    whole = {"rrule": "FREQ=DAILY;COUNT=2", "first": site.wanted(period=slot(20, 21))}
    names["series_id"] = site.system.post("/series", whole).json()["id"]
    names["webhook_id"] = make_webhook(organisation=site.fleet, url="https://hooks.example/", now=NOW)[0].pk

    for method, path in addresses():
        address = f"{method} {path}"
        if "{" not in path or address in MAKES:
            continue
        key = {"Idempotency_Key": address} if method == "POST" else {}
        response = stranger.send(method, path.format(**names), BODIES[address], **key)
        assert refused(response) == (404, "not_found"), address


def test_no_list_holds_anything_of_another_organisation(site: Site) -> None:
    site.book()
    stranger = FleetSystem.of(make_fleet())
    open_to_all = {"/depots", "/slots"}

    for method, path in addresses():
        if method == "GET" and "{" not in path and path not in open_to_all:
            assert stranger.get(path).json()["items"] == [], path
