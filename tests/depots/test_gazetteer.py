"""Places by their names: in any spelling, with their country, and from the packaged list alone."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from depots.gazetteer import country_name, find_places, zone_at
from depots.models import Gazetteer, Place
from depots.operations.gazetteer import (
    gazetteer_version,
    load_gazetteer,
    packaged_places,
    replace_places,
)
from depots.place_keys import place_key, place_keys
from tests.factories import NOW


def town(number: int, name: str, country: str, population: int, *others: str) -> dict[str, Any]:
    return {
        "geonameid": number, "name": name, "countrycode": country, "population": population, "latitude": 51.3,
        "longitude": 9.5, "timezone": "Europe/Berlin", "alternatenames": list(others),
    }  # fmt: skip


TOWNS = [
    town(1, "Köln", "DE", 1_024_621, "Cologne", "Colonia", "Кёльн", "ケルン"),
    town(2, "Kassel", "DE", 197_230, "Cassel"),
    town(3, "Kassel", "NL", 6_000),
    town(4, "Kasselburg", "DE", 900_000),
    town(5, "København", "DK", 1_153_615, "Copenhagen", "Kopenhagen"),
    town(6, "Łódź", "PL", 768_755, "Lodz"),
    town(7, "L'Aquila", "IT", 68_503),
    town(8, "100% Town_", "US", 7_000),
]


@pytest.mark.parametrize(
    "text", ["Köln", "KOELN", "koln", "Ko\u0308ln", "cologne", "кельн", "kö", "  Köln  "]
)
def test_a_name_is_one_name_however_it_is_spelled(text: str) -> None:
    keys = {key for name in ("Köln", "Cologne", "Кёльн") for key in place_keys(name)}

    assert any(key.startswith(place_key(text)) for key in keys)


@pytest.fixture
def towns(db: None) -> None:
    replace_places(TOWNS, version="eight towns", now=NOW)


@pytest.mark.usefixtures("towns")
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("kassel", [2, 3, 4]),  # the very name before more people
        ("kassel nl", [3]),
        ("Kassel, DEU", [2, 4]),
        ("Kassel (de)", [2, 4]),
        ("Cassel", [2]),
        ("koebenhavn", [5]),
        ("kobenhavn", [5]),
        ("KØBENHAVN dk", [5]),
        ("lodz", [6]),
        ("łódź", [6]),
        ("laquila", [7]),
        ("l'aquila", [7]),
        ("100% town_", [8]),
        ("k", []),
        ("%", []),
        ("____", []),
        ("", []),
        ("kassel xx", []),
        ("ケルン", []),
    ],
)
def test_a_place_is_found_by_its_name_and_country(text: str, found: list[int]) -> None:
    with CaptureQueriesContext(connection) as seen:
        places = find_places(text)

    assert [place.pk for place in places] == found
    assert len(seen) <= 2


@pytest.mark.usefixtures("towns")
def test_a_list_is_replaced_as_a_whole() -> None:
    replace_places(TOWNS[:1], version="one town", now=NOW)

    assert list(Place.objects.values_list("name", flat=True)) == ["Köln"]
    assert Gazetteer.objects.get().version == "one town"


@pytest.mark.django_db
def test_what_is_loaded_already_is_not_loaded_again() -> None:
    Gazetteer.objects.create(version=gazetteer_version(), loaded_at=NOW)

    assert load_gazetteer(now=NOW) is None


def test_the_package_has_its_towns_one_after_the_other() -> None:
    places = packaged_places()

    assert {"geonameid", "countrycode", "timezone", "alternatenames"} < next(places).keys()
    assert next(places)["geonameid"] != next(places)["geonameid"]


@pytest.mark.long
@pytest.mark.django_db
def test_the_packaged_list_is_loaded_whole() -> None:
    number = load_gazetteer(now=NOW)

    assert number == Place.objects.count() > 60_000
    for text in ("Hamburg", "Basel", "Bâle", "Kassel", "Muenchen", "Wien", "Lwow"):
        assert find_places(text), text
    assert next((p.name, p.country, p.time_zone) for p in find_places("kassel de")) == (
        "Kassel", "DE", "Europe/Berlin",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("place", "zone"),
    [((51.3, 9.5), "Europe/Berlin"), ((48.2, 16.4), "Europe/Vienna"), ((40.7, -74.0), "America/New_York")],
)
def test_a_point_has_a_time_zone(place: tuple[float, float], zone: str) -> None:
    assert zone_at(*place).key == zone


def test_countries_are_called_as_people_call_them() -> None:
    assert (country_name("CH"), country_name("CZ"), country_name("XX")) == ("Switzerland", "Czechia", "XX")
