"""Slots by energy on pages: the finder, what it sends, the booking, its change, and its depot."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from bookings.models import Booking, Vehicle
from bookings.operations import SlotRequest, request_booking
from bookings.rules.charging_duration import EnergyAsked
from depots.models import Evse, Organisation
from tests.factories import (
    DISPATCHER,
    NOW,
    at,
    make_depot,
    make_evse,
    make_vehicle,
    option_of,
    slot,
)
from tests.money_factories import make_prices

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
ELEVEN = {"starts_at": "2030-01-15T11:00", "depot": "NF-KAS"}
TERMS = {"slot_step_min": 15, "min_duration_min": 15, "max_duration_min": 240}


@pytest.fixture
def evse(operator: Organisation) -> Evse:
    depot = make_depot(operator, code="NF-KAS", name="Kassel Süd", terms=TERMS)
    make_prices(depot, energy_per_kwh=0.5)
    return make_evse(depot, uid="KAS-1", max_power_w=200_000)


@pytest.fixture
def booking(evse: Evse, vehicle: Vehicle) -> Booking:
    request = SlotRequest.until_charged(
        starts_at=at(10), energy=EnergyAsked(energy_wh=300_000), fleet=vehicle.fleet, option=option_of(evse), vehicle=vehicle
    )  # fmt: skip
    return request_booking(request, actor=DISPATCHER, now=NOW)


def hidden(page: str) -> dict[str, str]:
    """What the first slot's form sends."""
    form = page[page.index('class="offer-actions"') :]
    form = form[: form.index("</form>")]
    return dict(re.findall(r'name="([a-z_]+)" value="([^"]*)"', form))


def test_the_finder_shows_how_long_charging_takes_at_each_evse(
    dispatcher: Client, evse: Evse, vehicle: Vehicle
) -> None:
    make_evse(evse.depot, uid="KAS-2", max_power_w=150_000)
    asked = {**ELEVEN, "vehicle": vehicle.plate, "energy_kwh": "300", "ends_at": "2030-01-15T11:15"}

    page = dispatcher.get("/slots/", asked).content.decode()

    assert re.findall(r'data-until><b class="nowrap">([^<]*)</b> <span class="nowrap">([^<]*)', page) == [
        ("11:00–12:30", "1 h 30 min"),
        ("11:00–13:00", "2 h"),
    ]
    assert page.count("€150.00") >= 2  # 300 kWh at either, though 200 kW would give 600 in three hours


def test_a_slot_by_energy_is_held_as_shown_and_remembers_what_was_asked(
    dispatcher: Client, evse: Evse, vehicle: Vehicle
) -> None:
    vehicle.battery_wh = 500_000
    vehicle.save()
    asked = {**ELEVEN, "vehicle": vehicle.plate, "soc_from": "20", "soc_to": "80"}

    answer = dispatcher.post("/holds/", hidden(dispatcher.get("/slots/", asked).content.decode()))

    held = Booking.objects.get()
    assert answer["Location"] == held.get_absolute_url()
    assert (held.period, held.energy_wh, held.soc_from, held.soc_to) == (
        slot(10, (11, 30)),
        300_000,
        20,
        80,
    )
    assert "20 to 80 %: 300 kWh" in dispatcher.get(held.get_absolute_url()).content.decode()


@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        ({"energy_kwh": "900"}, "energy_kwh", "The battery holds 500 kWh"),
        ({"soc_from": "20"}, "soc_to", "to which"),
        ({"soc_from": "20", "soc_to": "120"}, "soc_to", "less than or equal to 100"),
        ({"energy_kwh": "many"}, "energy_kwh", "Enter a number"),
    ],
)
def test_energy_that_makes_no_sense_is_told_at_its_field(
    dispatcher: Client, evse: Evse, vehicle: Vehicle, asked: dict[str, str], field: str, words: str
) -> None:
    vehicle.battery_wh = 500_000
    vehicle.save()

    answer = dispatcher.get("/slots/", {**ELEVEN, "vehicle": vehicle.plate, **asked})

    assert answer.status_code == 422
    assert words in " ".join(answer.context["form"].errors[field])


def test_what_takes_longer_than_a_slot_may_last_is_refused_with_the_longest(
    dispatcher: Client, evse: Evse, vehicle: Vehicle
) -> None:
    page = dispatcher.get(
        "/slots/", {**ELEVEN, "vehicle": vehicle.plate, "energy_kwh": "900"}
    ).content.decode()

    assert "With the 200 kW promised there 900 kWh take 270 minutes; slots last at most 240 minutes." in page


def test_a_depot_reads_what_is_to_be_charged(manager: Client, booking: Booking) -> None:
    page = manager.get(f"/depots/NF-KAS/board/bookings/{booking.pk}/").content.decode()

    assert "<dd data-energy>300 kWh</dd>" in page


def change(client: Client, booking: Booking, **fields: Any) -> Any:
    form = client.get(f"{booking.get_absolute_url()}change/").context["form"]
    shown = {form[name].html_initial_name: form[name].initial or "" for name in form.fields}
    sent = {name: form[name].initial or "" for name in form.fields}
    return client.post(
        f"{booking.get_absolute_url()}change/", {**shown, **sent, "version": booking.version, **fields}
    )


def test_other_energy_in_the_change_form_moves_the_end(dispatcher: Client, booking: Booking) -> None:
    answer = change(dispatcher, booking, energy_kwh="400")

    booking.refresh_from_db()
    assert answer.status_code == 302
    assert (booking.period, booking.energy_wh) == (slot(10, 12), 400_000)
    history = dispatcher.get(booking.get_absolute_url()).content.decode()
    assert "To charge 400 kWh instead of 300 kWh" in history


def test_another_time_in_the_change_form_keeps_the_energy(dispatcher: Client, booking: Booking) -> None:
    change(dispatcher, booking, ends_at="2030-01-15 13:00")

    booking.refresh_from_db()
    assert (booking.period, booking.energy_wh) == (slot(10, 12), 300_000)


def test_energy_taken_out_of_the_change_form_leaves_the_time(dispatcher: Client, booking: Booking) -> None:
    change(dispatcher, booking, energy_kwh="")

    booking.refresh_from_db()
    assert (booking.period, booking.energy_wh) == (slot(10, (11, 30)), None)


def test_nothing_is_asked_for_by_a_form_that_was_not_touched(dispatcher: Client, booking: Booking) -> None:
    answer = change(dispatcher, booking)

    assert answer.status_code == 422 or "booked already" in answer.content.decode()
    booking.refresh_from_db()
    assert booking.version == 1


def test_the_slots_page_never_forgets_its_energy(dispatcher: Client, evse: Evse, vehicle: Vehicle) -> None:
    """Taken between question and click: the finder answers the same question by energy again."""
    asked = {**ELEVEN, "vehicle": vehicle.plate, "energy_kwh": "300"}
    form = hidden(dispatcher.get("/slots/", asked).content.decode())
    other = make_vehicle(vehicle.fleet)
    request = SlotRequest(fleet=vehicle.fleet, option=option_of(evse), vehicle=other, period=slot(10, 11))
    request_booking(request, actor=DISPATCHER, now=NOW)

    answer = dispatcher.post("/holds/", form)

    assert answer.status_code == 409
    assert answer.context["form"]["energy_kwh"].value() == "300"
