"""Trailers and models of vehicles, as a fleet's dispatchers keep and choose them."""

from __future__ import annotations

import json
import re

import pytest
from django.test import Client

from bookings.imports.vehicles import write_vehicle_file
from bookings.models import Booking, Trailer, Vehicle
from depots.imports.documents import FileRefusedError, read_json
from depots.models import Evse, Organisation
from tests.factories import make_depot, make_evse, make_fleet, option_of, slot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
ELEVEN = {"starts_at": "2030-01-15T11:00", "ends_at": "2030-01-15T12:00", "depot": "NF-KAS"}


@pytest.fixture
def trailer(fleet: Organisation) -> Trailer:
    return Trailer.objects.create(fleet=fleet, plate="HH-T 1", adds_length_cm=1050)


@pytest.fixture
def bays(operator: Organisation) -> list[Evse]:
    depot = make_depot(operator, code="NF-KAS")
    return [
        make_evse(depot, uid="SHORT", max_vehicle_length_cm=1000),
        make_evse(depot, uid="LONG", max_vehicle_length_cm=1800),
    ]


def test_a_trailer_is_added_changed_and_listed_beside_the_vehicles(
    dispatcher: Client, fleet: Organisation
) -> None:
    answer = dispatcher.post(
        "/trailers/new/", {"plate": "hh-t  1", "adds_length_cm": "10.5", "weight_kg": "7.5"}
    )

    trailer = Trailer.objects.get()
    assert answer["Location"] == "/vehicles/#trailers"
    assert (trailer.plate, trailer.adds_length_cm, trailer.weight_kg) == ("HH-T 1", 1050, 7500)
    page = dispatcher.get("/vehicles/").content.decode()
    assert 'data-trailer="HH-T 1"' in page
    assert "10.5 m" in page
    form = dispatcher.get(f"/trailers/{trailer.pk}/").content.decode()
    assert 'value="10.5"' in form
    again = dispatcher.post("/trailers/new/", {"plate": "HH-T 1"})
    assert (again.status_code, Trailer.objects.count()) == (422, 1)


def test_the_finder_offers_what_takes_the_combination_and_books_it(
    dispatcher: Client, vehicle: Vehicle, trailer: Trailer, bays: list[Evse]
) -> None:
    vehicle.length_cm = 620
    vehicle.save()
    asked = {**ELEVEN, "vehicle": vehicle.plate, "trailer": trailer.plate}

    alone = dispatcher.get("/slots/", {**asked, "trailer": ""}).content.decode()
    page = dispatcher.get("/slots/", asked).content.decode()

    assert re.findall(r'data-evse="([^"]*)" data-free', alone) == ["SHORT", "LONG"]
    assert re.findall(r'data-evse="([^"]*)" data-free', page) == ["LONG"]
    assert "6.70 m too long: 16.70 m, the bay takes 10.00 m" in page
    form = page[page.index('class="offer-actions"') :]
    sent = dict(re.findall(r'name="([a-z_]+)" value="([^"]*)"', form[: form.index("</form>")]))
    dispatcher.post("/holds/", sent)
    held = Booking.objects.get()
    assert (held.trailer, held.evse) == (trailer, bays[1])
    assert "<dd data-trailer>HH-T 1</dd>" in dispatcher.get(held.get_absolute_url()).content.decode()


def test_a_fleet_without_trailers_is_not_asked_for_one(dispatcher: Client, bays: list[Evse]) -> None:
    assert 'name="trailer"' not in dispatcher.get("/slots/", ELEVEN).content.decode()


def test_another_fleets_trailer_cannot_be_sent(
    dispatcher: Client, vehicle: Vehicle, bays: list[Evse]
) -> None:
    theirs = Trailer.objects.create(fleet=make_fleet(), plate="XX-T 1")
    period = slot(10, 11)

    answer = dispatcher.post(
        "/holds/",
        {
            "fleet": vehicle.fleet_id, "option": option_of(bays[1]).pk, "vehicle": vehicle.pk, "trailer": theirs.pk,
            "starts_at": period.starts_at.isoformat(), "ends_at": period.ends_at.isoformat(),
        },
    )  # fmt: skip

    assert answer.status_code == 422
    assert not Booking.objects.exists()


def test_a_known_model_fills_in_the_form_and_saves_nothing(dispatcher: Client, fleet: Organisation) -> None:
    typed = {"plate": "HH-NF 7", "model_name": "mercedes-benz eactros 600", "max_power_w": "123", "fill": "1"}

    page = dispatcher.post("/vehicles/new/", typed).content.decode()

    assert not Vehicle.objects.filter(plate="HH-NF 7").exists()
    for value in ("HH-NF 7", "600", "400", "Mercedes-Benz eActros 600"):
        assert f'value="{value}"' in page
    assert "No charge curve was published." in page
    assert "greenfleet.net" in page


def test_an_unknown_model_leaves_the_form_as_it_is(dispatcher: Client, vehicle: Vehicle) -> None:
    typed = {"plate": vehicle.plate, "model_name": "Hovercraft", "max_power_w": "123", "fill": "1"}

    page = dispatcher.post(f"/vehicles/{vehicle.pk}/", typed).content.decode()

    assert 'value="123"' in page
    assert "No model of that name is known." in page
    vehicle.refresh_from_db()
    assert vehicle.max_power_w == 350_000


def test_a_vehicle_file_may_name_models_and_bring_trailers(fleet: Organisation) -> None:
    rows = {
        "vehicles": [
            {
                "plate": "HH-A 1",
                "model": "DAF XF Electric, five packs",
                "max_power_kw": 300,
                "inlet_side": "LEFT",
            },
        ],
        "trailers": [{"plate": "HH-T 9", "adds_length_cm": 1050, "needs_refrigeration": True}],
    }
    write_vehicle_file(read_json(json.dumps(rows)), fleet=fleet)
    write_vehicle_file(read_json(json.dumps(rows)), fleet=fleet)

    vehicle = Vehicle.objects.get(plate="HH-A 1")
    assert (vehicle.battery_wh, vehicle.max_power_w, vehicle.inlet_side) == (525_000, 300_000, "LEFT")
    trailer = Trailer.objects.get()
    assert (trailer.plate, trailer.adds_length_cm, trailer.needs_refrigeration) == ("HH-T 9", 1050, True)


def test_a_model_that_is_not_known_is_a_fault_of_its_row(fleet: Organisation) -> None:
    rows = {"vehicles": [{"plate": "HH-A 1", "model": "Hovercraft"}]}

    with pytest.raises(FileRefusedError, match="model"):
        write_vehicle_file(read_json(json.dumps(rows)), fleet=fleet)
