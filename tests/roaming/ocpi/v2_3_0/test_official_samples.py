"""The official example files of OCPI, read in place: they lie beside the checkout and are never part of it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from conformance.specification import faults
from roaming.ocpi.client_owned import read_patch
from roaming.ocpi.v2_3_0.bookings.reading import (
    BOOKING,
    BOOKING_LOCATION,
    CALENDAR,
    read_booking,
    read_booking_location,
)
from roaming.ocpi.v2_3_0.bookings.schemas import BookingOption
from roaming.ocpi.v2_3_0.credentials.reading import read_credentials, read_version_details
from roaming.ocpi.v2_3_0.locations.reading import read_location
from roaming.ocpi.versions import read_versions
from tests.roaming.partners import Caller, code, make_partner
from tests.roaming.pushed_objects import BASE

SAMPLES = Path(os.environ.get("OCPI_EXAMPLES") or Path(settings.BASE_DIR).parent / "shared/ocpi-examples")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not SAMPLES.exists(), reason=f"the official examples are not at {SAMPLES} (OCPI_EXAMPLES)"
    ),
]
# What of each version is a whole object of which kind, and the only files that break the specification.
KINDS = {
    "location_example": "Location", "tariff_": "Tariff", "cdr_": "CDR", "session_example": "Session",
    "token_example": "Token", "credentials": "Credentials",
}  # fmt: skip
BROKEN = {"2.3.0/cdr_example", "2.3.0/tariff_put_example", "2.2.1/tariff_put_example"}


def sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text())


def whole_objects() -> list[tuple[str, str, str]]:
    """Version, name and kind."""
    return [
        (version, path.stem, kind)
        for version in ("2.3.0", "2.2.1")
        for path in sorted((SAMPLES / version).glob("*.json"))
        for start, kind in KINDS.items()
        if path.stem.startswith(start) and "patch" not in path.stem
    ]


@pytest.mark.parametrize(("version", "name", "kind"), whole_objects())
def test_the_tables_know_every_official_object(version: str, name: str, kind: str) -> None:
    found = faults(kind, sample(f"{version}/{name}.json"), version, exact=True)

    assert bool(found) is (f"{version}/{name}" in BROKEN), found


def test_the_official_booking_is_read_with_what_it_does_otherwise() -> None:
    """Checklist 68."""
    read = read_booking(sample("booking_example.json"))

    assert read.value.party_id == "INF12"
    assert read.value.booking_option == BookingOption(evse_uid="3256", parking_id="22314")
    assert read.value.period.max_power == 12_000
    assert [r.request_status for r in read.value.booking_requests] == ["ACCEPTED", "PENDING"]
    assert read.deviations == ("timeslot.power_in_kw", "id.too_long")


def test_the_official_booking_location_is_read_with_what_it_does_otherwise() -> None:
    """Checklist 68."""
    read = read_booking_location(sample("booking_location_example.json"))

    assert read.value.booking_option is not None
    assert read.value.booking_option.evse_position == ["LEFT"]
    assert read.value.booking_option.connector_format == ["SOCKET"]
    (calendar,) = read.value.calendars
    assert calendar.end_before == datetime(2025, 3, 24, tzinfo=UTC)
    assert [s.end_date_time.hour for s in calendar.available_timeslots] == [9, 13]
    assert {s.max_power for s in calendar.available_timeslots} == {12_000}
    assert set(read.deviations) == {
        "booking_option.evse_position.single", "booking_option.formats", "calendar.id_twice", "timeslot.power_in_kw",
        "time.over_59", "timeslot.end_one_second_short",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name", "expected", "deviations"),
    [
        ("booking", "booking_patch_example_status_update.json", {"reservation_status": "RESERVED"}, set()),
        (
            "booking", "booking_patch_example_evse_uid.json",
            {"booking_option": {"evse_uid": "EVS1234"}}, {"booking.evse_uid"},
        ),
        (
            "booking_location", "booking_location_patch_example_terms.json",
            {"booking_terms": {
                "rfid_auth_required": True, "token_groups_supported": False, "remote_auth_supported": True,
                "late_stop_allowed": False, "overlapping_bookings_allowed": True,
                "booking_terms": "https://example.com/booking-a-charger",
            }},
            set(),
        ),
        (
            "calendar", "booking_location_patch_example_calendar.json",
            {"timeslot_increment": 1, "available_timeslots": [
                {"start_date_time": "2025-03-23T00:00:00Z", "end_date_time": "2025-03-23T08:59:99Z",
                 "min_power": 12, "max_power": 12, "green_energy_support": False}
            ]},
            {"key.blank"},
        ),
        (
            "booking", "booking_request_patch_example_timeslot.json",
            {"period": {
                "start_date_time": "2025-03-23T00:00:00Z", "end_date_time": "2025-03-23T08:59:99Z",
                "min_power": 12, "max_power": 12, "green_energy_support": False,
            }},
            {"booking.timeslot", "key.blank", "timeslot.green_power_support"},
        ),
        (
            "booking", "booking_request_patch_example_tokens.json",
            {"booking_tokens": [
                {"country_code": "NL", "party_id": "INF", "uid": "assaD12w3d", "type": "RFID", "contract_id": "CO124"}
            ]},
            {"booking.tokens"},
        ),
    ],
)  # fmt: skip
def test_official_patches_come_out_under_the_names_of_1_1(
    kind: str, name: str, expected: dict[str, Any], deviations: set[str]
) -> None:
    """Checklist 68."""
    shape = {"booking": BOOKING, "booking_location": BOOKING_LOCATION, "calendar": CALENDAR}[kind]

    read = read_patch(shape, sample(name))

    assert {k: v for k, v in read.value.items() if k != "last_updated"} == expected
    assert set(read.deviations) == deviations


@pytest.mark.parametrize(
    "path", sorted((SAMPLES / "2.3.0").glob("location_example*.json")), ids=lambda p: p.stem
)
def test_official_locations_are_read(path: Path) -> None:
    raw = json.loads(path.read_text())

    read = read_location(raw)

    assert read.deviations == ()
    assert [e.uid for e in read.value.evses] == [e["uid"] for e in raw.get("evses", [])]


@pytest.mark.parametrize("number", ["", "2", "3", "4"])
def test_official_credentials_are_read(number: str) -> None:
    raw = sample(f"2.3.0/credentials_example{number}.json")

    assert read_credentials(raw).value.token == raw["token"]


def test_official_versions_and_details_are_read() -> None:
    assert [v.version for v in read_versions(sample("2.3.0/versions_info_example.json")).value] == [
        "2.1.1",
        "2.2.1",
    ]
    details = read_version_details(sample("2.3.0/version_details_example2.json")).value
    assert [e.role for e in details.endpoints] == ["RECEIVER", "SENDER", "RECEIVER", "RECEIVER", "SENDER"]


@pytest.mark.django_db
def test_all_official_samples_are_understood() -> None:
    """Checklist 68: They violate the specification in many ways; each is told in the partner's deviations."""
    roles = [
        {"role": "CPO", "country_code": "NL", "party_id": party, "name": "N"} for party in ("IHO", "INF12")
    ]
    partner = make_partner("IHO", country_code="NL", roles=roles)
    caller = Caller(partner)
    offer_path, booking_path = f"{BASE}/NL/IHO/booking_locations/12345", f"{BASE}/NL/INF12/12345"
    for method, where, name in (
        ("PUT", offer_path, "booking_location_example"),
        ("PATCH", f"{offer_path}/CA112", "booking_location_patch_example_calendar"),
        ("PATCH", offer_path, "booking_location_patch_example_terms"),
        ("PUT", booking_path, "booking_example"),
        ("PATCH", booking_path, "booking_patch_example_evse_uid"),
        ("PATCH", booking_path, "booking_patch_example_status_update"),
        ("PATCH", booking_path, "booking_request_patch_example_timeslot"),
        ("PATCH", booking_path, "booking_request_patch_example_tokens"),
    ):
        body = sample(f"{name}.json")
        answer = caller.send(method, where, body)
        assert code(answer)[1] == 1000, (name, answer.json())
    assert partner.deviations
