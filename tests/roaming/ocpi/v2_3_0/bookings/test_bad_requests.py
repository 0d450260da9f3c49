"""Whatever is posted: an envelope, never a 5xx, and either a booking in the answer or nothing changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bookings.models import Booking, BookingRequest, Occupancy
from tests.factories import NOW, make_evse, option_of, slot
from tests.roaming.partners import BOOKINGS, Caller, booking_request, code, make_partner

pytestmark = pytest.mark.django_db
fuzzed = settings(
    derandomize=True,
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

TEXT = st.text(max_size=70) | st.sampled_from(
    ["", "#NA", "NL", "nl", "\x00", "🚚", "%s", "' OR 1=1", "x" * 5000, "2030-01-15T11:00:00Z"]
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.integers(-2, 3) | st.floats(allow_nan=False) | TEXT
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)
FIELDS = [
    "country_code", "party_id", "request_id", "location_id", "booking_location_id", "tokens", "period", "canceled",
    "authorization_reference", "power_required", "booking_option", "access_information", "evse_uid", "timeslot",
    "status",
]  # fmt: skip
INNER = {
    "period": ["start_date_time", "end_date_time", "max_power"],
    "booking_option": ["evse_uid", "vehicle_types", "connector_types", "max_vehicle_length", "drive_through"],
    "canceled": ["cancellation_reason", "who_canceled"],
}


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def caller() -> Caller:
    return Caller(make_partner())


def footprint() -> tuple[int, int, int]:
    return Booking.objects.count(), BookingRequest.objects.count(), Occupancy.objects.count()


def check(caller: Caller, body: Any) -> None:
    before = footprint()

    answer = caller.post(BOOKINGS, body)

    http, status = code(answer)
    assert (http, status) in {(200, 1000), (201, 1000), (200, 2001), (200, 2002), (200, 2003), (400, 2001)}
    if status != 1000:
        assert footprint() == before
        assert answer.json()["status_message"]


@given(data=st.data())
@fuzzed
def test_a_request_with_fields_of_any_kind(caller: Caller, data: st.DataObject) -> None:
    evse = make_evse()
    body: dict[str, Any] = booking_request(caller.party, option_of(evse), slot(11, 12))
    for name in data.draw(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=3, unique=True)):
        if name in INNER and data.draw(st.booleans()):
            part = dict(body.get(name) or {})
            part[data.draw(st.sampled_from(INNER[name]))] = data.draw(VALUES)
            body[name] = part
        else:
            body[name] = data.draw(VALUES)

    check(caller, json.dumps(body).encode())


@given(body=st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
@fuzzed
def test_a_body_of_any_kind(caller: Caller, body: bytes) -> None:
    check(caller, body)


@given(data=st.data())
@fuzzed
def test_an_edit_of_any_kind_leaves_one_booking(caller: Caller, data: st.DataObject) -> None:
    evse = make_evse()
    body: dict[str, Any] = booking_request(caller.party, option_of(evse), slot(11, 12))
    first = caller.post(BOOKINGS, body)
    bookings = Booking.objects.count()
    name = data.draw(
        st.sampled_from([f for f in FIELDS if f not in {"country_code", "party_id", "request_id"}])
    )

    check(caller, json.dumps({**body, name: data.draw(VALUES)}).encode())

    assert code(first) == (201, 1000)
    assert Booking.objects.count() == bookings


@pytest.mark.parametrize(
    "path",
    [
        "/ocpi/cpo/2.3.0/bookings/{}",
        "/ocpi/cpo/2.3.0/bookings/booking_locations/{}",
        "/ocpi/cpo/2.3.0/locations/{}/x/1",
    ],
)
@given(name=st.text(st.characters(exclude_characters="/", codec="utf-8"), min_size=1, max_size=60))
@fuzzed
def test_a_name_of_any_kind_in_a_path(caller: Caller, path: str, name: str) -> None:
    answer = caller.get(path.format(quote(name, safe="")))

    assert answer.status_code == 404
