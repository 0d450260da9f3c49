"""The finder by place, by what is around the charger, by power, and in the order one wishes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from bookings.models import Booking
from depots.models import Depot
from tests.factories import book_slot, make_depot, make_evse, make_fleet, option_of, slot
from tests.money_factories import make_prices

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

ELEVEN = {"starts_at": "2030-01-15T11:00", "ends_at": "2030-01-15T12:00"}
KASSEL, HAMBURG, MUNICH = ("51.3", "9.5"), ("53.5", "9.9"), ("48.1", "11.6")


@pytest.fixture
def depots() -> list[Depot]:
    """In Kassel, Hamburg and Munich; the further the cheaper, and each with more around it."""
    found = []
    for number, (name, place) in enumerate([("Kassel", KASSEL), ("Hamburg", HAMBURG), ("Munich", MUNICH)]):
        facilities = ["WIFI", "SHOWERS", "RESTAURANT"][: number + 1]
        depot = make_depot(name=name, latitude=place[0], longitude=place[1], facilities=facilities)
        make_evse(depot, max_power_w=[400_000, 150_000, 1_000_000][number])
        make_prices(depot, booking_fee=30 - 10 * number)
        found.append(depot)
    return found


def shown(client: Client, **asked: Any) -> list[str]:
    """The names of the depots in the results."""
    answer = client.get("/slots/", {**ELEVEN, **asked})
    assert answer.status_code == 200, answer.content.decode()
    return re.findall(r'<h2 id="place-\d+">(\w+)', answer.content.decode())


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, {"Kassel", "Hamburg", "Munich"}),
        ({"near": "51.3, 9.5"}, {"Kassel"}),
        ({"near": "kassel"}, {"Kassel"}),
        ({"near": "51.3, 9.5", "radius_km": "300"}, {"Kassel", "Hamburg"}),
        ({"with_showers": "on"}, {"Hamburg", "Munich"}),
        ({"with_showers": "on", "with_food": "on"}, {"Munich"}),
        ({"with_hotel": "on"}, set()),
        ({"near": "0, 0"}, set()),
    ],
)
def test_a_search_is_narrowed_by_place_and_by_what_is_around(
    asked: dict[str, str], found: set[str], dispatcher: Client, depots: list[Depot]
) -> None:
    assert set(shown(dispatcher, **asked)) == found


def test_results_stand_in_the_order_that_is_wished(dispatcher: Client, depots: list[Depot]) -> None:
    far = {"near": "53.5, 9.9", "radius_km": "1000"}

    assert shown(dispatcher, order="distance", **far) == ["Hamburg", "Kassel", "Munich"]
    assert shown(dispatcher, order="price") == ["Munich", "Hamburg", "Kassel"]


def test_what_is_too_weak_for_the_least_power_says_so(dispatcher: Client, depots: list[Depot]) -> None:
    page = dispatcher.get("/slots/", {**ELEVEN, "min_power_kw": "200"}).content.decode()

    assert "gives 150 kW at most" in page
    assert "2</b> free slots" in page


def test_a_slot_carries_the_place_that_was_asked_for(dispatcher: Client, depots: list[Depot]) -> None:
    page = dispatcher.get(
        "/slots/", {**ELEVEN, "near": "51.3, 9.5", "with_wifi": "on", "min_power_kw": "200"}
    ).content.decode()
    form = page[page.index('class="offer-actions"') :]
    sent = dict(re.findall(r'name="([a-z_]+)" value="([^"]*)"', form[: form.index("</form>")]))

    assert (sent["asked_near"], sent["asked_min_power_kw"]) == ("51.3, 9.5", "200")
    assert "0 km away" in page
    assert dispatcher.post("/holds/", sent).status_code == 302
    elsewhere = {**sent, "asked_near": "48.1, 11.6"}
    assert dispatcher.post("/holds/", elsewhere).status_code == 409


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"near": "Atlantis"}, "There is no depot, town or point of that name"),
        ({"near": "kassel", "radius_km": "0"}, "greater than or equal to 1"),
        ({"radius_km": "1e9"}, "less than or equal to 1000"),
        ({"order": "distance"}, "Nearest to where?"),
        ({"order": "rank"}, "Select a valid choice"),
        ({"min_power_kw": "-1"}, "greater than or equal to 1"),
    ],
)
def test_what_makes_no_sense_is_said_at_its_field(
    wrong: dict[str, str], words: str, dispatcher: Client
) -> None:
    answer = dispatcher.get("/slots/", {**ELEVEN, **wrong})

    assert answer.status_code == 422
    assert words in answer.content.decode()


def test_what_costs_more_than_is_to_be_paid_is_told_apart(dispatcher: Client, depots: list[Depot]) -> None:
    page = dispatcher.get("/slots/", {**ELEVEN, "max_price": "15"}).content.decode()

    assert "1</b> free slot" in page
    assert "It costs about 20.00 EUR." in page


def test_who_can_begin_later_is_offered_the_first_slot_by_then(
    dispatcher: Client, depots: list[Depot]
) -> None:
    kassel = depots[0]
    book_slot(fleet=make_fleet(), option=option_of(kassel.evses.get()), period=slot(10, (11, 30)))
    wanted = {**ELEVEN, "depot": kassel.code}

    assert "data-free" not in dispatcher.get("/slots/", wanted).content.decode()
    page = dispatcher.get("/slots/", {**wanted, "latest_start": "2030-01-15T13:00"}).content.decode()

    assert "data-until><b" in page
    begins = re.findall(r"data-until><b class=\"nowrap\">(\d\d:\d\d)–", page)
    assert begins == ["12:30"]
    form = page[page.index('class="offer-actions"') :]
    sent = dict(re.findall(r'name="([a-z_]+)" value="([^"]*)"', form[: form.index("</form>")]))
    assert dispatcher.post("/bookings/", sent).status_code == 302
    made = Booking.objects.latest("pk")
    assert (made.period, made.fleet.name) == (
        slot((11, 30), (12, 30)),
        sent.get("asked_fleet", made.fleet.name),
    )


@pytest.mark.parametrize(
    ("latest", "words"),
    [("2030-01-15T10:00", "That is before From."), ("2030-01-17T12:00", "At most a day after From.")],
)
def test_a_later_start_makes_sense(dispatcher: Client, depots: list[Depot], latest: str, words: str) -> None:
    answer = dispatcher.get("/slots/", {**ELEVEN, "latest_start": latest})

    assert answer.status_code == 422
    assert words in answer.content.decode()
