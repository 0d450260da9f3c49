"""Planning a trip: few inputs, breaks and slots on the way, each held with one click."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from bookings.models import Booking, BookingStatus, Vehicle
from depots.models import Depot, Organisation
from depots.operations.gazetteer import replace_places
from tests.factories import NOW, make_depot, make_evse

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

# A 16.5 m tractor-trailer from Hamburg to Basel tomorrow at six: four inputs.
ASKED = {"origin": "Hamburg", "destination": "Basel", "depart_at": "2030-01-16 06:00"}


@pytest.fixture(autouse=True)
def towns() -> None:
    places = [
        ("Hamburg", "DE", 53.55, 9.99, 1_800_000, "Europe/Berlin"),
        ("Hamburg", "US", 42.71, -78.83, 10_000, "America/New_York"),
        ("Hamm", "DE", 51.68, 7.82, 178_000, "Europe/Berlin"),
        ("Basel", "CH", 47.56, 7.59, 178_000, "Europe/Zurich"),
    ]
    rows = [
        {
            "geonameid": number, "name": name, "countrycode": country, "latitude": latitude, "longitude": longitude,
            "population": people, "timezone": zone, "alternatenames": ["Bâle"] if name == "Basel" else [],
        }
        for number, (name, country, latitude, longitude, people, zone) in enumerate(places)
    ]  # fmt: skip
    replace_places(rows, version="four towns", now=NOW)


def on_the_way(name: str, latitude: str, longitude: str, **fields: Any) -> Depot:
    depot = make_depot(name=name, latitude=latitude, longitude=longitude, **fields)
    make_evse(depot, max_vehicle_length_cm=1875)
    return depot


@pytest.fixture
def depots() -> list[Depot]:
    """About four and about eight hours from Hamburg."""
    return [on_the_way("Holzminden", "51.60", "9.20"), on_the_way("Mannheim", "49.50", "8.45")]


def sent(page: str, number: int) -> dict[str, str]:
    """What the form of a stop sends."""
    card = page.split(f'data-stop="{number}"')[1]
    form = card[card.index("<form") : card.index("</form>")]
    return dict(re.findall(r'name="([a-z_]+)" value="([^"]*)"', form))


def test_opening_the_page_asks_from_where_to_where(dispatcher: Client) -> None:
    answer = dispatcher.get("/trips/plan/")

    assert answer.status_code == 200
    assert "From where to where?" in answer.content.decode()


def test_a_tractor_trailer_from_hamburg_to_basel_gets_its_breaks_and_slots_from_four_inputs(
    dispatcher: Client, vehicle: Vehicle, fleet: Organisation, depots: list[Depot]
) -> None:
    Vehicle.objects.filter(pk=vehicle.pk).update(length_cm=1650, battery_wh=None)

    page = dispatcher.get("/trips/plan/", {"vehicle": vehicle.plate, **ASKED}).content.decode()

    assert re.findall(r'data-stop="\d" data-depot="([^"]*)"', page) == [depot.code for depot in depots]
    assert "Break of 45 min" in page
    assert "data-daily-rest" in page  # 825 km at 70 km/h are almost twelve hours
    assert "daily rest of 11:00 h" in page

    answer = dispatcher.post("/holds/", sent(page, 1))
    booking = Booking.objects.get()
    assert answer.status_code == 302
    assert (booking.status, booking.depot, booking.vehicle) == (BookingStatus.HELD, depots[0], vehicle)
    assert booking.period.minutes == 45


def test_with_a_battery_the_stops_charge_and_say_so(
    dispatcher: Client, vehicle: Vehicle, depots: list[Depot]
) -> None:
    Vehicle.objects.filter(pk=vehicle.pk).update(
        length_cm=1650, battery_wh=600_000, max_power_w=400_000, charge_curve=[]
    )

    page = dispatcher.get("/trips/plan/", {"vehicle": vehicle.plate, **ASKED}).content.decode()

    assert re.search(r"Charges \d+ kWh", page)
    assert re.search(r"with \d+ % in the battery", page)


def test_where_nothing_lies_on_the_way_the_page_says_where_it_ends(
    dispatcher: Client, vehicle: Vehicle
) -> None:
    Vehicle.objects.filter(pk=vehicle.pk).update(battery_wh=None)

    answer = dispatcher.get("/trips/plan/", {"vehicle": vehicle.plate, **ASKED})

    page = answer.content.decode()
    assert answer.status_code == 200
    assert "data-no-plan" in page
    assert "the driver&#x27;s break is due between km 0 and km 315" in page


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"origin": "Nowhereville"}, "There is no depot, town or point of that name"),
        ({"destination": ""}, "This field is required"),
        ({"destination": "-43.5, 172.6"}, "more than 6,000 km away"),
        ({"via": "Hamm; Atlantis"}, "Atlantis"),
        ({"via": ";".join(["Hamm"] * 9)}, "At most 8 places"),
        ({"depart_at": "2030-01-14 06:00"}, "begins in the past"),
        ({"depart_at": "2032-01-14 06:00"}, "more than a year ahead"),
        ({"depart_at": "soon"}, "is not a time"),
        ({"corridor_km": "5000"}, "less than or equal to 100"),
        ({"speed_kmh": "nan"}, "Enter a number"),
        ({"soc": "0"}, "greater than or equal to 1"),
        ({"breaks": "none"}, "Select a valid choice"),
        ({"origin": "x" * 100}, "at most 80 characters"),
    ],
)
def test_what_makes_no_sense_is_said_at_its_field(
    wrong: dict[str, str], words: str, dispatcher: Client
) -> None:
    answer = dispatcher.get("/trips/plan/", {**ASKED, **wrong})

    assert answer.status_code == 422
    assert words in answer.content.decode()


def test_places_are_suggested_while_one_types_depots_first(dispatcher: Client) -> None:
    depot = on_the_way("Hamburg Süd", "53.5", "10.0", code="NF-HAM")

    def suggested(text: str, name: str = "origin") -> list[str]:
        page = dispatcher.get("/places/", {name: text}).content.decode()
        return re.findall(r'value="([^"]*)"', page)

    assert suggested("ham") == ["Hamburg Süd", "Hamburg, DE", "Hamm, DE", "Hamburg, US"]
    assert suggested("nf-ham") == ["Hamburg Süd"]
    assert suggested("sued") == ["Hamburg Süd"]
    assert suggested("hamburg us") == ["Hamburg, US"]
    assert suggested("51.3, 9.5") == ["51.3, 9.5"]
    assert suggested("51,3 9,5") == ["51,3 9,5"]
    assert suggested("Hamm; bas", "via") == ["Hamm; Basel, CH"]
    assert suggested("") == suggested("h") == suggested('"><script>') == []
    assert depot.name in dispatcher.get("/trips/plan/", {**ASKED, "origin": "NF-HAM"}).content.decode()


def test_a_town_goes_before_a_depot_whose_name_only_begins_so(dispatcher: Client) -> None:
    on_the_way("Hamburg Süd", "53.5", "10.0")

    page = dispatcher.get("/trips/plan/", ASKED).content.decode()

    assert "Hamburg, DE – Basel, CH" in page
