"""One truck, two places: told before it is booked, also where the terms allow it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from bookings.actors import Actor
from bookings.models import Booking, Vehicle
from depots.models import Evse, Organisation
from tests.bookings.people import client_of, seen
from tests.factories import (
    NOW,
    book_slot,
    make_depot,
    make_evse,
    make_user,
    make_vehicle,
    option_of,
    slot,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

ELEVEN = {"starts_at": "2030-01-15T11:00", "ends_at": "2030-01-15T12:00"}


@pytest.fixture
def vehicle(fleet: Organisation) -> Vehicle:
    return make_vehicle(fleet, plate="HH-NF 100", token="04AABBCCDD10")


@pytest.fixture
def dispatcher(fleet: Organisation) -> Client:
    return client_of(make_user(fleet, email="dispatcher@nordfracht.example"))


@pytest.fixture
def evse() -> Evse:
    return make_evse(make_depot(code="KAS", name="Kassel Süd"), uid="KAS-1")


@pytest.fixture
def elsewhere(vehicle: Vehicle) -> Booking:
    """Half an hour of overlap, at another depot, by a colleague."""
    return book(vehicle, make_evse(make_depot(name="Venlo"), uid="VEN-1"), slot((10, 30), (11, 30)))


def book(vehicle: Vehicle, evse: Evse, period: Any, **more: Any) -> Booking:
    return book_slot(
        fleet=vehicle.fleet,
        option=option_of(evse),
        period=period,
        vehicle=vehicle,
        actor=Actor.dispatcher("colleague"),
        now=NOW,
        **more,
    )


def offer(client: Client, uid: str, plate: str = "HH-NF 100", **question: str) -> dict[str, str]:
    """The hidden fields of one EVSE in the finder's results."""
    page = client.get("/slots/", {"vehicle": plate, **ELEVEN, **question}).content.decode()
    row = page.split(f'data-evse="{uid}"')[1].split("</form>")[0]
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', row))


WORDS = "HH-NF 100 is booked at Venlo, VEN-1, 11:30–12:30 as well."


def test_results_say_where_the_truck_is_booked_as_well(
    dispatcher: Client, evse: Evse, elsewhere: Booking, vehicle: Vehicle
) -> None:
    answer = dispatcher.get("/slots/", {"vehicle": "HH-NF 100", "depot": "KAS", **ELEVEN})
    later = {"starts_at": "2030-01-15T13:00", "ends_at": "2030-01-15T14:00"}

    assert "data-elsewhere" in answer.content.decode()
    assert WORDS in answer.content.decode()
    assert WORDS not in dispatcher.get("/slots/", {"vehicle": "HH-NF 100", **later}).content.decode()


def test_booking_it_all_the_same_takes_a_confirmation(
    dispatcher: Client, evse: Evse, elsewhere: Booking
) -> None:
    sent = offer(dispatcher, "KAS-1")

    asked = dispatcher.post("/bookings/", sent)

    page = asked.content.decode()
    assert asked.status_code == 409
    assert WORDS in page
    assert Booking.objects.count() == 1
    form = page.split("data-confirm-overlap")[1].split("</form>")[0]
    again = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form))
    assert dispatcher.post("/bookings/", again).status_code == 302
    assert Booking.objects.filter(evse=evse).count() == 1


def test_a_card_that_is_booked_for_another_truck_then_is_told_as_well(
    dispatcher: Client, evse: Evse, elsewhere: Booking, fleet: Organisation
) -> None:
    other = make_vehicle(fleet, plate="HH-NF 200", token=None)
    fleet.tokens.update(vehicle=other)  # the driver has changed trucks

    page = dispatcher.get("/slots/", {"vehicle": other.plate, "depot": "KAS", **ELEVEN}).content.decode()

    assert "A card of HH-NF 200 is booked at Venlo, VEN-1, 11:30–12:30 as well." in page


def test_what_somebody_books_twice_from_one_page_they_know_of(
    dispatcher: Client, evse: Evse, vehicle: Vehicle
) -> None:
    """Two tabs of one results page are two bookings; what a colleague booked meanwhile is told of."""
    second, third = (make_evse(evse.depot, uid=f"KAS-{n}") for n in (2, 3))
    sent = {uid: offer(dispatcher, uid) for uid in ("KAS-1", second.uid, third.uid)}

    assert [dispatcher.post("/bookings/", sent[uid]).status_code for uid in ("KAS-1", "KAS-2")] == [302, 302]
    book(vehicle, make_evse(make_depot(name="Venlo"), uid="VEN-1"), slot((10, 30), (11, 30)))
    asked = dispatcher.post("/bookings/", sent["KAS-3"])

    assert asked.status_code == 409
    assert WORDS in asked.content.decode()


def test_a_hold_says_so_before_it_is_confirmed(dispatcher: Client, evse: Evse, elsewhere: Booking) -> None:
    held = dispatcher.post("/holds/", offer(dispatcher, "KAS-1"))

    page = dispatcher.get(held["Location"]).content.decode()

    assert WORDS in page
    assert "Confirm booking all the same" in page


def test_a_change_into_an_overlap_is_saved_when_sent_again(
    dispatcher: Client, evse: Evse, vehicle: Vehicle, elsewhere: Booking
) -> None:
    booking = book(vehicle, evse, slot(13, 14))
    url = f"/bookings/{booking.pk}/change/"
    tokens = [str(token.pk) for token in vehicle.tokens.all()]
    sent = {**ELEVEN, "vehicle": "HH-NF 100", "tokens": tokens, **seen(booking)}

    asked = dispatcher.post(url, sent)

    booking.refresh_from_db()
    assert (asked.status_code, booking.period) == (409, slot(13, 14))
    assert WORDS in asked.content.decode()
    despite = re.search(r'name="despite" value="([^"]*)"', asked.content.decode())
    assert despite is not None
    assert dispatcher.post(url, {**sent, "despite": despite[1]}).status_code == 302
    booking.refresh_from_db()
    assert booking.period == slot(10, 11)


def test_nobody_hears_of_another_fleets_bookings_of_a_like_plate_or_card(
    dispatcher: Client, evse: Evse, vehicle: Vehicle
) -> None:
    rival = make_vehicle(plate="HH-NF 100", token="04AABBCCDD10")
    book(rival, make_evse(make_depot(name="Venlo"), uid="VEN-1"), slot(10, 11))

    page = dispatcher.get("/slots/", {"vehicle": "HH-NF 100", **ELEVEN}).content.decode()

    assert "as well." not in page
