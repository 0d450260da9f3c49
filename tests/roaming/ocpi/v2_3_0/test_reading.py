"""What partners send: Bookings 1.0, odd spellings; each deviation has a name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from conformance.cpo_objects import CpoObjects
from roaming.ocpi.times import read_time, time_out
from roaming.ocpi.v2_3_0.bookings.reading import (
    read_booking,
    read_booking_location,
    read_booking_request,
    read_calendar,
)
from roaming.ocpi.v2_3_0.bookings.schemas import (
    BookingLocation,
    BookingRequest,
    Calendar,
    Period,
)
from roaming.ocpi.v2_3_0.credentials.reading import read_credentials
from roaming.ocpi.v2_3_0.locations.reading import read_connector, read_evse, read_location
from roaming.ocpi.wire_object import Notes, UnreadableError
from tests.roaming.ocpi.v2_3_0.bookings.deviating import base

TIME = datetime(2030, 1, 15, 8, 0, tzinfo=UTC)
OBJECTS = CpoObjects(("NL", "DEP"), TIME)
ROLE = {"role": "CPO", "country_code": "NL", "party_id": "DEP", "business_details": {"name": "Depot"}}


# Times


@pytest.mark.parametrize(
    ("text", "expected", "noted"),
    [
        ("2030-01-15T08:00:00Z", TIME, []),
        ("2030-01-15T08:00:00", TIME, []),
        ("2030-01-15T08:00:00.5Z", TIME.replace(microsecond=500_000), []),
        ("2030-01-15T08:00:00.123456789Z", TIME.replace(microsecond=123_456), []),
        ("2030-01-15T10:00:00+02:00", TIME, ["time.offset"]),
        ("2030-01-15T08:00:00+00:00", TIME, ["time.offset"]),
        ("2030-01-15T02:30:00-0530", TIME, ["time.offset"]),
        ("2030-01-15t08:00:00z", TIME, ["time.spelling"]),
        ("2030-01-15 08:00:00Z", TIME, ["time.spelling"]),
        ("2030-01-15T08:00Z", TIME, ["time.without_seconds"]),
        ("2030-01-14T24:00:00Z", TIME.replace(hour=0), []),
        ("2030-01-14T23:59:60Z", TIME.replace(hour=0), []),
        ("2030-01-15T00:59:60.5+01:00", TIME.replace(hour=0), ["time.offset"]),
    ],
)
def test_a_time_of_any_spelling_is_the_right_moment(text: str, expected: datetime, noted: list[str]) -> None:
    """Checklist 23."""
    notes = Notes()

    assert read_time(text, notes) == expected
    assert list(notes.names) == noted


@pytest.mark.parametrize(
    "text",
    ["", "now", "2030-02-30T00:00:00Z", "2030-01-15T25:00:00Z", "2030-01-15T24:01:00Z", "0001-01-01T00:00:00+14:00",
     "9999-12-31T23:59:59-14:00", "1969-12-31T23:59:59Z", "2030-01-15", "2030-01-15T23:59:99Z", "2030-01-15T23:60:00Z",
     "2030-01-15T08:00:60Z", "2030-01-15T23:59:60+01:00", "2030-01-15T08:00:00+05:75", "２０３０-01-15T08:00:00Z",
     None, 7, True, [], {}],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: Any) -> None:
    with pytest.raises(ValueError):
        read_time(text)


@given(st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1), timezones=st.timezones()))  # noqa: DTZ001
def test_a_time_goes_out_in_utc_and_whole_seconds_and_comes_back(moment: datetime) -> None:
    """Checklist 23, 62."""
    text = time_out(moment)

    assert len(text) == 20
    assert text.endswith("Z")
    assert read_time(text) == moment.astimezone(UTC).replace(microsecond=0)


@given(st.text(max_size=40) | st.integers() | st.floats() | st.none())
def test_no_text_at_all_breaks_the_reader_of_times(value: Any) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(read_time(value), datetime)


# Bookings 1.0, and old habits


def test_a_1_0_booking_location_means_the_same_as_a_1_1() -> None:
    """Checklist 67."""
    modern = {
        "country_code": "NL", "party_id": "DEP", "id": "B1", "location_id": "L1", "tariff_ids": ["T1"],
        "booking_option": {"evse_uid": "E1", "connector_format": ["CABLE"], "vehicle_types": ["BUS"],
                           "min_parking_space_length": 1800},
        "policy": {"reservation_required": True},
        "booking_terms": {"rfid_auth_required": True, "supported_access_methods": ["TOKEN"],
                          "change_until_minutes": 60, "cancel_until_minutes": 30},
        "calendars": [{
            "id": "C1", "begin_from": "2030-01-15T00:00:00Z", "end_before": "2030-01-16T00:00:00Z",
            "timeslot_increment": 15,
            "available_timeslots": [{"start_date_time": "2030-01-15T00:00:00Z", "end_date_time": "2030-01-15T08:00:00Z",
                                     "max_power": 350000, "green_energy_support": True}],
            "last_updated": "2030-01-15T08:00:00Z",
        }],
        "last_updated": "2030-01-15T08:00:00Z",
    }  # fmt: skip
    old = {
        "country_code": "NL", "party_id": "DEP", "id": "B1", "location_id": "L1", "tariff_id": "T1", "evse_uid": "E1",
        "connector_id": "#NA",
        "bookable_parking_options": [{"format": "CABLE", "vehicle_types": "BUS", "parking_space_length": 1800,
                                      "restricted_to_type": True}],
        "bookable": {"reservation_required": True},
        "booking_terms": [{"RFID_auth_required": True, "supported_access_methods": ["TOKEN"],
                           "change_until_minutes": 60, "cancel_until_minutes": 30}],
        "calenders": [{
            "id": "C1", "begin_from": "2030-01-15T00:00:00Z", "end_before": "2030-01-15T23:59:59Z", "step_size": 15,
            "available_timeslots": [{"start_from": "2030-01-15T00:00:00Z", "end_before": "2030-01-15T08:00:00Z",
                                     "max_power": 350, "green_power_support": True}],
            "last_updated": "2030-01-15T08:00:00Z",
        }],
        "last_update": "2030-01-15T08:00:00Z",
    }  # fmt: skip

    new, from_old = read_booking_location(modern), read_booking_location(old)

    assert new.deviations == ()
    assert from_old.value.booking_option == new.value.booking_option
    assert from_old.value == new.value
    assert len(from_old.deviations) > 8


def test_a_1_0_request_means_the_same_as_a_1_1() -> None:
    """Checklist 67."""
    modern = {
        "country_code": "SE", "party_id": "FLT", "request_id": "R1", "location_id": "L1",
        "booking_option": {"evse_uid": "E1", "drive_through": True},
        "tokens": [{"country_code": "SE", "party_id": "FLT", "uid": "04A1", "type": "RFID", "contract_id": "C1"}],
        "access_information": [{"method": "LICENSE_PLATE", "value": "ABC12D"}],
        "period": {"start_date_time": "2030-01-15T10:00:00Z", "end_date_time": "2030-01-15T11:00:00Z"},
        "authorization_reference": "A1", "power_required": 350,
    }  # fmt: skip
    old = {
        "country_code": "SE", "party_id": "FLT", "request_id": "R1", "location_id": "L1", "evse_uid": "E1",
        "bookable_parking_option": {"drive_through": "true"},
        "booking_tokens": [
            {"country_code": "SE", "party_id": "FLT", "uid": "04A1", "type": "rfid", "contract_id": "C1"},
            {"country_code": "SE", "party_id": "FLT", "uid": "ABC12D", "type": "LICENSE_PLATE", "contract_id": "C1"},
        ],
        "timeslot": {"start_from": "2030-01-15T10:00:00Z", "end_from": "2030-01-15T11:00:00Z", "max_power": 350000},
        "authorization_reference": "A1",
    }  # fmt: skip

    assert read_booking_request(old).value == read_booking_request(modern).value


@pytest.mark.parametrize(
    ("power", "unit", "kw"),
    [
        (350_000, "auto", 350), (350, "auto", 350), ("350", "auto", 350), (4_000, "W", 4), (4_000, "kW", 4_000),
        (6_000, "kW", 6_000), (150_500, "W", 151), (0, "W", None), ("much", "W", None),
    ],
)  # fmt: skip
def test_power_in_a_requests_period_is_of_the_partners_unit(power: Any, unit: str, kw: int | None) -> None:
    asked = base("booking_request")
    asked.pop("power_required", None)
    asked["period"]["max_power"] = power

    read = read_booking_request(asked, power_unit=unit)

    assert read.value.power_required == kw
    assert "booking_request.period_with_power" in read.deviations


@pytest.mark.parametrize(
    ("spelling", "status"),
    [("CANCELLED", "CANCELED"), ("FULLFILLED", "FULFILLED"), ("noshow", "NO_SHOW"), ("no-show", "NO_SHOW"),
     ("CONFIRMED", "UNKNOWN")],
)  # fmt: skip
def test_other_spellings_of_a_status_are_understood(spelling: str, status: str) -> None:
    """Checklist 71."""
    raw = base("booking")
    del raw["reservation_status"]

    read = read_booking({**raw, "status": spelling})

    assert read.value.reservation_status == status
    assert "booking.status" in read.deviations


def test_powers_are_put_in_order_and_zero_is_unknown() -> None:
    slot = {"start_date_time": "2030-01-15T10:00:00Z", "end_date_time": "2030-01-15T11:00:00Z"}
    calendar = {
        "id": "C", "begin_from": "2030-01-15T00:00:00Z", "end_before": "2030-01-16T00:00:00Z",
        "available_timeslots": [
            {**slot, "min_power": 400000, "max_power": 300000}, {**slot, "min_power": 0, "max_power": "350000"}
        ],
        "last_updated": "2030-01-15T08:00:00Z",
    }  # fmt: skip

    read = read_calendar(calendar)

    assert [(s.min_power, s.max_power) for s in read.value.available_timeslots] == [
        (300000, 400000),
        (None, 350000),
    ]
    assert "timeslot.powers_swapped" in read.deviations


def test_a_plug_that_cannot_be_read_does_not_hide_the_rest() -> None:
    raw = OBJECTS.location()
    raw["evses"][0]["connectors"].append({"id": "2"})
    raw["evses"].append({"uid": "BAD"})

    read = read_location(raw)

    assert [len(e.connectors) for e in read.value.evses] == [1, 1]
    assert "connector.unreadable" in read.deviations
    assert "evse.unreadable" in read.deviations


def test_what_we_send_obeys_the_letter() -> None:
    with pytest.raises(ValidationError):
        Calendar(id="C", begin_from=TIME, end_before=TIME, available_timeslots=[], last_updated=TIME)
    with pytest.raises(ValidationError):
        BookingLocation(country_code="NL", party_id="DEPOT", id="B", location_id="L", last_updated=TIME)
    with pytest.raises(ValidationError):
        Period(start_date_time=TIME.replace(tzinfo=None), end_date_time=TIME)
    with pytest.raises(ValidationError):
        BookingRequest(
            country_code="SE", party_id="FLT", request_id="R", location_id="L", authorization_reference="A"
        )


READERS = {
    "booking": read_booking,
    "booking_location": read_booking_location,
    "calendar": read_calendar,
    "booking_request": read_booking_request,
    "location": read_location,
    "evse": read_evse,
    "connector": read_connector,
    "credentials": read_credentials,
}
BODIES: dict[str, Callable[[], Any]] = {
    **{kind: partial(base, kind) for kind in ("booking", "booking_location", "calendar", "booking_request")},
    "location": OBJECTS.location,
    "evse": lambda: OBJECTS.location()["evses"][0],
    "connector": lambda: OBJECTS.location()["evses"][0]["connectors"][0],
    "credentials": lambda: {
        "token": "t",
        "url": "https://p.example/ocpi/versions",
        "roles": [deepcopy(ROLE)],
    },
}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("kind", sorted(READERS))
@given(data=st.data())
def test_a_field_of_any_shape_is_read_or_refused_by_name(kind: str, data: st.DataObject) -> None:
    body = BODIES[kind]()
    target, key = _somewhere(data, body)
    target[key] = data.draw(JSON)

    with contextlib.suppress(UnreadableError):
        READERS[kind](body).value.wire()


def _somewhere(data: st.DataObject, body: Any) -> tuple[Any, Any]:
    """A place in a body: an object or list, and a key or index of it."""
    target, key = body, data.draw(st.sampled_from(sorted(body)))
    while isinstance(target[key], dict | list) and target[key] and data.draw(st.booleans()):
        target = target[key]
        keys = sorted(target) if isinstance(target, dict) else list(range(len(target)))
        key = data.draw(st.sampled_from(keys))
    return target, key
