"""The tables written from the specification: complete in themselves, and strict."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from conformance import specification
from conformance.cpo_objects import CpoObjects
from conformance.specification import faults
from conformance.specification.tables import PLAIN, SIZED, read_tables, schemas

NOON = datetime(2030, 1, 15, 12, tzinfo=UTC)
OFFER = CpoObjects(("DE", "CHK"), NOON).booking_location()
BOOKING = CpoObjects(("DE", "CHK"), NOON).unsolicited_booking(("SE", "FLT"))
LOCATION = CpoObjects(("DE", "CHK"), NOON).location()


def test_every_type_a_table_names_is_a_table_or_a_plain_type():
    known = {table.name for table in specification.tables()}

    assert len(known) == len(specification.tables()) > 80
    for table in specification.tables():
        for field in table.fields:
            assert field.type in known or field.type in PLAIN or SIZED.fullmatch(field.type), (
                table.name,
                field,
            )
            assert field.only in ("", *specification.VERSIONS), (table.name, field)


@pytest.mark.parametrize(
    ("name", "body"), [("BookingLocation", OFFER), ("Booking", BOOKING), ("Location", LOCATION)]
)
@pytest.mark.parametrize("version", specification.VERSIONS)
def test_an_object_that_is_right_has_no_faults(name: str, body: Any, version: str):
    assert faults(name, body, version, exact=True) == []


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("party_id", "CHK77", "longer than 3"),
        ("last_updated", "2030-01-15T12:00:00+00:00", "does not match"),
        ("last_updated", "2030-01-15T12:59:99Z", "does not match"),
        ("id", None, "not of type"),
        ("id", 7, "not of type"),
        ("booking_option.evse_position", "LEFT", "not of type"),
        ("booking_option.power_types", ["DC", "STEAM"], "not one of"),
        ("booking_terms.supported_access_methods", [], "less than 1 item"),
        ("booking_terms.booking_terms", "berth.example/terms", "does not match"),
        ("calendars.0.available_timeslots", [], "less than 1 item"),
        ("calendars.0.available_timeslots.0.max_power", "350000", "not of type"),
        ("calendars.0.available_timeslots.0.end_date_time ", "2030-01-16T12:00:00Z", "unexpected"),
    ],
)
def test_each_fault_is_named_with_its_path(path: str, value: Any, complaint: str):
    body = deepcopy(OFFER)
    *parents, last = path.split(".")
    part: Any = body
    for step in parents:
        part = part[int(step) if step.isdigit() else step]
    part[last] = value

    (fault,) = faults("BookingLocation", body, "2.3.0", exact=True)

    assert complaint in fault
    assert fault.startswith(".".join(parents) or last if complaint == "unexpected" else path)


def test_what_a_later_version_added_counts_only_where_it_was_agreed_on():
    newer = {**LOCATION, "help_phone": "+49 30 1"}

    assert faults("Location", newer, "2.3.0", exact=True) == []
    assert "help_phone" in faults("Location", newer, "2.2.1", exact=True)[0]
    assert faults("Location", newer, "2.2.1", exact=True, with_newer=True) == []


def test_an_enumeration_is_open_from_2_3_0_on():
    body = deepcopy(LOCATION)
    body["evses"][0]["connectors"][0]["standard"] = "FUSION"

    assert faults("Location", body, "2.3.0", exact=True) == []
    assert "evses.0.connectors.0.standard" in faults("Location", body, "2.2.1", exact=True)[0]


def test_a_patch_may_leave_out_anything_but_last_updated():
    assert faults("Booking", {"last_updated": "2030-01-15T12:00:00Z"}, "2.3.0", partial=True) == []
    assert "last_updated" in faults("Booking", {"reservation_status": "RESERVED"}, "2.3.0", partial=True)[0]
    assert faults("Booking", {"reservation_status": "RESERVED"}, "2.3.0") != []


@pytest.mark.parametrize(
    ("envelope", "is_right"),
    [
        ({"status_code": 1000, "timestamp": "2030-01-15T12:00:00Z", "data": []}, True),
        ({"status_code": 1000, "timestamp": "2030-01-15T12:00:00.123Z"}, True),
        ({"status_code": "1000", "timestamp": "2030-01-15T12:00:00Z"}, False),
        ({"status_code": 1000, "timestamp": "2030-01-15T12:00:00+00:00"}, False),
        ({"status_code": 1000}, False),
        ("ok", False),
        (None, False),
    ],
)
def test_the_frame_of_an_answer_is_judged_by_itself(envelope: Any, is_right: bool):
    assert bool(specification.envelope_faults(envelope)) is not is_right


@pytest.mark.parametrize(
    "text", ["  orphan string 1", "Token\n  uid CiString(36) many", "Token\n  uid CiString(36)"]
)
def test_a_line_that_is_no_line_of_a_table_is_refused(text: str):
    with pytest.raises(ValueError, match="not a line"):
        list(read_tables(text))


def test_a_field_that_differs_by_version_has_the_shape_of_its_version():
    of = {
        version: schemas(specification.tables(), version, with_newer=False, exact=True)["Tariff"]
        for version in specification.VERSIONS
    }

    assert of["2.2.1"]["properties"]["min_price"] == {"$ref": "#/$defs/Price"}
    assert of["2.3.0"]["properties"]["min_price"] == {"$ref": "#/$defs/PriceLimit"}
    assert set(of["2.3.0"]["required"]) - set(of["2.2.1"]["required"]) == {"tax_included"}
