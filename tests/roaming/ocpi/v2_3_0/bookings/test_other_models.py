"""Where leniency ends: models of somebody's own, powers that cannot be, partners who are read to the letter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from bookings.models import Booking
from roaming.ocpi.v2_3_0.bookings import reading
from roaming.ocpi.wire_object import UnreadableError
from tests.factories import NOW, make_evse, option_of, slot
from tests.roaming.ocpi.v2_3_0.bookings.deviating import base
from tests.roaming.partners import BOOKINGS, Caller, booking_request, code, make_partner

ELEVEN = {"start_date_time": "2030-01-15T11:00:00Z", "end_date_time": "2030-01-15T12:00:00Z"}
READ = {"booking_request": reading.read_booking_request, "booking": reading.read_booking}


@pytest.mark.parametrize(
    ("kind", "told", "said"),
    [
        (
            "booking_request",
            {"emsp_booking_id": "B-1", "location_id": "L", "evse_uid": "E", **ELEVEN},
            (
                "request_id: is required, as are country_code, party_id and period; a BookingRequest of Bookings 1.1 has no "
                "emsp_booking_id, start_date_time or end_date_time"
            ),
        ),
        ("booking_request", {}, "request_id: is required, as are country_code, party_id, location_id and period"),
        ("booking_request", {**base("booking_request"), "request_id": None}, "request_id: is required"),
        (
            "booking",
            {"result": "ACCEPTED", "booking": {"id": "B-1", "state": "CONFIRMED"}},
            (
                "request_id: is required, as are reservation_status, id, country_code, party_id, location_id, period and "
                "last_updated; a Booking of Bookings 1.1 has no result or booking"
            ),
        ),
        (
            "booking",
            {**base("booking"), "reservation_status": None, "state": "ACTIVE"},
            "reservation_status: is required; a Booking of Bookings 1.1 has no state",
        ),
    ],
)  # fmt: skip
def test_a_model_that_is_not_ocpis_is_told_what_it_lacks(kind: str, told: Any, said: str) -> None:
    with pytest.raises(UnreadableError) as error:
        READ[kind](told)

    assert str(error.value) == said


@pytest.mark.parametrize(
    ("watts", "types", "unit", "is_alarm"),
    [
        (350_000, ["SEMI_TRACTOR"], "auto", False),
        (350, ["SEMI_TRACTOR"], "auto", False),  # taken for kW
        (350, ["SEMI_TRACTOR"], "W", True),
        (350_000, [], "kW", True),
        (9_000, ["PERSONAL_VEHICLE", "BUS"], "auto", True),
        (9_000, ["PERSONAL_VEHICLE"], "auto", False),
        (4_000_000, ["BUS"], "auto", False),
        (4_000_001, ["BUS"], "auto", True),
    ],
)
def test_a_power_that_no_truck_is_offered_raises_an_alarm(
    watts: int, types: list[str], unit: str, is_alarm: bool
) -> None:
    told = base("booking_location")
    told["booking_option"]["vehicle_types"] = types
    told["calendars"][0]["available_timeslots"] = [{**ELEVEN, "max_power": watts}]

    read = reading.read_booking_location(told, power_unit=unit)

    assert ("timeslot.power_implausible" in read.deviations) is is_alarm


@pytest.fixture
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.mark.django_db
@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"period": {**ELEVEN, "end_date_time": "2030-01-15T12:00Z"}}, "period.end_date_time: time.without_seconds"),
        ({"period": {**ELEVEN, "end_date_time": "2030-01-15T13:00:00+01:00"}}, "period.end_date_time: time.offset"),
        ({"power_required": "150"}, ""),  # numbers as texts are numbers
        ({"location_id": 17}, "location_id: text.number_instead"),
        ({"booking_location_id": None}, "booking_request.booking_location_id_missing"),
        ({}, ""),
    ],
)  # fmt: skip
def test_a_partner_that_is_read_strictly_is_forgiven_nothing(change: Any, named: str) -> None:
    strict, option = Caller(make_partner(switches={"reading": "strict"})), option_of(make_evse(uid="E-1"))

    answer = strict.post(BOOKINGS, booking_request(strict.party, option, slot(11, 12), **change))

    assert code(answer) == ((200, 2001) if named else (201, 1000))
    assert answer.json().get("status_message", "").startswith(named)
    assert Booking.objects.count() == (0 if named else 1)


@pytest.mark.django_db
@pytest.mark.usefixtures("clock")
def test_what_was_forgiven_before_is_shown_as_it_was_understood() -> None:
    caller = Caller(make_partner())
    old = booking_request(
        caller.party, option_of(make_evse(uid="E-1")), slot(11, 12), booking_location_id=None
    )
    old["evse_uid"] = "E-1"
    before = caller.post(BOOKINGS, old).json()["data"]

    caller.partner.switches["reading"] = "strict"
    caller.partner.save()

    assert caller.get(f"{BOOKINGS}/{before['id']}").json()["data"] == before


@pytest.mark.django_db
def test_who_cancels_by_delete_is_told_how_it_is_done() -> None:
    answer = Caller(make_partner()).send("DELETE", f"{BOOKINGS}/BK-1")

    assert code(answer) == (405, 2000)
    assert "POST of its BookingRequest" in answer.json()["status_message"]
