"""Partners that a person has pinned to Bookings 1.0 get its names and shapes; what they read means what 1.1 says."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine

from roaming.ocpi.style import Style
from roaming.ocpi.v2_3_0.bookings import edition_1_0
from roaming.ocpi.v2_3_0.bookings.reading import read_booking, read_booking_location, read_booking_request
from tests.factories import NOW, make_depot, make_evse, option_of, slot
from tests.money_factories import make_prices
from tests.roaming.partners import BOOKINGS, VERSIONS, Caller, booking_request, data, make_partner

pytestmark = pytest.mark.django_db
LEFT_OUT = {
    "connector_types", "power_types", "max_booking_duration", "min_booking_duration", "booking_location_id",
    "authorization_reference", "parking_id",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture(params=VERSIONS)
def callers(request: pytest.FixtureRequest) -> tuple[Caller, Caller]:
    """Of 1.1, and of 1.0, at one depot with prices."""
    depot = make_depot()
    make_prices(depot, currency="EUR", energy_per_kwh=0.4, booking_fee=5, vat_percent=19)
    make_evse(
        depot, uid="E-1", bay_length_cm=1900, bay_width_cm=400, bay_position="LEFT", vehicle_types=["BUS"]
    )
    old = {"bookings_edition": "1.0", "bookings_under_2_2_1": True}
    return Caller(make_partner(version=request.param)), Caller(
        make_partner(version=request.param, switches=old)
    )


def same(told: Any) -> Any:
    """Without what 1.0 has no room for."""
    if isinstance(told, dict):
        return {name: same(value) for name, value in told.items() if name not in LEFT_OUT}
    return [same(one) for one in told] if isinstance(told, list) else told


def test_an_offer_of_1_0_reads_as_one_of_1_1(callers: tuple[Caller, Caller]) -> None:
    """Checklist 67: what we write in 1.0 our own generous reader takes for the object of 1.1."""
    new, old = (data(caller.get(f"{BOOKINGS}/booking_locations"))[0] for caller in callers)

    assert {"bookable_parking_options", "bookable", "tariff_id", "evse_uid"} < old.keys()
    assert old["calendars"][0]["step_size"] == new["calendars"][0]["timeslot_increment"]
    assert {"start_from", "end_before"} < old["calendars"][0]["available_timeslots"][0].keys()
    assert old["bookable_parking_options"][0]["restricted_to_type"] is True
    read = [read_booking_location(told).value.wire() for told in (new, old)]
    assert same(read[1]) == same(read[0])


def test_a_booking_of_1_0_reads_as_one_of_1_1(callers: tuple[Caller, Caller]) -> None:
    """Checklist 67."""
    new, old = callers
    option = option_of(make_evse(make_depot(), uid="E-2"))
    body = booking_request(new.party, option, slot(11, 12))
    other = booking_request(old.party, option_of(make_evse(make_depot(), uid="E-3")), slot(11, 12))
    access = [{"method": "LICENSE_PLATE", "value": "K 1"}]

    told = [
        data(caller.post(BOOKINGS, {**asked, "access_information": access}))
        for caller, asked in ((new, body), (old, other))
    ]

    assert {"bookable_parking_option", "evse_uid", "access_methods"} < told[1].keys()
    assert told[1]["access_methods"] == [{"location_access": "LICENSE_PLATE", "value": "K 1"}]
    assert told[1]["evse_uid"] == "E-3"
    first, second = (read_booking(each).value for each in told)
    assert second.booking_option is not None
    assert (second.booking_option.evse_uid, second.period) == ("E-3", first.period)
    assert same(second.booking_terms.wire()) == same(first.booking_terms.wire())
    assert second.access_information == first.access_information


def test_a_request_of_ours_in_1_0_reads_as_one_of_1_1() -> None:
    """Checklist 67, 77: the plate is a token, the EVSE stands beside the option."""
    request = {
        "country_code": "DE", "party_id": "NFR", "request_id": "R", "location_id": "L", "booking_location_id": "BL",
        "booking_option": {"evse_uid": "E-1", "vehicle_types": ["BUS"], "max_vehicle_length": 1200},
        "tokens": [{"country_code": "DE", "party_id": "NFR", "uid": "04AA", "type": "RFID", "contract_id": "C"}],
        "access_information": [{"method": "LICENSE_PLATE", "value": "K 1"}], "authorization_reference": "A",
        "period": {"start_date_time": "2030-01-15T11:00:00Z", "end_date_time": "2030-01-15T12:00:00Z"},
        "power_required": 300,
    }  # fmt: skip

    old = edition_1_0.booking_request_out(request)

    assert [token["type"] for token in old["tokens"]] == ["RFID", "LICENSE_PLATE"]
    assert old["period"]["start_from"] == "2030-01-15T11:00:00Z"
    assert "booking_location_id" not in old
    told = {**read_booking_request(old).value.wire(), "booking_location_id": "BL"}
    assert told["booking_option"].pop("connector_format") == ["CABLE"], "1.0 requires it"
    assert told == request


def test_the_edition_is_a_persons_choice() -> None:
    """Never flipped by what a partner sends."""
    from roaming.ocpi.style import style_of

    pinned = make_partner(switches={"bookings_edition": "1.0"})
    deviant = make_partner(deviations={"booking_location.bookable_parking_options": 9})

    assert (style_of(pinned), style_of(deviant)) == (Style("1.0"), Style())
