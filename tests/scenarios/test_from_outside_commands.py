"""An operator at the shell: every command's lines, exit codes and refusals, beside a running Berth."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.scenarios.outside.berth import Berth, Slot

DAY = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=2)


def test_a_booking_has_all_that_is_promised_of_it(berth: Berth, book: Callable[..., dict[str, Any]]) -> None:
    slot = Slot.between(DAY, DAY + timedelta(minutes=30))
    made = book("DEMO-2-1", slot, "--power-kw", "120")

    assert made == berth.booking(made)
    assert made == berth.booking(made["ocpi_id"].lower())
    assert made["period"] == {"start": slot.start, "end": slot.end}
    assert {
        "id",
        "ocpi_id",
        "request_id",
        "status",
        "enforcement",
        "reservation_id",
        "evse_uid",
        "period",
    } <= set(made)
    assert {"occupied", "tokens", "events", "deliveries"} <= set(made)
    assert (made["status"], made["enforcement"], made["evse_uid"]) == ("confirmed", "not_due", "DEMO-2-1")

    taken = berth.run(
        "book", "--vehicle", "HH-NF 200", "--option", "DEMO-2-1", "--start", slot.start, "--end", slot.end
    )
    assert (taken.code, taken.objects) == (1, [])
    assert "taken" in taken.words

    later = berth.run(
        "change_booking", made["id"], "--end", Slot.between(DAY, DAY + timedelta(minutes=45)).end
    ).one
    assert (later["id"], later["period"]["start"]) == (made["id"], slot.start)
    assert berth.cancel(made, "BROKEN_VEHICLE")["status"] == "cancelled"
    assert berth.run("cancel_booking", made["id"], "--reason", "TRAFFIC").code == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["show_booking", "999999999"], 1, "999999999"),
        (["show_charger", "NOBODY"], 1, "NOBODY"),
        (["show_booking"], 2, "usage"),
        (["book", "--vehicle", "HH-NF 100"], 2, "usage"),
        (["decide", "1"], 2, "usage"),
        (["cancel_booking", "NOPE", "--reason", "TRAFFIC"], 1, "NOPE"),
        (["add_partner", "--name", "X", "--country-code", "SE", "--party-id", "ZZZ", "--role", "KING"], 2, "KING"),
        (["import_depots", "/nowhere/depots.json"], 1, "/nowhere/depots.json"),
        (["close_evse", "NOPE", "--start", "2030-01-01T10:00Z", "--end", "2030-01-01T11:00Z"], 1, "NOPE"),
        (["open_depot", "NOPE", "--to", "all"], 1, "NOPE"),
        (["add_user", "--email", "x", "--organisation", "Nordfracht", "--role", "viewer"], 1, "x"),
    ],
)  # fmt: skip
def test_a_refusal_is_a_sentence_and_wrong_usage_another_code(
    berth: Berth, arguments: list[str], code: int, words: str
) -> None:
    said = berth.run(*arguments)

    assert (said.code, said.objects) == (code, [])
    assert words in said.words
    assert "Traceback" not in said.words


def test_an_imported_depot_can_be_opened_and_booked(berth: Berth, tmp_path: Path) -> None:
    name = f"T{datetime.now(UTC):%H%M%S%f}"
    operator = berth.run("add_organisation", "--name", f"Yard {name}").one
    assert operator["organisation"] == f"Yard {name}"
    file = tmp_path / "depots.json"
    charger = _charger(name)
    file.write_text(json.dumps({"depots": [_depot(name, [charger, _charger(f"{name}-B", max_power_kw=-1)])]}))

    faulty = berth.run("import_depots", file)

    assert (faulty.code, faulty.objects) == (1, [])
    assert "max_power_kw" in faulty.words
    assert berth.run("show_charger", name).code == 1, "all of the file or nothing"

    file.write_text(json.dumps({"depots": [_depot(name, [charger])]}))
    assert berth.run("import_depots", file).code == 0
    assert berth.run("import_depots", file).code == 0, "a second time it is an update"
    slot = Slot.between(DAY, DAY + timedelta(minutes=60))
    words = (
        "book",
        "--vehicle",
        "HH-NF 100",
        "--option",
        f"{name}-1",
        "--start",
        slot.start,
        "--end",
        slot.end,
    )
    assert berth.run(*words).code == 1, "not open to this fleet yet"
    assert berth.run("open_depot", f"Y-{name}", "--to", "all").code == 0
    booked = berth.run(*words).one

    [closed] = berth.run(
        "close_evse", f"{name}-1", "--start", slot.start, "--end", slot.end, "--reason", "Roadworks"
    ).objects
    assert closed["evse"] == f"{name}-1"
    assert [each["id"] for each in closed["bookings"]] == [booked["id"]]
    assert berth.booking(booked)["status"] == "cancelled"


def test_a_new_person_gets_a_link_that_works_once(berth: Berth) -> None:
    mail = f"new-{datetime.now(UTC):%H%M%S%f}@nordfracht.example"
    said = berth.run("add_user", "--email", mail, "--organisation", "Nordfracht", "--role", "viewer").one
    [link] = [value for value in said.values() if str(value).startswith("http")]

    assert link.startswith(berth.url)
    with httpx.Client(follow_redirects=True, trust_env=False, timeout=30) as browser:
        page = browser.get(link)
    assert page.status_code == 200
    assert 'type="password"' in page.text


def _depot(name: str, chargers: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"Y-{name}", "operator": f"Yard {name}", "name": "Yard", "address": "Road 1", "city": "Kassel",
        "postal_code": "34117", "country": "DEU", "latitude": 51.31, "longitude": 9.49, "time_zone": "Europe/Berlin",
        "chargers": chargers,
    }  # fmt: skip


def _charger(identity: str, **evse: Any) -> dict[str, Any]:
    plug = {
        "uid": f"{identity}-1", "number": 1, "max_power_kw": 300, "connector_standard": "IEC_62196_T2_COMBO",
        "format": "CABLE", "vehicle_types": ["SEMI_TRACTOR", "RIGID"], "max_vehicle_length_cm": 2000,
        "max_vehicle_height_cm": 450, "max_vehicle_width_cm": 300, "max_vehicle_weight_kg": 44000, **evse,
    }  # fmt: skip
    return {"identity": identity, "protocol": "ocpp1.6", "password": "secret-of-this-one", "evses": [plug]}
