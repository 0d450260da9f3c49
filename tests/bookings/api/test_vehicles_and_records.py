"""The fleet's vehicles by their plates, and lists of what was charged and billed."""

from __future__ import annotations

from typing import Any

import pytest

from bookings.models import Vehicle
from tests.bookings.api.conftest import Site
from tests.bookings.api.fleet_system import FleetSystem, refused
from tests.factories import make_fleet, make_vehicle
from tests.money_factories import make_invoice, new_cdr

pytestmark = pytest.mark.django_db
TRUCK = {
    "vehicle_type": "SEMI_TRACTOR", "length_cm": 1650, "battery_kwh": 600.5, "max_power_kw": 350, "charge_curve": "9:350, 80:180",
    "connector_standards": ["IEC_62196_T2_COMBO"], "needs_drive_through": True,
    "tokens": [{"uid": "04AABBCCDD99", "label": "card 7"}],
}  # fmt: skip


def test_a_vehicle_is_made_changed_and_taken_away_whatever_the_capitals_of_its_plate(site: Site) -> None:
    made = site.system.send("PUT", "/vehicles/KS-NF%201", TRUCK)
    told = site.system.get("/vehicles/ks-nf%201").json()
    changed = site.system.send("PUT", "/vehicles/ks-nf%201", {"length_cm": 1200})

    assert (made.status_code, made["Location"]) == (201, "/api/v1/vehicles/KS-NF%201")
    assert {name: told[name] for name in TRUCK if name != "tokens"} == {
        n: v for n, v in TRUCK.items() if n != "tokens"
    }
    assert [(one["uid"], one["label"]) for one in told["tokens"]] == [("04AABBCCDD99", "card 7")]
    assert (changed.status_code, changed.json()["plate"], changed.json()["battery_kwh"]) == (
        200,
        "KS-NF 1",
        None,
    )
    assert changed.json()["tokens"] == told["tokens"]
    assert site.system.send("DELETE", "/vehicles/Ks-Nf%201").status_code == 204
    for method in ("GET", "DELETE"):
        assert refused(site.system.send(method, "/vehicles/KS-NF%201")) == (404, "not_found")
    assert [one["plate"] for one in site.system.get("/vehicles").json()["items"]] == [site.vehicle.plate]
    assert site.system.send("PUT", "/vehicles/KS-NF%201", {}).status_code == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"length_cm": "long"}, "length_cm"),
        ({"colour": "red"}, "colour"),
        ({"plate": "KS-NF 2"}, "plate"),
        ({"retired": True}, "retired"),
        ({"charge_curve": "10"}, "charge_curve"),
        ({"tokens": [{"uid": "04AA01"}, {"uid": "04aa01"}]}, "tokens.1.uid"),
        ({"tokens": [{"uid": "04AA01", "type": "X"}]}, "tokens.0.type"),
    ],
)
def test_a_wrong_field_of_a_vehicle_is_named_by_its_path(
    site: Site, body: dict[str, Any], field: str
) -> None:
    response = site.system.send("PUT", "/vehicles/KS-NF%201", body)

    assert refused(response) == (422, "invalid")
    assert response.json()["field"] == field
    assert Vehicle.objects.count() == 1


def test_a_plate_is_its_fleets(site: Site) -> None:
    other = FleetSystem.of(make_fleet())

    assert refused(other.get(f"/vehicles/{site.vehicle.plate}")) == (404, "not_found")
    assert other.send("PUT", f"/vehicles/{site.vehicle.plate}", {}).status_code == 201
    assert Vehicle.objects.filter(plate=site.vehicle.plate).count() == 2


@pytest.mark.parametrize("path", ["/vehicles", "/cdrs", "/invoices", "/sessions"])
def test_lists_cost_no_more_queries_for_more_rows_and_go_on_where_they_stopped(
    site: Site, path: str, django_assert_max_num_queries
) -> None:
    stranger = make_fleet()
    for number in range(3):
        make_vehicle(site.fleet)
        for customer in (site.fleet, stranger):
            new_cdr(depot=site.depot, customer=customer, code=f"C{number}{customer.pk}").save()
    for customer in (site.fleet, site.fleet, stranger):
        make_invoice(site.depot.operator, customer)
    expected = {"/vehicles": 4, "/cdrs": 3, "/invoices": 2, "/sessions": 0}[path]
    site.system.get(path)

    with django_assert_max_num_queries(3):
        items = site.system.get(path).json()["items"]
    first = site.system.get(path, limit=1).json()

    assert len(items) == expected
    if expected:
        second = site.system.get(path, limit=1, cursor=first["next"]).json()
        assert [first["items"][0], second["items"][0]] == items[:2]
