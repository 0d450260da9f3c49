"""Gates, site controllers and telematics over the API: each does what the page would do, of what belongs to its organisation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection

from bookings import tasks
from bookings.models import Booking, ExternalLimit, VehicleState
from depots.operations.api_tokens import make_api_token
from tests.bookings.api.conftest import Site
from tests.bookings.api.fleet_system import FleetSystem, refused
from tests.bookings.api.test_bookings import OBJECT
from tests.factories import NOW, at, slot

pytestmark = pytest.mark.django_db


@pytest.fixture
def gate(site: Site) -> FleetSystem:
    return FleetSystem.of(site.depot.operator)


def arrival(site: Site, **told: Any) -> dict[str, Any]:
    return {"depot": site.depot.code, **(told or {"plate": site.vehicle.plate})}


def test_a_gate_is_told_where_the_truck_goes(site: Site, gate: FleetSystem) -> None:
    made = site.book(period=slot(8, 9))

    response = gate.post("/arrivals", arrival(site))

    told = response.json()
    assert (response.status_code, told.keys()) == (200, OBJECT)
    assert (told["id"], told["evse"], told["vehicle"]) == (made["id"], site.evse.uid, site.vehicle.plate)
    assert told["tokens"] != made["tokens"]  # of a stranger's cards the ending alone
    assert Booking.objects.get().arrived_at is not None
    assert [event["kind"] for event in site.system.get(f"/bookings/{made['id']}").json()["events"]][
        -1
    ] == "arrived"


def test_nothing_booked_and_too_early_are_told_apart(site: Site, gate: FleetSystem) -> None:
    assert refused(gate.post("/arrivals", arrival(site))) == (404, "unknown_booking")

    site.book(period=slot(10, 11))
    early = gate.post("/arrivals", arrival(site, token=site.vehicle.tokens.get().uid))
    assert refused(early) == (422, "not_yet")
    assert early.json()["nearest"] == {"starts_at": "2030-01-15T10:00:00Z", "ends_at": "2030-01-15T11:00:00Z"}


WRONG = [{}, {"plate": "X-Y 1", "token": "04AA"}, {"plate": ""}, {"plate": 5}, {"token": "ü"}]


@pytest.mark.parametrize("told", WRONG)
def test_an_arrival_names_a_plate_or_a_card(site: Site, gate: FleetSystem, told: dict[str, Any]) -> None:
    assert refused(gate.post("/arrivals", {"depot": site.depot.code, **told})) == (422, "invalid")


def test_a_depot_of_others_has_no_gate_of_ours(site: Site) -> None:
    site.book(period=slot(8, 9))

    assert refused(site.system.post("/arrivals", arrival(site))) == (404, "not_found")
    limit = {"kw": 100, "until": "2030-01-15T12:00:00Z"}
    assert refused(site.system.post(f"/depots/{site.depot.code}/limit", limit)) == (404, "not_found")
    assert not ExternalLimit.objects.exists()


def test_a_site_controller_limits_its_depot(site: Site, gate: FleetSystem) -> None:
    response = gate.post(
        f"/depots/{site.depot.code}/limit", {"kw": 100.5, "until": "2030-01-15T13:00:00+01:00"}
    )

    assert response.status_code == 200
    assert response.json() == {
        "depot": site.depot.code,
        "kw": 100.5,
        "from": "2030-01-15T08:00:00Z",
        "until": "2030-01-15T12:00:00Z",
    }
    assert ExternalLimit.objects.get().watts == 100_500


def test_a_limit_takes_the_place_of_what_its_teller_told_before_and_lifted_all_are_gone(
    site: Site, gate: FleetSystem
) -> None:
    path, limit = f"/depots/{site.depot.code}/limit", {"kw": 100, "until": "2030-01-15T12:00:00Z"}
    for body in (limit, limit, {**limit, "until": "2030-01-15T11:00:00Z"}, {**limit, "kw": 200}):
        assert gate.post(path, body).status_code == 200
    assert ExternalLimit.objects.get(lifted_at=None).watts == 200_000
    assert ExternalLimit.objects.get(lifted_at=NOW).ends_at == at(11)
    _, token = make_api_token(organisation=site.depot.operator, name="another", is_read_only=False, now=NOW)
    assert FleetSystem(token).post(path, limit).status_code == 200
    assert ExternalLimit.objects.filter(lifted_at=None).count() == 2

    assert gate.send("DELETE", path).status_code == 204
    assert not ExternalLimit.objects.filter(lifted_at=None).exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kw": -1, "until": "2030-01-15T12:00:00Z"}, "kw"),
        ({"kw": 100, "until": "2030-01-15T07:00:00Z"}, "until"),
        ({"kw": 100}, "until"),
        ({"kw": "100", "until": "2030-01-15T12:00:00Z"}, "kw"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_by_field(
    site: Site, gate: FleetSystem, body: dict[str, Any], field: str
) -> None:
    response = gate.post(f"/depots/{site.depot.code}/limit", body)

    assert refused(response) == (422, "invalid")
    assert response.json()["field"] == field


def test_telematics_tell_a_vehicle_of_their_fleet(site: Site) -> None:
    path = f"/vehicles/{site.vehicle.plate.lower()}/state"
    assert refused(site.system.get(path)) == (404, "not_found")

    first = site.system.send("PUT", path, {"soc": 34.4, "eta": "2030-01-15T11:00:00+01:00"})
    second = site.system.send("PUT", path, {"latitude": 51.3, "longitude": 9.5})

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == {
        "plate": site.vehicle.plate,
        "soc": 34,
        "eta": "2030-01-15T10:00:00Z",
        "latitude": None,
        "longitude": None,
        "told_at": "2030-01-15T08:00:00Z",
    }
    assert site.system.get(path).json() == second.json()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"soc": 101}, "soc"),
        ({"soc": "40"}, "soc"),
        ({"eta": "soon"}, "eta"),
        ({"latitude": 91, "longitude": 9}, "latitude"),
        ({"latitude": 51}, "longitude"),
        ({"speed": 80}, "speed"),
    ],
)
def test_a_state_that_makes_no_sense_is_refused_by_field(
    site: Site, body: dict[str, Any], field: str
) -> None:
    response = site.system.send("PUT", f"/vehicles/{site.vehicle.plate}/state", body)

    assert refused(response) == (422, "invalid")
    assert response.json()["field"] == field
    assert not VehicleState.objects.exists()


def test_an_eta_after_the_start_moves_the_slot_by_a_job(site: Site) -> None:
    made = site.book(period=slot(9, 10))

    told = {"eta": "2030-01-15T09:18:00Z"}
    assert site.system.send("PUT", f"/vehicles/{site.vehicle.plate}/state", told).status_code == 201

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT message -> 'args' FROM dramatiq.queue WHERE message ->> 'actor_name' = 'follow_eta'"
        )
        assert [json.loads(args) if isinstance(args, str) else args for (args,) in cursor.fetchall()] == [
            [site.vehicle.pk]
        ]
    tasks.follow_eta.fn(site.vehicle.pk)
    moved = site.system.get(f"/bookings/{made['id']}").json()
    assert (moved["starts_at"], moved["ends_at"]) == ("2030-01-15T09:20:00Z", "2030-01-15T10:20:00Z")
