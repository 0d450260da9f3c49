from __future__ import annotations

import copy
import csv
import io
import json
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bookings.core import calendars
from bookings.imports.depots import import_depots
from bookings.models import BookingOption, Tariff, TermsOverride
from bookings.operations import close_evse
from bookings.rules import configuration
from bookings.rules.fit import Needs
from bookings.rules.tariff_bindings import Tariffs
from bookings.search.bookable import terms_for
from depots.imports.documents import FileRefusedError
from depots.models import Agreement, Charger, Depot, Evse
from depots.ocpp.credentials import find_known
from depots.operations.charger_passwords import promote_password, rotate_charger_password
from depots.operations.security_raise import take_shown_profile
from depots.secrets import charger_password_matches
from tests.config.commands import refusal, run, warnings
from tests.factories import (
    DISPATCHER,
    NOW,
    at,
    book_slot,
    change_slot,
    make_fleet,
    make_operator,
    make_organisation,
    make_vehicle,
    option_of,
    slot,
)
from tests.money_factories import make_bound, per_kwh

pytestmark = pytest.mark.django_db

EVSE: dict[str, Any] = {
    "uid": "CP-1-1", "number": 1, "max_power_kw": 400, "connector_standard": "IEC_62196_T2_COMBO", "format": "CABLE",
    "vehicle_types": ["SEMI_TRACTOR"], "drive_through": True, "dangerous_goods_allowed": False,
    "refrigeration_outlet": True, "max_vehicle_length_cm": 1800, "max_vehicle_height_cm": 450,
    "max_vehicle_width_cm": 300, "max_vehicle_weight_kg": 44000, "terms": {},
}  # fmt: skip
DEPOT: dict[str, Any] = {
    "id": "NF-HAM", "operator": "Nordfracht", "name": "Hamburg Altenwerder", "address": "Am Kai 1", "city": "Hamburg",
    "postal_code": "21129", "country": "DEU", "latitude": 53.5046, "longitude": 9.9276, "time_zone": "Europe/Berlin",
    "grid_limit_kw": 2000, "opening_hours": [{"weekday": day, "from": "00:00", "to": "24:00"} for day in range(1, 8)],
    "terms": {
        "approval": False, "arm_lead_min": 15, "slot_step_min": 15, "early_start_min": 15, "late_stop_min": 0,
        "turnaround_min": 5, "no_show_min": 15, "change_until_min": 60, "cancel_until_min": 30,
        "min_duration_min": 30, "max_duration_min": 240, "lead_min": 0, "horizon_days": 14,
    },
    "chargers": [
        {
            "identity": "CP-1", "protocol": "ocpp1.6", "password": "long-enough-secret", "cabinet": "A",
            "cabinet_limit_kw": 600, "evses": [EVSE, {**EVSE, "uid": "CP-1-2", "number": 2}],
        }
    ],
}  # fmt: skip


@pytest.fixture(autouse=True)
def operator() -> Any:
    return make_operator("Nordfracht", country_code="DE", cpo_party_id="NFR", emsp_party_id="NFE")


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(content: Any, name: str = "depots.json") -> Path:
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        else:
            path.write_text(json.dumps({"depots": content}, indent=1), encoding="utf-8")
        return path

    return write


def depot(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(DEPOT), **changes}


def with_evse(**changes: Any) -> dict[str, Any]:
    changed = depot()
    changed["chargers"][0]["evses"][0].update(changes)
    return changed


def with_charger(**changes: Any) -> dict[str, Any]:
    changed = depot()
    changed["chargers"][0].update(changes)
    return changed


def held(option: BookingOption) -> Tariffs:
    """The tariffs that hold for a guest."""
    there = configuration.current(option.depot_id)
    return there.tariffs_for(option.pk, None, make_fleet().pk, at=NOW)


def load(path: Path) -> Any:
    """Import with the tests' clock."""
    return import_depots(path, now=NOW)


def book(uid: str = "CP-1-1", hours: tuple[int, int] = (10, 11), **fields: Any) -> Any:
    fleet = make_fleet()
    Agreement.objects.create(depot=Depot.objects.get(), guest=fleet, starts_at=NOW - timedelta(days=1))
    option = option_of(Evse.objects.get(uid=uid))
    vehicle = make_vehicle(fleet, max_power_w=400_000)
    return book_slot(
        fleet=fleet, option=option, period=slot(*hours), vehicle=vehicle, actor=DISPATCHER, now=NOW, **fields
    )


def test_the_documented_file_makes_a_depot_with_its_chargers_evses_and_options(file):
    printed = run("import_depots", file([DEPOT]))

    assert printed == [
        {
            "depot": "NF-HAM", "outcome": "created", "chargers": 1, "evses": 2, "options": ["CP-1-1", "CP-1-2"],
            "withdrawn": [],
        }
    ]  # fmt: skip
    made, evse = Depot.objects.get(), Evse.objects.get(uid="CP-1-1")
    assert (made.time_zone, made.grid_limit_w, made.opening_hours.count()) == ("Europe/Berlin", 2_000_000, 7)
    assert made.opening_hours.first().to_minute == 1440
    assert (evse.max_power_w, evse.charger.cabinet_limit_w, evse.number) == (400_000, 600_000, 1)
    connector = evse.connectors.get()
    assert (connector.standard, connector.power_type, connector.max_power_w) == (
        "IEC_62196_T2_COMBO",
        "DC",
        400_000,
    )
    option = option_of(evse)
    assert list(option.evses.all()) == [evse]
    assert terms_for(option, make_fleet(), now=NOW).turnaround_min == 5


def test_a_file_describes_the_place_and_its_bays_for_people_who_come_there(file):
    described = with_evse(
        evse_id="DE*NFR*E1", floor_level="0", physical_reference="A 3", parking_restrictions=["EV_ONLY"],
        bay_position="LEFT", bay_direction="ANGLE", bay_length_cm=1900, bay_width_cm=400, is_roofed=True, is_lit=True,
    ) | {
        "state": "Hamburg", "help_phone": "+49 40 1", "directions": [{"language": "de", "text": "Tor 3"}],
        "facilities": ["CAFE"], "images": [{"url": "https://p.example/1.jpg", "type": "jpg"}],
        "energy_mix": {"is_green_energy": True, "energy_sources": [{"source": "WIND", "percentage": 100}]},
    }  # fmt: skip

    load(file([described]))

    place, evse = Depot.objects.get(), Evse.objects.get(uid="CP-1-1")
    assert (place.state, place.help_phone, place.facilities, place.is_green) == (
        "Hamburg",
        "+49 40 1",
        ["CAFE"],
        True,
    )
    assert place.images == [{"url": "https://p.example/1.jpg", "category": "LOCATION", "type": "jpg"}]
    assert place.directions == [{"language": "de", "text": "Tor 3"}]
    assert (evse.public_id, evse.floor_level, evse.physical_reference) == ("DE*NFR*E1", "0", "A 3")
    assert (evse.bay_position, evse.bay_direction, evse.bay_length_cm, evse.is_lit) == (
        "LEFT",
        "ANGLE",
        1900,
        True,
    )
    assert run("import_depots", file([described]))[0]["outcome"] == "unchanged"
    assert run("import_depots", file([DEPOT]))[0]["outcome"] == "updated"
    assert (Depot.objects.get().energy_mix, Evse.objects.get(uid="CP-1-1").bay_position) == (None, "")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"facilities": ["BEACH"]}, "facilities[0]"),
        ({"directions": [{"language": "German", "text": "x"}]}, "directions[0].language"),
        ({"images": [{"url": "ftp://p.example/1", "type": "jpg"}]}, "images[0].url"),
        ({"energy_mix": {"energy_sources": []}}, "energy_mix.is_green_energy"),
    ],
)
def test_a_faulty_description_is_named(file, change, words):
    with pytest.raises(FileRefusedError, match=re.escape(words)):
        load(file([depot(**change)]))

    assert not Depot.objects.exists()


def test_the_same_file_again_changes_nothing(file):
    run("import_depots", file([DEPOT]))
    before = Evse.objects.get(uid="CP-1-1").updated_at, Charger.objects.get().password_hash

    [again] = run("import_depots", file([DEPOT]))

    assert again["outcome"] == "unchanged"
    assert (Evse.objects.get(uid="CP-1-1").updated_at, Charger.objects.get().password_hash) == before


def test_a_changed_file_updates_what_changed(file):
    load(file([DEPOT]))
    version = BookingOption.objects.get(code="CP-1-1").calendar_version

    [updated] = run("import_depots", file([with_evse(max_power_kw=350)]))
    calendars.raise_marked(lambda: NOW)

    assert updated["outcome"] == "updated"
    assert Evse.objects.get(uid="CP-1-1").max_power_w == 350_000
    assert BookingOption.objects.get(code="CP-1-1").calendar_version > version


def test_ids_compare_without_regard_to_case(file):
    load(file([DEPOT]))
    lower = depot(id="nf-ham", operator="nordfracht")
    lower["chargers"][0]["identity"] = "cp-1"
    lower["chargers"][0]["evses"][0]["uid"] = "cp-1-1"

    load(file([lower]))

    assert (Depot.objects.count(), Charger.objects.count(), Evse.objects.count()) == (1, 1, 2)


def test_a_password_may_be_short_but_is_warned_about(file):
    path = file([with_charger(password="x")])

    assert "CP-1" in warnings("import_depots", path)[0]

    charger = Charger.objects.get()
    assert charger_password_matches("x", salt=charger.password_salt, hashed=charger.password_hash)


def test_a_file_older_than_a_rotation_does_not_bring_the_old_password_back(file):
    load(file([DEPOT]))
    charger = Charger.objects.get()
    rotate_charger_password(charger_id=charger.pk, now=NOW)
    charger.refresh_from_db()
    promote_password(charger_id=charger.pk, was_next=charger.next_password_hash, password=b"rotated", now=NOW)

    load(file([DEPOT]))

    charger.refresh_from_db()
    assert charger_password_matches("rotated", salt=charger.password_salt, hashed=charger.password_hash)
    load(file([with_charger(password="another-long-secret")]))
    load(file([DEPOT]))
    charger.refresh_from_db()
    assert charger_password_matches(
        "long-enough-secret", salt=charger.password_salt, hashed=charger.password_hash
    )


def test_a_charger_keeps_its_password_when_the_file_gives_none(file):
    load(file([DEPOT]))
    without = depot()
    del without["chargers"][0]["password"]

    assert warnings("import_depots", file([without])) == []

    charger = Charger.objects.get()
    assert charger_password_matches(
        "long-enough-secret", salt=charger.password_salt, hashed=charger.password_hash
    )


def test_options_replace_the_one_of_each_evse(file):
    pooled = depot(
        options=[{"id": "ROW-A", "evses": ["CP-1-1", "CP-1-2"], "terms": {"min_duration_min": 60}}]
    )

    [printed] = run("import_depots", file([pooled]))

    assert printed["options"] == ["ROW-A"]
    option = BookingOption.objects.get()
    assert {evse.uid for evse in option.evses.all()} == {"CP-1-1", "CP-1-2"}
    terms = terms_for(option, make_fleet(), now=NOW)
    assert (terms.min_duration_min, terms.turnaround_min) == (60, 5)


def test_options_that_a_file_no_longer_has_are_withdrawn_and_can_come_back(file):
    load(file([DEPOT]))
    load(file([depot(options=[{"id": "ROW-A", "evses": ["CP-1-1", "CP-1-2"]}])]))
    offered = BookingOption.objects.filter(is_withdrawn=False)
    assert [option.code for option in offered] == ["ROW-A"]

    load(file([DEPOT]))

    assert sorted(option.code for option in offered.all()) == ["CP-1-1", "CP-1-2"]


def test_an_evses_terms_and_tariff_are_those_of_its_own_option(file):
    load(
        file(
            [
                with_evse(
                    terms={"no_show_min": 2, "slot_step_min": 1},
                    tariff={"energy_per_kwh": 0.1, "vat_percent": 19},
                )
            ]
        )
    )

    option = option_of(Evse.objects.get(uid="CP-1-1"))
    terms = terms_for(option, make_fleet(), now=NOW)
    assert (terms.no_show_min, terms.slot_step_min, terms.early_start_min) == (2, 1, 15)
    prices = [
        c.price for one in held(option).contents for element in one.elements for c in element.components
    ]
    assert prices == [Decimal("0.1")]
    assert not TermsOverride.objects.filter(option__code="CP-1-2").exists()


def test_a_tariff_goes_when_the_file_no_longer_has_it(file):
    load(file([depot(tariff={"currency": "SEK", "booking_fee": 20.5})]))
    option = BookingOption.objects.get(code="CP-1-1")
    charging, booking = held(option)
    assert (charging.code, booking.code, booking.content.currency) == ("D-NF-HAM", "DB-NF-HAM", "SEK")
    assert booking.content.elements[0].components[0].price == Decimal("20.5")

    load(file([DEPOT]))

    assert held(option) == (None, None)
    assert Tariff.objects.count() == 2


NIGHT: dict[str, Any] = {
    "id": "NIGHT", "currency": "EUR", "tax_included": "NO",
    "elements": [{"price_components": [{"type": "ENERGY", "price": 0.32, "vat": 19, "step_size": 1}]}],
}  # fmt: skip
FEES: dict[str, Any] = {
    **NIGHT, "id": "FEES", "elements": [
        {"price_components": [{"type": "FLAT", "price": 5}], "restrictions": {"booking": "BOOKING"}},
    ],
}  # fmt: skip


def test_tariffs_hold_where_a_depot_file_names_their_ids(tmp_path):
    path = tmp_path / "depots.json"
    own = with_evse(tariff_ids=["NIGHT"])
    path.write_text(
        json.dumps({"tariffs": [NIGHT], "depots": [{**own, "tariffs": [FEES], "tariff_ids": ["fees"]}]})
    )

    load(path)
    [again] = load(path).depots

    there, option = configuration.current(Depot.objects.get().pk), BookingOption.objects.get(code="CP-1-1")
    evse = Evse.objects.get(uid="CP-1-1")
    found = there.tariffs_for(option.pk, evse.pk, make_fleet().pk, at=NOW)
    assert (found.charging.code, found.booking.code) == ("NIGHT", "FEES")
    assert (again.outcome, held(option).charging) == ("unchanged", None)


def test_tariffs_of_a_depot_file_may_say_themselves_where_they_hold_and_end_with_it(tmp_path):
    path = tmp_path / "depots.json"
    path.write_text(
        json.dumps({"tariffs": [{**NIGHT, "bind": {"depot": "NF-HAM"}}], "depots": [{**DEPOT, "tariffs": [
            {**FEES, "country_code": "DE", "party_id": "NFR", "bind": {"option": "CP-1-1"}}]}]})
    )  # fmt: skip
    load(path)
    option = BookingOption.objects.get(code="CP-1-1")
    assert [one.code for one in held(option)] == ["NIGHT", "FEES"]

    path.write_text(json.dumps({"depots": [DEPOT]}))
    load(path)

    assert held(option) == (None, None)


def test_what_a_page_bound_stays_when_a_depot_file_says_nothing_of_it(file):
    load(file([DEPOT]))
    make_bound(per_kwh("0.4"), depot=Depot.objects.get())

    load(file([DEPOT]))

    assert held(BookingOption.objects.get(code="CP-1-1")).charging is not None


PRICE_FAULTS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "an unknown id": ({}, {"tariff_ids": ["NIGHT", "DAY"]}, "depots[0].tariff_ids[1]: DAY is no tariff of Nordfracht"),
    "two of a kind": ({}, {"tariff": {}, "tariff_ids": ["NIGHT"]}, "has two charging tariffs at one time"),
    "two currencies": (
        {}, {"tariff": {"currency": "SEK"}, "tariffs": [FEES], "tariff_ids": ["FEES"]}, "both would hold for one booking",
    ),
    "no currency": ({}, {"tariff": {"currency": "EUX"}}, "depots[0].tariff.currency: EUX is no currency"),
    "below nothing": ({"currency": "XXX"}, {}, "tariffs[0].currency: XXX is no currency"),
    "somebody else's": (
        {"country_code": "NL", "party_id": "LPK"}, {}, "tariffs[0].party_id: NL*LPK runs no depot here",
    ),
    "bound to nothing": ({"bind": {"evse": "CP-9"}}, {}, "tariffs[0].bind[0]: CP-9 is no EVSE here"),
}  # fmt: skip


@pytest.mark.parametrize(("tariff", "row", "words"), PRICE_FAULTS.values(), ids=PRICE_FAULTS.keys())
def test_faulty_tariffs_of_a_depot_file_are_named_and_nothing_is_changed(tmp_path, tariff, row, words):
    path = tmp_path / "depots.json"
    path.write_text(json.dumps({"tariffs": [{**NIGHT, **tariff}], "depots": [{**DEPOT, **row}]}))

    with pytest.raises(FileRefusedError) as refused:
        load(path)

    assert words in str(refused.value)
    assert (Depot.objects.count(), Tariff.objects.count()) == (0, 0)


def test_a_depot_is_opened_to_everybody_and_to_organisations_by_name_or_party(file):
    make_fleet("Alpentrans", country_code="AT", emsp_party_id="ALP")
    make_organisation("Partner", country_code="FR", emsp_party_id="SIM", is_partner=True)

    load(file([depot(open_to=["all", "AT*ALP", "Partner"])]))
    load(file([depot(open_to=["alpentrans"])]))

    guests = {agreement.guest.name if agreement.guest else "all" for agreement in Agreement.objects.all()}
    assert guests == {"all", "Alpentrans", "Partner"}


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    (depot(colour="blue"), "depots[0].colour", "is not a field"),
    (depot(terms={"no_show": 3}), "terms.no_show", "is not a field"),
    (with_evse(colour="blue"), "evses[0].colour", "is not a field"),
    (depot(operator="Nobody"), "operator", "Nobody"),
    (depot(country="GER"), "country", "ISO 3166-1"),
    (depot(time_zone="Europe/Hamburg"), "time_zone", "IANA"),
    (depot(time_zone="../../etc/passwd"), "time_zone", "IANA"),
    (depot(latitude=90.1), "latitude", "90 or less"),
    (depot(longitude="9.9"), "longitude", "must be a number"),
    (depot(longitude=True), "longitude", "must be a number"),
    (depot(grid_limit_kw=0), "grid_limit_kw", "0.001 or more"),
    (depot(id="NF HAM"), "depots[0].id", "not allowed"),
    (depot(id="X" * 37), "depots[0].id", "36"),
    (depot(name=""), "name", "at least 1"),
    (depot(name="Ham\nburg"), "name", "cannot be shown"),
    (depot(name="Ham\0burg"), "name", "is no text"),
    (depot(name="Ham\ud800burg"), "name", "text"),
    (depot(city=7), "city", "must be text"),
    (depot(chargers={}), "chargers", "must be a list"),
    (depot(charging_when_closed="yes"), "charging_when_closed", "true or false"),
    (depot(opening_hours=[{"weekday": 0, "from": "00:00", "to": "24:00"}]), "opening_hours[0].weekday", "1 or more"),
    (depot(opening_hours=[{"weekday": 8, "from": "00:00", "to": "24:00"}]), "opening_hours[0].weekday", "7 or less"),
    (depot(opening_hours=[{"weekday": 1, "from": "6:00", "to": "24:00"}]), "opening_hours[0].from", "06:30"),
    (depot(opening_hours=[{"weekday": 1, "from": "06:00", "to": "24:01"}]), "opening_hours[0].to", "06:30"),
    (depot(opening_hours=[{"weekday": 1, "from": 360, "to": "24:00"}]), "opening_hours[0].from", "06:30"),
    (depot(opening_hours=[{"weekday": 1, "from": "22:00", "to": "06:00"}]), "opening_hours[0]", "end after it starts"),
    (
        depot(opening_hours=[{"weekday": 1, "from": "06:00", "to": "12:00"}, {"weekday": 1, "from": "11:00", "to": "13:00"}]),
        "opening_hours[1]", "overlaps",
    ),
    (depot(terms={"slot_step_min": 0}), "terms.slot_step_min", "1 or more"),
    (depot(terms={"max_duration_min": 100_000}), "terms.max_duration_min", "10080 or less"),
    (depot(terms={"walk_in": "friends"}), "terms.walk_in", "own, agreed, known, anybody"),
    (depot(terms={"lead_min": 43_200}), "terms.lead_min", "beyond horizon_days"),
    (depot(terms={"turnaround_min": -1}), "terms.turnaround_min", "0 or more"),
    (depot(terms={"turnaround_min": 1.5}), "terms.turnaround_min", "whole number"),
    (depot(terms={"approval": "maybe"}), "terms.approval", "true or false"),
    (depot(terms={"min_duration_min": 300}), "terms.max_duration_min", "240 is less than"),
    (depot(terms={"slot_step_min": 60, "min_duration_min": 70, "max_duration_min": 110}), "max_duration_min", "steps"),
    (with_evse(terms={"max_duration_min": 20}), "evses[0].terms.max_duration_min", "less than"),
    (with_charger(protocol="ocpp1.5"), "protocol", "ocpp1.6"),
    (with_charger(identity="CP:1"), "identity", "not allowed"),
    (with_charger(password=""), "password", "at least 1"),
    (with_charger(evses=[]), "evses", "at least 1"),
    (with_evse(connector_standard="CCS"), "connector_standard", "IEC_62196_T2_COMBO"),
    (with_evse(format="HOSE"), "format", "CABLE"),
    (with_evse(vehicle_types=["LORRY"]), "vehicle_types[0]", "SEMI_TRACTOR"),
    (with_evse(max_power_kw="400"), "max_power_kw", "must be a number"),
    (with_evse(max_power_kw=-1), "max_power_kw", "or more"),
    (with_evse(max_power_kw=1e12), "max_power_kw", "or less"),
    (with_evse(number=2), "number", "2 is there twice"),
    (with_evse(number=0), "number", "1 or more"),
    (with_evse(uid="cp-1-2"), "uid", "twice"),
    (with_evse(max_vehicle_length_cm=18.5), "max_vehicle_length_cm", "whole number"),
    (depot(options=[{"id": "A", "evses": ["NOPE"]}]), "options[0].evses[0]", "no EVSE"),
    (depot(options=[{"id": "A", "evses": []}]), "options[0].evses", "at least 1"),
    (depot(options=[{"id": "A", "evses": ["CP-1-1"]}, {"id": "a", "evses": ["CP-1-2"]}]), "options[1].id", "twice"),
    (depot(options=[{"id": "CP-1-1", "evses": ["CP-1-2"]}]), "options[0].id", "uid of an EVSE"),
    (with_evse(terms={"no_show_min": 5}) | {"options": [{"id": "A", "evses": ["CP-1-1"]}]}, "evses[0].terms", "no option"),
    (depot(tariff={"currency": "euro"}), "tariff.currency", "not allowed"),
    (depot(tariff={"energy_per_kwh": -0.1}), "tariff.energy_per_kwh", "0 or more"),
    (depot(open_to=["Nobody"]), "open_to[0]", "Nobody"),
]  # fmt: skip


@pytest.mark.parametrize(("faulty", "field", "words"), FAULTS, ids=[f"{f}: {w}" for _, f, w in FAULTS])
def test_a_faulty_value_is_named_by_line_and_field_and_nothing_is_imported(file, faulty, field, words):
    sentence = refusal("import_depots", file([depot(id="GOOD", chargers=[]), faulty]))

    lines = [line for line in sentence.splitlines() if field.replace("depots[0]", "depots[1]") in line]
    assert lines, sentence
    assert words in lines[0]
    assert lines[0].startswith("Line ")
    assert not Depot.objects.exists()


def test_the_line_named_is_the_line_of_the_value(file):
    text = json.dumps({"depots": [DEPOT]}, indent=1)
    lines = text.splitlines()
    wrong = next(n for n, line in enumerate(lines) if '"longitude"' in line)
    lines[wrong] = '  "longitude": 999,'

    sentence = refusal("import_depots", file("\n".join(lines)))

    assert sentence == f"Line {wrong + 1}, depots[0].longitude: must be 180 or less, not 999."


def test_every_fault_is_named_at_once(file):
    sentence = refusal("import_depots", file([depot(country="GER", latitude=100, time_zone="Here")]))

    assert len(sentence.splitlines()) == 3


def test_a_password_is_never_repeated(file):
    secret = "s3cr3t" * 50

    assert "s3cr3t" not in refusal("import_depots", file([with_charger(password=secret)]))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b" \n\t ", "empty"),
        (b"{", "Line 1 is not valid JSON"),
        (b'{"depots":\n [}', "Line 2"),
        (b'{"depots": []}', "at least 1 entry"),
        (b"[]", "object"),
        (b"null", "object"),
        (b'{"depots": [1]}', "depots[0]"),
        (b'{"depots": [], "depots": []}', "twice"),
        (b'{"depots": NaN}', "NaN"),
        (b"\xff\xfe{}", "UTF-8"),
        (b'{"depots":\n"\xe4"}', "Line 2 is not UTF-8"),
        (b'{"depots":\n\n\0}', "Line 3 contains a NUL"),
        (b"[" * 100_000, "nested"),
        (b'{"depots": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b" " * (20 * 1024 * 1024 + 1), "larger than 20 MB"),
    ],
    ids=range(16),
)
def test_a_file_that_makes_no_sense_is_refused(file, content, words):
    assert words in refusal("import_depots", file(content))


def test_a_file_that_is_not_there_or_of_another_kind_is_refused(tmp_path):
    assert "cannot be read" in refusal("import_depots", tmp_path / "none.json")
    (tmp_path / "folder.json").mkdir()
    assert "cannot be read" in refusal("import_depots", tmp_path / "folder.json")
    assert ".csv" in refusal("import_depots", tmp_path / "depots.xml")


def test_ids_of_other_depots_are_not_taken_over(file):
    load(file([DEPOT]))
    other = depot(id="NF-KAS")

    sentence = refusal("import_depots", file([other]))

    assert "CP-1 stands at depot NF-HAM" in sentence
    assert "CP-1-1 is taken at depot NF-HAM" in sentence


def test_a_depot_does_not_change_its_operator(file):
    load(file([DEPOT]))
    make_operator("Ladepark")

    assert "is run by Nordfracht" in refusal("import_depots", file([depot(operator="Ladepark")]))


def test_a_partner_network_brings_no_depots_by_file(file):
    make_organisation("Partner", country_code="FR", cpo_party_id="SIM", is_partner=True)

    assert "partner network" in refusal("import_depots", file([depot(operator="FR*SIM")]))


def test_an_evse_that_is_left_out_is_withdrawn_and_can_come_back(file):
    load(file([DEPOT]))
    fewer = with_charger(evses=[EVSE])

    [printed] = run("import_depots", file([fewer]))

    assert printed["withdrawn"] == ["CP-1-2"]
    gone = Evse.objects.get(uid="CP-1-2")
    assert gone.is_withdrawn
    assert gone.charger is None
    load(file([DEPOT]))
    gone.refresh_from_db()
    assert not gone.is_withdrawn
    assert gone.charger.identity == "CP-1"


def test_an_evse_with_a_booking_cannot_be_left_out(file):
    load(file([DEPOT]))
    booking = book("CP-1-2")

    with pytest.raises(FileRefusedError, match=rf"CP-1-2 cannot be withdrawn: booking {booking.reference}"):
        load(file([with_charger(evses=[EVSE], identity="CP-1")]))

    assert not Evse.objects.get(uid="CP-1-2").is_withdrawn


def test_the_closure_of_a_withdrawn_evse_goes_with_it(file):
    load(file([DEPOT]))
    evse = Evse.objects.get(uid="CP-1-2")
    closure = close_evse(evse=evse, period=slot(9, 12, day=1), actor=DISPATCHER, now=NOW)

    load(file([with_charger(evses=[EVSE])]))

    closure.refresh_from_db()
    assert closure.lifted_at == NOW
    assert not evse.occupancy.exists()


def test_a_charger_that_is_left_out_lets_nobody_in(file):
    load(file([DEPOT]))
    other = with_charger(identity="CP-9", evses=[{**EVSE, "uid": "CP-9-1"}])

    load(file([other]))

    assert Charger.objects.get(identity="CP-1").password_hash == ""
    # A client certificate needs no password.
    assert find_known("CP-1") is None
    assert find_known("CP-9") is not None
    load(file([DEPOT]))
    assert find_known("CP-1") is not None


def test_a_file_older_than_what_a_charger_was_raised_to_lowers_nothing(file):
    load(file([with_charger(security_profile=1)]))
    charger = Charger.objects.get()
    for profile in (2, 3):
        Charger.objects.update(next_security_profile=profile)
        take_shown_profile(charger_id=charger.pk, shown=profile, now=NOW)

    for older in (1, 2):
        load(file([with_charger(security_profile=older)]))
        assert Charger.objects.get().security_profile == 3
    load(file([with_charger(security_profile=3)]))
    load(file([with_charger(security_profile=2)]))
    assert Charger.objects.get().security_profile == 2


def test_a_security_profile_stays_unless_the_file_names_another(file):
    load(file([with_charger(security_profile=3)]))
    load(file([with_charger()]))
    assert Charger.objects.get().security_profile == 3

    load(file([with_charger(security_profile=0)]))
    load(file([with_charger(protocol="ocpp2.1")]))
    assert Charger.objects.get().security_profile == 1

    with pytest.raises(FileRefusedError, match="security_profile: 0, no password at all"):
        load(file([with_charger(security_profile=0, protocol="ocpp2.1")]))
    with pytest.raises(FileRefusedError, match="security_profile"):
        load(file([with_charger(security_profile=4)]))


def test_evses_may_swap_their_numbers(file):
    load(file([DEPOT]))
    swapped = with_charger(evses=[{**EVSE, "number": 2}, {**EVSE, "uid": "CP-1-2", "number": 1}])

    load(file([swapped]))

    assert dict(Evse.objects.values_list("uid", "number")) == {"CP-1-1": 2, "CP-1-2": 1}


def test_an_evse_with_a_booking_keeps_its_number(file):
    load(file([DEPOT]))
    book("CP-1-1")
    swapped = with_charger(evses=[{**EVSE, "number": 2}, {**EVSE, "uid": "CP-1-2", "number": 1}])

    with pytest.raises(FileRefusedError, match="CP-1-1 cannot change its charger or number"):
        load(file([swapped]))


def test_an_evse_keeps_the_power_it_has_promised(file):
    load(file([DEPOT]))
    booking = book("CP-1-1", power_w=400_000)

    with pytest.raises(
        FileRefusedError, match=f"350 is less than the 400 kW promised to booking {booking.reference}"
    ):
        load(file([with_evse(max_power_kw=350)]))

    assert Evse.objects.get(uid="CP-1-1").max_power_w == 400_000


def test_the_grid_keeps_what_is_promised_on_it(file):
    load(file([with_charger(cabinet="", cabinet_limit_kw=None)]))
    book("CP-1-1", power_w=400_000)
    book("CP-1-2", power_w=400_000)

    with pytest.raises(FileRefusedError, match="grid_limit_kw: 700 is less than the 800 kW promised"):
        load(file([with_charger(cabinet="", cabinet_limit_kw=None) | {"grid_limit_kw": 700}]))


def test_a_cabinet_keeps_what_is_promised_on_it(file):
    load(file([with_charger(cabinet_limit_kw=800)]))
    book("CP-1-1", power_w=400_000)
    book("CP-1-2", power_w=400_000)

    with pytest.raises(FileRefusedError, match="cabinet_limit_kw: 700 is less than the 800 kW promised"):
        load(file([with_charger(cabinet_limit_kw=700)]))


def test_a_bay_keeps_room_for_the_booked_vehicle(file):
    load(file([DEPOT]))
    booking = book("CP-1-1")

    with pytest.raises(FileRefusedError, match=f"the vehicle of booking {booking.reference} would not fit"):
        load(file([with_evse(connector_standard="MCS")]))


@pytest.mark.parametrize(
    "change",
    [
        {"max_vehicle_length_cm": 1500},
        {"max_vehicle_weight_kg": 30_000},
        {"drive_through": False},
        {"vehicle_types": ["BUS"]},
        {"connector_standard": "MCS"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_bay_keeps_room_for_a_partners_truck(file, change):
    """Of which only what was asked for is known; the plug is the one there was."""
    load(file([with_evse(drive_through=True)]))
    asked = Needs(
        vehicle_types=frozenset(["SEMI_TRACTOR"]), length_cm=1650, weight_kg=40_000, drive_through=True
    )
    partner = make_organisation("Roamers", country_code="AT", emsp_party_id="ROA", is_partner=True)
    Agreement.objects.create(depot=Depot.objects.get(), guest=partner, starts_at=NOW - timedelta(days=1))
    booking = book_slot(
        fleet=partner,
        option=option_of(Evse.objects.get(uid="CP-1-1")),
        period=slot(10, 11),
        needs=asked,
        actor=DISPATCHER,
        now=NOW,
    )

    with pytest.raises(FileRefusedError, match=f"the vehicle of booking {booking.reference} would not fit"):
        load(file([with_evse(**{"drive_through": True, **change})]))


def test_a_bay_keeps_room_for_a_truck_whose_change_waits(file):
    load(file([depot(terms={"approval": True}, options=[{"id": "POOL", "evses": ["CP-1-1", "CP-1-2"]}])]))
    fleet = make_fleet()
    Agreement.objects.create(depot=Depot.objects.get(), guest=fleet, starts_at=NOW - timedelta(days=1))
    pool = BookingOption.objects.get(code="POOL")
    small, large = [make_vehicle(fleet, length_cm=length) for length in (900, 1650)]
    elsewhere, here = Evse.objects.get(uid="CP-1-2"), Evse.objects.get(uid="CP-1-1")
    booking = book_slot(
        fleet=fleet,
        option=pool,
        period=slot(10, 11),
        vehicle=small,
        evse=elsewhere,
        actor=DISPATCHER,
        now=NOW,
    )
    change_slot(booking_id=booking.pk, vehicle=large, evse=here, actor=DISPATCHER, now=NOW)
    approving = {"terms": {"approval": True}, "options": [{"id": "POOL", "evses": ["CP-1-1", "CP-1-2"]}]}

    with pytest.raises(
        FileRefusedError, match=f"the vehicle of booking {booking.reference} would not fit CP-1-1"
    ):
        load(file([{**with_evse(max_vehicle_length_cm=1500), **approving}]))


def test_new_terms_hold_for_new_bookings_only(file):
    load(file([DEPOT]))
    booking = book("CP-1-1")

    load(file([depot(terms={**DEPOT["terms"], "cancel_until_min": 600})]))

    booking.refresh_from_db()
    assert booking.terms.cancel_until_min == 30
    assert terms_for(booking.option, booking.fleet, now=NOW).cancel_until_min == 600


def test_bookings_outside_new_opening_hours_stand_and_are_warned_about(file):
    load(file([DEPOT]))
    booking = book("CP-1-1")
    closed = depot(opening_hours=[{"weekday": 7, "from": "06:00", "to": "08:00"}], charging_when_closed=False)

    imported = load(file([closed]))

    assert booking.reference in imported.warnings[0]
    booking.refresh_from_db()
    assert booking.status == "confirmed"


def test_all_depots_of_a_file_or_none(file):
    load(file([DEPOT]))
    book("CP-1-1", power_w=400_000)

    with pytest.raises(FileRefusedError):
        load(file([depot(id="NF-NEW", chargers=[]), with_evse(max_power_kw=100)]))

    assert Depot.objects.count() == 1


# The CSV form

HEADER = "id,operator,name,country,latitude,longitude,time_zone,identity,uid,max_power_kw"
ROW = "NF-HAM,Nordfracht,Hamburg,DEU,53.5,9.9,Europe/Berlin"


def test_a_csv_has_an_evse_a_row(file):
    table = (
        f"{HEADER},protocol,vehicle_types,drive_through,grid_limit_kw,opening_hours,open_to,terms.no_show_min\n"
        f"{ROW},CP-1,CP-1-1,400,ocpp2.0.1,SEMI_TRACTOR;BUS,true,2000,1-5 06:00-22:00; 6 08:00-24:00,all,15\n"
        "NF-HAM,,,,,,,CP-1,CP-1-2,150.5,,,false,,,,15\n"
    )

    [printed] = run("import_depots", file(table, "depots.csv"))

    assert (printed["chargers"], printed["evses"]) == (1, 2)
    first, second = Evse.objects.order_by("uid")
    assert (first.vehicle_types, first.drive_through) == (["SEMI_TRACTOR", "BUS"], True)
    assert (second.max_power_w, second.number, second.charger.protocol) == (150_500, 2, "ocpp2.0.1")
    made = Depot.objects.get()
    assert (made.grid_limit_w, made.opening_hours.count()) == (2_000_000, 6)
    assert made.terms.no_show_min == 15
    assert made.agreements.get().guest is None


def test_the_csv_and_the_json_form_say_the_same(file):
    columns = [name for name, value in DEPOT.items() if not isinstance(value, (list, dict))]
    rows = []
    for evse in DEPOT["chargers"][0]["evses"]:
        row = {name: DEPOT[name] for name in columns} | {
            f"terms.{name}": value for name, value in DEPOT["terms"].items()
        }
        row |= {name: value for name, value in DEPOT["chargers"][0].items() if name != "evses"}
        row |= {name: value for name, value in evse.items() if name not in {"terms", "vehicle_types"}}
        rows.append(row | {"vehicle_types": "SEMI_TRACTOR", "opening_hours": "1-7 00:00-24:00"})
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    run("import_depots", file([DEPOT]))

    [printed] = run("import_depots", file(out.getvalue(), "depots.csv"))

    assert printed["outcome"] == "unchanged"


def test_terms_that_differ_between_the_rows_of_a_depot_are_each_evses_own(file):
    table = f"{HEADER},terms.no_show_min,terms.turnaround_min\n{ROW},CP-1,CP-1-1,400,15,7\n{ROW},CP-1,CP-1-2,400,2,7\n"

    load(file(table, "depots.csv"))

    depot_terms = Depot.objects.get().terms
    assert (depot_terms.no_show_min, depot_terms.turnaround_min) == (None, 7)
    assert BookingOption.objects.get(code="CP-1-2").terms.no_show_min == 2


def test_a_csv_may_be_separated_by_semicolons_and_begin_with_a_byte_order_mark(file):
    table = f"{HEADER}\n{ROW},CP-1,CP-1-1,400\n".replace(",", ";")

    [printed] = run("import_depots", file(b"\xef\xbb\xbf" + table.encode(), "depots.csv"))

    assert printed["evses"] == 1


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (f"{HEADER}\n", "no rows"),
        (f"{HEADER},colour\n{ROW},CP-1,CP-1-1,400,blue\n", "colour is not a column"),
        (f"{HEADER},uid\n{ROW},CP-1,CP-1-1,400,X\n", "uid is there twice"),
        (f"{HEADER},\n{ROW},CP-1,CP-1-1,400,blue\n", "Line 2 has 11 cells"),
        (f"{HEADER},,city\n{ROW},CP-1,CP-1-1,400,,Ulm\n", "without a name"),
        (f"{HEADER}\n{ROW},CP-1,CP-1-1\n", "Line 2 has 9 cells, the header has 10"),
        (f"{HEADER}\n{ROW},CP-1,CP-1-1,400,x\n", "Line 2 has 11 cells"),
        (
            f"{HEADER}\n{ROW},CP-1,CP-1-1,400\n{ROW},CP-1,CP-1-2,many\n",
            "Line 3, max_power_kw: must be a number",
        ),
        (f"{HEADER}\n{ROW},CP-1,CP-1-1,400\n{ROW},CP-1,CP-1-1,400\n", "Line 3, uid: CP-1-1 is there twice"),
        (f"{HEADER}\n{ROW},CP-1,,400\n", "Line 2, uid: is missing"),
        (f"{HEADER}\n{ROW.replace('Hamburg', '')},CP-1,CP-1-1,400\n", "Line 2, name: is missing"),
        (
            f"{HEADER}\n{ROW},CP-1,CP-1-1,400\n{ROW.replace('9.9', '9.8')},CP-1,CP-1-2,400\n",
            "Line 3, longitude: differs",
        ),
        (
            f"{HEADER},terms.no_show_min\n{ROW},CP-1,CP-1-1,400,soon\n",
            "Line 2, terms.no_show_min: must be a whole",
        ),
        (f"{HEADER},terms.colour\n{ROW},CP-1,CP-1-1,400,1\n", "terms.colour is not a column"),
        (f"{HEADER},opening_hours\n{ROW},CP-1,CP-1-1,400,always\n", "Line 2, opening_hours"),
        (f"{HEADER},opening_hours\n{ROW},CP-1,CP-1-1,400,[[[\n", "Line 2, opening_hours"),
        (f'{HEADER}\n{ROW},CP-1,"CP-1-1,400\n', "not valid CSV"),
        (f"{HEADER}\n\n\n{ROW},CP-1,CP-1-1,-4\n", "Line 4, max_power_kw"),
        (
            f'{HEADER},address\n{ROW},CP-1,CP-1-1,400,"two\nlines"\n{ROW},CP-1,CP-1-2,x,\n',
            "Line 4, max_power_kw",
        ),
    ],
    ids=range(19),
)
def test_a_faulty_row_is_named_by_line_and_field(file, table, words):
    assert words in refusal("import_depots", file(table, "depots.csv"))
    assert not Depot.objects.exists()


# Whatever stands in a file

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.just("\ud800")
    | st.just("\0"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
SOMEWHERE = st.sampled_from(
    [
        *[("depots", 0, name) for name in DEPOT],
        *[("depots", 0, "terms", name) for name in DEPOT["terms"]],
        *[("depots", 0, "chargers", 0, name) for name in DEPOT["chargers"][0]],
        *[("depots", 0, "chargers", 0, "evses", 0, name) for name in EVSE],
        *[("depots", 0, "opening_hours", 0, name) for name in ("weekday", "from", "to")],
        ("depots", 0, "options"), ("depots", 0, "tariff"), ("depots", 0, "open_to"), ("depots", 0), ("depots",),
    ]
)  # fmt: skip
FUZZED = settings(
    max_examples=150, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


def imported_or_refused(path: Path) -> None:
    """Nothing but a refusal in words may come out of it; the next example begins where this one did."""
    said = ["imported"]
    with transaction.atomic():
        try:
            load(path)
        except FileRefusedError as error:
            said = str(error).splitlines()
        transaction.set_rollback(True)
    assert all(said)


@FUZZED
@given(place=SOMEWHERE, value=ANYTHING)
def test_whatever_stands_in_a_json_file_it_is_imported_or_refused_in_a_sentence(tmp_path, place, value):
    document: Any = {"depots": [copy.deepcopy(DEPOT)]}
    holder = document
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = value
    path = tmp_path / "fuzzed.json"
    path.write_text(json.dumps(document, indent=1))

    imported_or_refused(path)


@FUZZED
@given(column=st.sampled_from(HEADER.split(",")), cell=st.text(max_size=40), raw=st.binary(max_size=12))
def test_whatever_stands_in_a_csv_file_it_is_imported_or_refused_in_a_sentence(tmp_path, column, cell, raw):
    values = dict(zip(HEADER.split(","), f"{ROW},CP-1,CP-1-1,400".split(","), strict=True)) | {column: cell}
    out = io.StringIO()
    csv.writer(out).writerows([HEADER.split(","), list(values.values())])
    path = tmp_path / "fuzzed.csv"
    path.write_bytes(out.getvalue().encode("utf-8", "surrogatepass") + raw)

    imported_or_refused(path)


def test_an_import_in_the_far_future_still_knows_its_bookings(file):
    load(file([DEPOT]))
    book("CP-1-2", hours=(20, 21))

    with pytest.raises(FileRefusedError):
        import_depots(file([with_charger(evses=[EVSE])]), now=at(8, day=3))
