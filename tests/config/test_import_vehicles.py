from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bookings.imports.vehicles import import_vehicles
from bookings.models import Token, Vehicle
from depots.imports.documents import FileRefusedError
from depots.models import Organisation
from tests.config.commands import refusal, run
from tests.factories import make_fleet, make_organisation, make_vehicle

pytestmark = pytest.mark.django_db

TRUCK: dict[str, Any] = {
    "plate": "HH-NF 100", "vehicle_type": "SEMI_TRACTOR", "length_cm": 1650, "width_cm": 255, "height_cm": 400,
    "weight_kg": 40000, "battery_kwh": 600, "max_power_kw": 400.5, "connector_standards": ["IEC_62196_T2_COMBO", "MCS"],
    "carries_dangerous_goods": True, "needs_refrigeration": True, "needs_drive_through": True, "retired": False,
    "tokens": [{"uid": "04AABBCCDD10", "type": "RFID", "contract_id": "DE-NFE-C1", "label": "Card 1"}],
}  # fmt: skip


@pytest.fixture(autouse=True)
def fleet() -> Organisation:
    return make_fleet("Nordfracht", country_code="DE", emsp_party_id="NFE")


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(content: Any, name: str = "vehicles.json") -> Path:
        path = tmp_path / name
        text = content if isinstance(content, str) else json.dumps({"vehicles": content}, indent=1)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def truck(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(TRUCK), **changes}


def load(path: Path) -> list[dict[str, Any]]:
    return run("import_vehicles", path, "--organisation", "Nordfracht")


def test_a_file_makes_vehicles_with_their_tokens(file, fleet):
    printed = load(file([TRUCK]))

    assert printed == [{"vehicle": "HH-NF 100", "outcome": "created", "tokens": ["04AABBCCDD10"]}]
    made = Vehicle.objects.get()
    assert (made.fleet, made.length_cm, made.battery_wh, made.max_power_w) == (fleet, 1650, 600_000, 400_500)
    assert made.connector_standards == ["IEC_62196_T2_COMBO", "MCS"]
    assert (made.carries_dangerous_goods, made.needs_refrigeration, made.needs_drive_through) == (
        True,
        True,
        True,
    )
    token = made.tokens.get()
    assert (token.uid, token.type, token.contract_id, token.label) == (
        "04AABBCCDD10",
        "RFID",
        "DE-NFE-C1",
        "Card 1",
    )


def test_the_same_file_again_changes_nothing(file):
    load(file([TRUCK]))

    assert load(file([TRUCK]))[0]["outcome"] == "unchanged"
    assert (Vehicle.objects.count(), Token.objects.count()) == (1, 1)


def test_a_vehicle_is_found_again_by_its_plate_whatever_the_capitals(file):
    load(file([TRUCK]))

    assert load(file([truck(plate="hh-nf 100", length_cm=1700)]))[0]["outcome"] == "updated"
    assert Vehicle.objects.get().length_cm == 1700


def test_two_fleets_may_have_the_same_plate(file):
    make_vehicle(make_fleet("Alpentrans"), plate="HH-NF 100")

    load(file([TRUCK]))

    assert Vehicle.objects.filter(plate="HH-NF 100").count() == 2


def test_a_token_goes_to_the_vehicle_that_lists_it_and_stays_the_fleets_when_none_does(file):
    load(file([TRUCK]))
    token = Token.objects.get()

    load(file([truck(tokens=[]), truck(plate="HH-NF 200")]))
    token.refresh_from_db()
    assert token.vehicle.plate == "HH-NF 200"

    load(file([truck(plate="HH-NF 200", tokens=[])]))
    token.refresh_from_db()
    assert token.vehicle is None


def test_a_csv_has_a_vehicle_a_row(file):
    table = (
        "plate,vehicle_type,length_cm,battery_kwh,connector_standards,needs_refrigeration,tokens\n"
        "HH-NF 100,SEMI_TRACTOR,1650,600.5,IEC_62196_T2_COMBO;MCS,yes,04AABBCCDD10; APP_USER:driver-7\n"
        "HH-NF 200,,,,MCS,,\n"
    )

    printed = load(file(table, "vehicles.csv"))

    assert [line["vehicle"] for line in printed] == ["HH-NF 100", "HH-NF 200"]
    first = Vehicle.objects.get(plate="HH-NF 100")
    assert (first.battery_wh, first.needs_refrigeration) == (600_500, True)
    assert sorted(first.tokens.values_list("uid", "type")) == [
        ("04AABBCCDD10", "RFID"),
        ("driver-7", "APP_USER"),
    ]
    assert Vehicle.objects.get(plate="HH-NF 200").vehicle_type == "SEMI_TRACTOR"


@pytest.mark.parametrize(
    ("faulty", "field", "words"),
    [
        (truck(plate=""), "plate", "at least 1"),
        (truck(plate="X" * 21), "plate", "at most 20"),
        (truck(vehicle_type="LORRY"), "vehicle_type", "SEMI_TRACTOR"),
        (truck(length_cm="long"), "length_cm", "whole number"),
        (truck(length_cm=0), "length_cm", "1 or more"),
        (truck(battery_kwh=-1), "battery_kwh", "or more"),
        (truck(battery_kwh=1e300), "battery_kwh", "or less"),
        (truck(max_power_kw=None, connector_standards="MCS"), "connector_standards", "must be a list"),
        (truck(connector_standards=["CCS"]), "connector_standards[0]", "MCS"),
        (truck(needs_refrigeration="yes"), "needs_refrigeration", "true or false"),
        (truck(colour="red"), "colour", "is not a field"),
        (truck(tokens=[{"uid": ""}]), "tokens[0].uid", "at least 1"),
        (truck(tokens=[{"uid": "A" * 37}]), "tokens[0].uid", "at most 36"),
        (truck(tokens=[{"uid": "A B"}]), "tokens[0].uid", "not allowed"),
        (truck(tokens=[{"uid": "A", "type": "CARD"}]), "tokens[0].type", "RFID"),
        (truck(tokens=[{"uid": "A"}, {"uid": "a"}]), "tokens[1].uid", "twice"),
        (truck(plate="hh-nf 200"), "plate", "twice"),
    ],
    ids=range(17),
)
def test_a_faulty_value_is_named_by_line_and_field_and_nothing_is_imported(file, faulty, field, words):
    sentence = refusal(
        "import_vehicles", file([truck(plate="HH-NF 200", tokens=[]), faulty]), "--organisation", "Nordfracht"
    )

    assert sentence.startswith("Line ")
    assert f"vehicles[1].{field}: " in sentence
    assert words in sentence
    assert not Vehicle.objects.exists()


def test_the_row_of_a_csv_is_named(file):
    table = "plate,length_cm\nHH-NF 100,1650\nHH-NF 200,long\n"

    sentence = refusal("import_vehicles", file(table, "vehicles.csv"), "--organisation", "Nordfracht")

    assert sentence == "Line 3, length_cm: must be a whole number, not 'long'."


def test_only_a_fleet_of_ours_has_vehicles_here(file):
    make_organisation("Partner", is_partner=True, country_code="FR", emsp_party_id="SIM")

    assert "partner network" in refusal("import_vehicles", file([TRUCK]), "--organisation", "FR*SIM")
    assert "no organisation Nobody" in refusal("import_vehicles", file([TRUCK]), "--organisation", "Nobody")


ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=40)
    | st.lists(st.text(), max_size=2)
)


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(field=st.sampled_from(sorted(TRUCK)), value=ANYTHING, in_token=st.booleans())
def test_whatever_stands_in_a_file_it_is_imported_or_refused_in_a_sentence(
    tmp_path, fleet, field, value, in_token
):
    row = truck(tokens=[{**TRUCK["tokens"][0], "uid": value}]) if in_token else truck(**{field: value})
    path = tmp_path / "fuzzed.json"
    path.write_text(json.dumps({"vehicles": [row]}))

    said = ["imported"]
    with transaction.atomic():
        try:
            import_vehicles(path, fleet=fleet)
        except FileRefusedError as error:
            said = str(error).splitlines()
        transaction.set_rollback(True)
    assert all(said)
