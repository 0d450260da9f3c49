"""What spreadsheet programs make of a file: read where it can mean one thing, refused by line and field where not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bookings.imports.csv_documents import depot_document, vehicle_document
from bookings.imports.schemas import DepotFile, VehicleFile
from bookings.imports.vehicles import import_vehicles
from bookings.models import Vehicle
from depots.imports.documents import FileRefusedError, read_json
from tests.factories import make_fleet

DEPOT: dict[str, str] = {
    "id": "BG-ULM", "operator": "Nordfracht", "name": "Ulm", "country": "DEU", "latitude": "48.3705",
    "longitude": "9.9512", "time_zone": "Europe/Berlin", "identity": "BG-ULM-1", "uid": "BG-ULM-1-1",
    "max_power_kw": "400",
}  # fmt: skip


def vehicles(**cells: str) -> VehicleFile:
    row = {"plate": "BG-DE 1", "vehicle_type": "RIGID", **cells}
    return vehicle_document(f"{';'.join(row)}\r\n{';'.join(row.values())}\r\n").read_as(VehicleFile)


def depots(**cells: str) -> DepotFile:
    row = {**DEPOT, **cells}
    return depot_document(f"{';'.join(row)}\r\n{';'.join(row.values())}\r\n").read_as(DepotFile)


def refused(read: Any, **cells: str) -> str:
    with pytest.raises(FileRefusedError) as refusal:
        read(**cells)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("column", "cell", "says"),
    [
        ("weight_kg", "44.000", "44.000: 44 or 44000? write it without separators"),
        ("weight_kg", "44,000", "44,000: 44 or 44000? write it without separators"),
        ("length_cm", "1.650", "1.650: 1.65 or 1650?"),
        ("weight_kg", "1.044.000", "write 1044000 without separators"),
        ("weight_kg", "44 000", "write 44000 without separators"),
        ("weight_kg", "44\u202f000", "write 44000 without separators"),
        ("weight_kg", "44'000", "write 44000 without separators"),
        ("weight_kg", "4,4E+04", "looks shortened by a spreadsheet"),
        ("max_power_kw", "1.200", "1.200: 1.2 or 1200? write it without separators"),
        ("max_power_kw", "400,5", "write a decimal point, 400.5"),
        ("max_power_kw", "1,2E+03", "looks shortened"),
        ("battery_kwh", "#WERT!", "is a spreadsheet's error"),
        ("plate", "#NAME?", "is a spreadsheet's error"),
        ("plate", "4,1E+12", "looks shortened"),
        ("tokens", "4.12346E+12", "looks shortened"),
        ("tokens", "04AABBCCDD10;1234567890123450000", "looks shortened"),
    ],
)
def test_what_could_be_read_two_ways_is_refused_by_line_and_field(column, cell, says):
    where = "tokens" if column == "tokens" else column

    sentence = refused(vehicles, **{column: f'"{cell}"' if ";" in cell else cell})

    assert sentence.startswith(f"Line 2, {where}")
    assert says in sentence


@pytest.mark.parametrize(
    ("column", "cell", "read"),
    [
        ("weight_kg", "44000", 44000),
        ("weight_kg", "900", 900),
        ("max_power_kw", "400.5", 400.5),
        ("max_power_kw", "0.125", 0.125),
        ("max_power_kw", "1.2", 1.2),
        ("max_power_kw", "22.0800", 22.08),
        ("carries_dangerous_goods", "WAHR", True),
        ("carries_dangerous_goods", "FALSE", False),
        ("plate", '="0412"', "0412"),
        ("plate", "E 12", "E 12"),
    ],
)
def test_what_can_mean_one_thing_only_is_read(column, cell, read):
    assert getattr(vehicles(**{column: cell}).vehicles[0], column) == read


def test_a_limit_rules_out_one_way_to_read_a_number():
    depot = depots(latitude="48.371", longitude="9.951").depots[0]

    assert (depot.latitude, depot.longitude) == (48.371, 9.951)
    assert "max_power_kw: 1.200: 1.2 or 1200?" in refused(depots, max_power_kw="1.200")
    assert "tariff.energy_per_kwh: 1.250: 1.25 or 1250?" in refused(
        depots, **{"tariff.energy_per_kwh": "1.250"}
    )
    assert "terms.no_show_min: 1.000: 1 or 1000?" in refused(depots, **{"terms.no_show_min": "1.000"})


@pytest.mark.parametrize("date", ["02-Jan", "Jan-02", "2.Mrz", "02.01.2026", "1-Feb-26"])
def test_an_id_that_a_spreadsheet_took_for_a_date_is_refused(date):
    assert refused(depots, uid=date).startswith("Line 2, uid: ")
    assert refused(depots, identity=date).startswith("Line 2, identity: ")


@pytest.mark.parametrize("uid", ["JAN-DEPOT-1", "CP-1-2", "MAR-12-A", "20260102"])
def test_an_id_that_only_resembles_a_date_is_kept(uid):
    [(_, evse, _)] = depots(uid=uid).depots[0].numbered()

    assert evse.uid == uid


@pytest.mark.parametrize(
    "text",
    [
        "plate;vehicle_type;weight_kg;\nBG-TR 1;RIGID;18000;\n",
        "plate;vehicle_type;weight_kg;;;\nBG-TR 1;RIGID;18000\n",
        "plate;vehicle_type;weight_kg\nBG-TR 1;RIGID;18000;;;\n;;;;;\n",
        "sep=;\r\nplate;vehicle_type;weight_kg\r\nBG-TR 1;RIGID;18000\r\n",
        "sep=,\nplate,vehicle_type,weight_kg\nBG-TR 1,RIGID,18000\n",
        '"sep=\t"\nplate\tvehicle_type\tweight_kg\nBG-TR 1\tRIGID\t18000\n',
    ],
)
def test_what_spreadsheets_add_by_themselves_is_ignored(text):
    [vehicle] = vehicle_document(text).read_as(VehicleFile).vehicles

    assert (vehicle.plate, vehicle.vehicle_type, vehicle.weight_kg) == ("BG-TR 1", "RIGID", 18000)


@pytest.mark.django_db
@pytest.mark.parametrize("uid", ["4112233", "4112233445566"])
def test_a_card_that_seems_to_have_lost_a_leading_zero_is_refused_in_a_csv(tmp_path: Path, uid):
    fleet = make_fleet()
    path = tmp_path / "vehicles.csv"
    path.write_text(f"plate;tokens\nBG-DE 1;{uid}\n")

    with pytest.raises(FileRefusedError, match=r"Line 2, tokens.*leading zero"):
        import_vehicles(path, fleet=fleet)

    assert not Vehicle.objects.exists()


def test_a_json_file_is_taken_at_its_word():
    text = '{"vehicles": [{"plate": "1", "max_power_kw": 1.200, "tokens": [{"uid": "4112233"}]}]}'

    [vehicle] = read_json(text).read_as(VehicleFile).vehicles

    assert (vehicle.max_power_kw, vehicle.tokens[0].uid) == (1.2, "4112233")
