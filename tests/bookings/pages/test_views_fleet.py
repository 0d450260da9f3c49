"""Vehicles and their tokens: who keeps them, and what a form says to nonsense."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bookings.models import Token, Vehicle
from depots.models import Membership, Organisation
from tests.bookings.people import client_of, seen
from tests.factories import make_fleet, make_user, make_vehicle

pytestmark = pytest.mark.django_db

TRUCK = {
    "plate": "hh-nf  700", "vehicle_type": "SEMI_TRACTOR", "connector_standards": ["IEC_62196_T2_COMBO", "MCS"],
    "max_power_w": "350", "battery_wh": "621.5", "length_cm": "16.50", "width_cm": "2.55", "height_cm": "4", "weight_kg": "42.5",
    "needs_drive_through": "on", "needs_refrigeration": "on",
}  # fmt: skip
CARD = {"uid": "04 AA BB CC DD 10", "type": "RFID", "vehicle": "", "label": "blue card", "contract_id": ""}


@pytest.fixture
def viewer(fleet: Organisation) -> Client:
    return client_of(make_user(fleet, Membership.Role.VIEWER))


@pytest.fixture
def vehicle(fleet: Organisation) -> Vehicle:
    return make_vehicle(fleet, plate="HH-NF 100", token="04AABBCCDD99")


def test_a_vehicle_is_added_with_all_its_measures_in_the_units_people_say(
    dispatcher: Client, fleet: Organisation
) -> None:
    answer = dispatcher.post("/vehicles/new/", TRUCK)

    added = Vehicle.objects.get()
    assert answer["Location"] == f"/vehicles/{added.pk}/"
    assert (added.fleet, added.plate, added.connector_standards) == (
        fleet,
        "HH-NF 700",
        ["IEC_62196_T2_COMBO", "MCS"],
    )
    assert (added.max_power_w, added.battery_wh) == (350_000, 621_500)
    assert (added.length_cm, added.width_cm, added.height_cm, added.weight_kg) == (1650, 255, 400, 42_500)
    assert (added.needs_drive_through, added.needs_refrigeration, added.carries_dangerous_goods) == (
        True,
        True,
        False,
    )


def test_what_was_saved_is_shown_again_and_saved_unchanged(dispatcher: Client) -> None:
    dispatcher.post("/vehicles/new/", TRUCK)
    added = Vehicle.objects.values().get()

    page = dispatcher.get(f"/vehicles/{added['id']}/").content.decode()
    for value in ("621.5", "16.5", "42.5"):
        assert f'value="{value}"' in page
    dispatcher.post(
        f"/vehicles/{added['id']}/", {**TRUCK, "plate": added["plate"], **seen(Vehicle.objects.get())}
    )

    assert Vehicle.objects.values().get() == added


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"plate": ""}, "plate"), ({"plate": "x" * 21}, "plate"), ({"plate": "a\x00b"}, "plate"),
        ({"plate": "HH-nf 100"}, "plate"),
        ({"vehicle_type": "SUBMARINE"}, "vehicle_type"), ({"connector_standards": ["BANANA"]}, "connector_standards"),
        ({"max_power_w": "-1"}, "max_power_w"), ({"max_power_w": "much"}, "max_power_w"),
        ({"battery_wh": "9" * 40}, "battery_wh"),
        ({"length_cm": "NaN"}, "length_cm"), ({"length_cm": "0"}, "length_cm"), ({"length_cm": "1e9"}, "length_cm"),
        ({"weight_kg": "44000"}, "weight_kg"), ({"height_cm": "4.123"}, "height_cm"), ({"width_cm": "Infinity"}, "width_cm"),
    ],
)  # fmt: skip
def test_a_wrong_vehicle_is_answered_at_its_field_and_changes_nothing(
    dispatcher: Client, vehicle: Vehicle, wrong: dict[str, Any], field: str
) -> None:
    other = make_vehicle(vehicle.fleet, plate="HH-NF 101")
    before = list(Vehicle.objects.values())

    for url in ("/vehicles/new/", f"/vehicles/{other.pk}/"):
        answer = dispatcher.post(url, {**TRUCK, **wrong})

        assert answer.status_code == 422
        assert field in answer.context["form"].errors
    assert list(Vehicle.objects.values()) == before


def test_a_vehicle_that_was_changed_meanwhile_is_not_overwritten(
    dispatcher: Client, vehicle: Vehicle
) -> None:
    shown = seen(vehicle)
    Vehicle.objects.filter(pk=vehicle.pk).update(length_cm=1875, needs_drive_through=False)

    answer = dispatcher.post(f"/vehicles/{vehicle.pk}/", {**TRUCK, "plate": "HH-NF 100", **shown})

    page = answer.content.decode()
    vehicle.refresh_from_db()
    assert (answer.status_code, vehicle.length_cm) == (409, 1875)
    assert "HH-NF 100 was changed since this page was shown." in page
    assert "Length (m): 18.75" in page
    assert "Needs a drive-through bay: no" in page
    assert f'name="version" value="{seen(vehicle)["version"]}"' in page
    again = {**TRUCK, "plate": "HH-NF 100", **seen(vehicle)}
    assert dispatcher.post(f"/vehicles/{vehicle.pk}/", again).status_code == 302


@pytest.mark.parametrize(
    "version", [{}, {"version": ""}, {"version": "x"}, {"version": "9" * 40}, {"version": "-1"}]
)
def test_a_form_or_button_of_the_fleet_without_its_version_changes_nothing(
    dispatcher: Client, vehicle: Vehicle, version: dict[str, str]
) -> None:
    token = vehicle.tokens.get()
    sent = {
        f"/vehicles/{vehicle.pk}/": {**TRUCK, "plate": "HH-NF 100"},
        f"/vehicles/{vehicle.pk}/retirement/": {},
        f"/vehicles/{vehicle.pk}/return/": {},
        f"/tokens/{token.pk}/": CARD,
        f"/tokens/{token.pk}/block/": {},
        f"/tokens/{token.pk}/release/": {},
    }
    before = (Vehicle.objects.values().get(), Token.objects.values().get())

    for url, data in sent.items():
        assert dispatcher.post(url, {**data, **version}).status_code == 409, url
    assert (Vehicle.objects.values().get(), Token.objects.values().get()) == before


def test_every_form_that_changes_a_vehicle_or_token_carries_its_version(
    dispatcher: Client, vehicle: Vehicle
) -> None:
    token = vehicle.tokens.get()
    for url in (f"/vehicles/{vehicle.pk}/", "/tokens/", f"/tokens/{token.pk}/"):
        page = dispatcher.get(url).content.decode().split('id="main"')[1].split("</main>")[0]
        forms = page.split('method="post"')[1:]
        assert forms
        for form in forms:
            assert 'name="version" value="' in form.split("</form>")[0], url


def test_two_fleets_may_each_have_the_same_plate(dispatcher: Client) -> None:
    make_vehicle(make_fleet(), plate="HH-NF 700")

    assert dispatcher.post("/vehicles/new/", TRUCK).status_code == 302


def test_a_plate_somebody_adds_at_the_same_moment_is_an_error_at_the_field(
    dispatcher: Client, fleet: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bookings.pages.forms.vehicles import VehicleForm

    def and_somebody_is_quicker(form: VehicleForm) -> dict[str, Any]:
        make_vehicle(fleet, plate="HH-NF 700")
        form.instance.fleet = fleet
        return form.cleaned_data

    monkeypatch.setattr(VehicleForm, "clean", and_somebody_is_quicker)
    monkeypatch.setattr(VehicleForm, "validate_constraints", lambda _: None, raising=False)
    monkeypatch.setattr(Vehicle, "validate_constraints", lambda *_, **__: None)

    answer = dispatcher.post("/vehicles/new/", TRUCK)

    assert answer.status_code == 422
    assert "plate" in answer.context["form"].errors


def test_a_vehicle_is_retired_and_comes_back(dispatcher: Client, vehicle: Vehicle) -> None:
    dispatcher.post(f"/vehicles/{vehicle.pk}/retirement/", seen(vehicle))
    vehicle.refresh_from_db()
    assert vehicle.is_retired
    assert "HH-NF 100" not in str(dispatcher.get("/slots/").context["form"]["vehicle"])

    dispatcher.post(f"/vehicles/{vehicle.pk}/return/", seen(vehicle))
    vehicle.refresh_from_db()
    assert not vehicle.is_retired


def test_a_token_is_added_to_a_vehicle_and_managed_on_its_page(
    dispatcher: Client, vehicle: Vehicle, fleet: Organisation
) -> None:
    form = dispatcher.get("/tokens/new/", {"vehicle": "HH-NF 100"}).content.decode()
    assert '<option value="HH-NF 100" selected>' in form

    answer = dispatcher.post("/tokens/new/", {**CARD, "vehicle": "HH-NF 100"})

    token = Token.objects.get(uid="04AABBCCDD10")
    assert answer["Location"] == f"/vehicles/{vehicle.pk}/"
    assert (token.fleet, token.vehicle, token.label) == (fleet, vehicle, "blue card")
    page = dispatcher.get(f"/vehicles/{vehicle.pk}/").content.decode()
    assert f'action="/tokens/{token.pk}/block/"' in page

    dispatcher.post(f"/tokens/{token.pk}/", {**CARD, "label": "red card", **seen(token)})
    token.refresh_from_db()
    assert (token.label, token.vehicle) == ("red card", None)


def test_a_lost_card_is_blocked_and_released_again(dispatcher: Client, vehicle: Vehicle) -> None:
    token = vehicle.tokens.get()

    dispatcher.post(f"/tokens/{token.pk}/block/", seen(token))
    token.refresh_from_db()
    assert token.is_blocked
    assert "Blocked" in dispatcher.get("/tokens/").content.decode()

    dispatcher.post(f"/tokens/{token.pk}/release/", seen(token))
    token.refresh_from_db()
    assert not token.is_blocked


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"uid": ""}, "uid"), ({"uid": "x" * 37}, "uid"), ({"uid": "kärtchen"}, "uid"), ({"uid": "a\x00"}, "uid"),
        ({"uid": "04aabbccdd99"}, "uid"), ({"uid": "driver-7"}, "uid"), ({"type": "MAGIC"}, "type"),
        ({"vehicle": "XX-XX 999"}, "vehicle"),
        ({"vehicle": "9" * 40}, "vehicle"), ({"label": "x" * 65}, "label"), ({"contract_id": "x" * 37}, "contract_id"),
    ],
)  # fmt: skip
def test_a_wrong_token_is_answered_at_its_field_and_changes_nothing(
    dispatcher: Client, vehicle: Vehicle, wrong: dict[str, str], field: str
) -> None:
    make_vehicle(make_fleet(), plate="XX-XX 999", token=None)
    other = vehicle.fleet.tokens.create(uid="OTHER")
    before = list(Token.objects.values())

    for url in ("/tokens/new/", f"/tokens/{other.pk}/"):
        answer = dispatcher.post(url, {**CARD, **wrong})

        assert answer.status_code == 422
        assert field in answer.context["form"].errors
    assert list(Token.objects.values()) == before


def test_a_card_that_is_kept_in_another_form_stays_as_it_is(dispatcher: Client, vehicle: Vehicle) -> None:
    token = vehicle.fleet.tokens.create(uid="Gate 7")
    form = {**CARD, "uid": "Gate 7"}

    dispatcher.post(f"/tokens/{token.pk}/", {**form, "label": "red card", **seen(token)})

    token.refresh_from_db()
    assert token.label == "red card"
    refused = dispatcher.post(f"/tokens/{token.pk}/", {**form, "uid": "Gate 8", **seen(token)})
    assert "Gate8 has G" in refused.content.decode()


def test_a_viewer_reads_and_changes_nothing(viewer: Client, vehicle: Vehicle) -> None:
    token = vehicle.tokens.get()

    for url in ("/vehicles/", f"/vehicles/{vehicle.pk}/", "/tokens/"):
        page = viewer.get(url).content.decode()
        assert "HH-NF 100" in page
        assert '<form method="post" action="/tokens' not in page
        assert "Retire" not in page
    for url in ("/vehicles/new/", "/tokens/new/", f"/tokens/{token.pk}/"):
        assert viewer.get(url).status_code == 404
    for url in (
        "/vehicles/new/",
        f"/vehicles/{vehicle.pk}/",
        f"/vehicles/{vehicle.pk}/retirement/",
        f"/tokens/{token.pk}/block/",
    ):
        assert viewer.post(url, TRUCK).status_code == 404


def test_somebody_elses_vehicles_and_tokens_are_not_there(vehicle: Vehicle) -> None:
    stranger = client_of(make_user(make_fleet()))
    token = vehicle.tokens.get()

    assert "HH-NF 100" not in stranger.get("/vehicles/").content.decode()
    assert token.uid not in stranger.get("/tokens/").content.decode()
    for url in (f"/vehicles/{vehicle.pk}/", f"/tokens/{token.pk}/"):
        assert stranger.get(url).status_code == 404
        assert stranger.post(url, TRUCK).status_code == 404


def test_an_administrator_of_two_fleets_says_which(fleet: Organisation) -> None:
    second = make_fleet("Alpentrans")
    user = make_user(fleet, Membership.Role.ADMIN)
    Membership.objects.create(user=user, organisation=second, role=Membership.Role.ADMIN)
    client = client_of(user)

    assert "fleet" in client.post("/vehicles/new/", TRUCK).context["form"].errors
    assert "fleet" in client.post("/vehicles/new/", {**TRUCK, "fleet": "Rival"}).context["form"].errors
    client.post("/vehicles/new/", {**TRUCK, "fleet": "Alpentrans"})

    assert Vehicle.objects.get().fleet == second
    mixed = client.post("/tokens/new/", {**CARD, "fleet": fleet.name, "vehicle": "HH-NF 700"})
    assert "vehicle" in mixed.context["form"].errors


def test_more_vehicles_and_tokens_cost_no_more_queries(
    dispatcher: Client, vehicle: Vehicle, fleet: Organisation
) -> None:
    def queries(url: str) -> int:
        with CaptureQueriesContext(connection) as caught:
            assert dispatcher.get(url).status_code == 200
        return len(caught)

    few = [queries(url) for url in ("/vehicles/", "/tokens/")]
    for _ in range(5):
        make_vehicle(fleet)

    assert [queries(url) for url in ("/vehicles/", "/tokens/")] == few
    assert all(number <= 8 for number in few), few
