"""Depots as Locations, with their EVSEs, plugs, bays and hours."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bookings.operations import cancel_booking, close_evse, lift_closure
from depots.models import Agreement, Charger, Depot, Evse, OpeningHours
from roaming.ocpi.times import time_out
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    make_charger,
    make_depot,
    make_evse,
    make_opening_hours,
    make_operator,
    open_depot,
    option_of,
    slot,
)
from tests.roaming.partners import BOOKINGS, LOCATIONS, Caller, code, data, make_partner

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def caller() -> Caller:
    return Caller(make_partner())


def status_of(caller: Caller, evse: Evse) -> str:
    found: str = data(caller.get(f"{LOCATIONS}/{evse.depot.location_id}/{evse.uid}"))["status"]
    return found


def test_a_depot_is_told_whole(caller: Caller) -> None:
    """Checklist 79."""
    operator = make_operator(
        "Ladepark", country_code="NL", cpo_party_id="LPK", website="https://ladepark.example"
    )
    depot = make_depot(
        operator,
        code="LP-1",
        name="Hafen",
        address="Kai 1",
        postal_code="21129",
        latitude="53.5046",
        longitude="-9.9276",
    )
    make_evse(
        depot, uid="LP-1-1", standard="MCS", max_power_w=1_200_000, vehicle_types=["TRUCK_WITH_TRAILER"],
        max_vehicle_length_cm=1800, drive_through=True, status=Evse.Status.AVAILABLE,
    )  # fmt: skip

    (location,) = data(caller.get(LOCATIONS))

    (evse,) = location.pop("evses")
    (place,) = location.pop("parking_places")
    for one in (location, evse, evse["connectors"][0]):
        assert one.pop("last_updated") == "2030-01-15T08:00:00Z"
    assert location == {
        "country_code": "NL", "party_id": "LPK", "id": "LP-1", "publish": True, "name": "Hafen", "address": "Kai 1",
        "city": "Kassel", "postal_code": "21129", "country": "DEU", "time_zone": "Europe/Berlin",
        "coordinates": {"latitude": "53.504600", "longitude": "-9.927600"},
        "operator": {"name": "Ladepark", "website": "https://ladepark.example"},
        "opening_times": {"twentyfourseven": True}, "charging_when_closed": True,
    }  # fmt: skip
    assert evse == {
        "uid": "LP-1-1", "status": "AVAILABLE", "parking": [{"parking_id": "LP-1-1"}], "capabilities": [
            "RFID_READER", "CHARGING_PROFILE_CAPABLE", "REMOTE_START_STOP_CAPABLE", "RESERVABLE",
        ],
        "connectors": [
            {"id": "1", "standard": "MCS", "format": "CABLE", "power_type": "DC",
             "max_voltage": 1000, "max_amperage": 500}
        ],
    }  # fmt: skip
    assert place["id"] == "LP-1-1"
    assert place["vehicle_types"] == ["TRUCK_WITH_TRAILER"]
    assert place["max_vehicle_length"] == 1800
    assert place["drive_through"] is True
    assert place["restricted_to_type"] is True


@pytest.mark.parametrize(
    ("measured", "lost"),
    [
        ({"reservation": "works"}, set()),
        ({"reservation": "refuses"}, {"RESERVABLE"}),
        ({"reservation": "lies"}, {"RESERVABLE"}),
        ({"unsupported": {"remote_stop": "1.0"}}, {"REMOTE_START_STOP_CAPABLE"}),
        ({"unsupported": {"unlock:1": "1.0"}}, {"UNLOCK_CAPABLE"}),
        ({"unsupported": {"unlock:2": "1.0", "set_charging_profile": "0.9"}}, set()),
    ],
)
def test_an_evse_can_what_its_charger_was_seen_to_do(measured: dict[str, Any], lost: set[str]) -> None:
    """By its firmware of now; and what the partner may have it do."""
    caller = Caller(make_partner(switches={"may_unlock": True}))
    option = option_of(make_evse(number=1))
    Charger.objects.update(firmware_version="1.0", measured=measured)

    told = set(data(caller.get(LOCATIONS))[0]["evses"][0]["capabilities"])

    assert told == {
        "RFID_READER", "CHARGING_PROFILE_CAPABLE", "REMOTE_START_STOP_CAPABLE", "RESERVABLE", "UNLOCK_CAPABLE",
    } - lost  # fmt: skip
    offers = data(caller.get(BOOKINGS + "/booking_locations"))
    terms = next(one for one in offers if one["id"] == option.code)["booking_terms"]
    booked = data(caller.book(option, slot(9, 10)))["booking_terms"]
    is_remote = "REMOTE_START_STOP_CAPABLE" in told
    for each in (terms, booked):
        assert each["remote_auth_supported"] is is_remote
        assert each["rfid_auth_required"] is not is_remote
        assert each["token_groups_supported"] is True


def test_what_a_depot_file_says_of_a_place_is_told(caller: Caller) -> None:
    """Checklist 79: with the bay, to partners of 2.3.0."""
    told = {
        "state": "Hamburg", "help_phone": "+49 40 1234", "directions": [{"language": "de", "text": "Tor 3"}],
        "facilities": ["CAFE"], "images": [{"url": "https://p.example/1.jpg", "category": "ENTRANCE", "type": "jpg"}],
        "energy_mix": {"is_green_energy": True, "energy_sources": [{"source": "WIND", "percentage": 100}]},
    }  # fmt: skip
    evse = make_evse(
        uid="E-1", public_id="DE*NFR*E1", floor_level="-1", physical_reference="A 3", bay_position="LEFT",
        parking_restrictions=["EV_ONLY"], bay_direction="ANGLE", bay_length_cm=1900, bay_width_cm=400, is_roofed=True,
        is_lit=True,
    )  # fmt: skip
    settings = {"SupportedFeatureProfiles": "Core", "ISO15118PnCEnabled": "true"}
    Charger.objects.update(told={"configuration": settings})
    Depot.objects.update(**told)

    (location,) = data(caller.get(LOCATIONS))

    (place,), (bay,) = location["evses"], location["parking_places"]
    assert {name: location[name] for name in told} == told
    assert (place["uid"], place["evse_id"], place["floor_level"]) == (evse.uid, "DE*NFR*E1", "-1")
    assert place["physical_reference"] == bay["physical_reference"] == "A 3"
    assert place["parking"] == [{"parking_id": "E-1", "evse_position": "LEFT"}]
    assert place["parking_restrictions"] == ["EV_ONLY"]
    assert place["connectors"][0]["capabilities"] == ["ISO_15118_2_PLUG_AND_CHARGE"]
    assert place["capabilities"] == ["RFID_READER", "REMOTE_START_STOP_CAPABLE"], (
        "its charger tells that it has neither reservations nor limits of power"
    )
    assert (bay["parking_space_length"], bay["parking_space_width"]) == (1900, 400)
    assert (bay["direction"], bay["roofed"], bay["lighting"]) == ("ANGLE", True, True)


def test_an_evse_that_is_closed_says_so_and_when_it_will_be(caller: Caller, clock: Any) -> None:
    """Checklist 20: a closure is a change that a pull by time finds, and so is its end."""
    evse = make_evse(uid="E-1", status=Evse.Status.AVAILABLE)
    clock.shift(timedelta(minutes=5))
    closure = close_evse(evse=evse, period=slot(9, 11), actor=MANAGER, now=timezone.now())

    def told() -> tuple[str, list[str]]:
        (location,) = data(caller.get(LOCATIONS, {"date_from": time_out(timezone.now())}))
        (place,) = location["evses"]
        return place["status"], [span["period_begin"] for span in place.get("status_schedule", [])]

    assert told() == ("AVAILABLE", ["2030-01-15T09:00:00Z"])
    clock.shift(timedelta(hours=1))
    assert status_of(caller, evse) == "INOPERATIVE"
    lift_closure(closure_id=closure.pk, actor=MANAGER, now=timezone.now())
    assert told() == ("AVAILABLE", [])


def test_a_depot_that_is_not_for_everybody_names_whose_customers_may_see_it(caller: Caller) -> None:
    private = make_depot(open_to_all=False)
    make_evse(private)
    open_depot(private, caller.partner.organisation)

    (location,) = data(caller.get(LOCATIONS))

    assert location["publish"] is False
    assert location["publish_allowed_to"] == [{"issuer": caller.partner.organisation.name}]


def test_a_partner_sees_the_depots_it_may_book_at(caller: Caller) -> None:
    make_evse(make_depot(code="ALL"))
    private = make_depot(code="PRIVATE", open_to_all=False)
    make_evse(private)
    mine = make_depot(code="MINE", open_to_all=False)
    make_evse(mine)
    open_depot(mine, caller.partner.organisation)
    over = make_depot(code="OVER", open_to_all=False)
    make_evse(over)
    Agreement.objects.create(
        depot=over,
        guest=caller.partner.organisation,
        starts_at=NOW - timedelta(days=2),
        ends_at=NOW - timedelta(days=1),
    )
    make_depot(code="EMPTY")

    listed = {location["id"]: location for location in data(caller.get(LOCATIONS))}

    assert set(listed) == {"ALL", "MINE"}
    assert listed["ALL"]["publish"] is True
    assert listed["MINE"]["publish"] is False
    assert code(caller.get(f"{LOCATIONS}/PRIVATE")) == (404, 2003)


def test_the_three_levels_are_found_in_any_case(caller: Caller) -> None:
    evse = make_evse(make_depot(code="D-1"), uid="E-1")

    location = data(caller.get(f"{LOCATIONS}/d-1"))

    assert data(caller.get(f"{LOCATIONS}/D-1/e-1")) == location["evses"][0]
    assert data(caller.get(f"{LOCATIONS}/d-1/E-1/1/")) == location["evses"][0]["connectors"][0]
    for missing in ("D-2", "D-1/E-2", "D-1/E-1/2"):
        assert code(caller.get(f"{LOCATIONS}/{missing}")) == (404, 2003)
    assert evse.depot.code == location["id"]


def test_hours_of_single_days_end_at_23_59_and_all_days_are_round_the_clock(caller: Caller) -> None:
    always, days = make_depot(code="ALWAYS"), make_depot(code="DAYS", charging_when_closed=False)
    make_evse(always)
    make_evse(days)
    make_opening_hours(always, 0, 1440)
    OpeningHours.objects.create(depot=days, weekday=1, from_minute=360, to_minute=1440)
    OpeningHours.objects.create(depot=days, weekday=2, from_minute=0, to_minute=90)

    listed = {location["id"]: location for location in data(caller.get(LOCATIONS))}

    assert listed["ALWAYS"]["opening_times"] == {"twentyfourseven": True}
    assert listed["DAYS"]["opening_times"]["regular_hours"] == [
        {"weekday": 1, "period_begin": "06:00", "period_end": "23:59"},
        {"weekday": 2, "period_begin": "00:00", "period_end": "01:30"},
    ]
    assert listed["DAYS"]["charging_when_closed"] is False


def test_an_evse_shows_reserved_from_the_early_start_until_the_booking_ends(
    caller: Caller, clock: Any
) -> None:
    early = make_evse(
        make_depot(terms={"early_start_min": 20, "cancel_until_min": 0}), status=Evse.Status.AVAILABLE
    )
    plain = make_evse(status=Evse.Status.AVAILABLE)
    booking = data(caller.book(option_of(early), slot(11, 12)))
    caller.book(option_of(plain), slot(11, 12))

    def seen_at(minutes: int) -> tuple[str, str]:
        clock.move_to(slot(11, 12).starts_at + timedelta(minutes=minutes))
        return status_of(caller, early), status_of(caller, plain)

    assert seen_at(-21) == ("AVAILABLE", "AVAILABLE")
    assert seen_at(-20) == ("RESERVED", "AVAILABLE")
    assert seen_at(-10) == ("RESERVED", "RESERVED")
    cancel_booking(booking_id=_pk(booking), reason="FULL", by="depot", actor=DISPATCHER, now=NOW)
    assert seen_at(-5) == ("AVAILABLE", "RESERVED")
    assert seen_at(60) == ("AVAILABLE", "AVAILABLE")


def test_what_a_charger_reports_comes_before_the_booking(caller: Caller, clock: Any) -> None:
    evse = make_evse(status=Evse.Status.CHARGING)
    caller.book(option_of(evse), slot(11, 12))
    clock.move_to(slot(11, 12).starts_at)

    assert status_of(caller, evse) == "CHARGING"
    Evse.objects.update(status=Evse.Status.FAULTED)
    assert status_of(caller, evse) == "OUTOFORDER"


def test_an_evse_taken_away_is_removed(caller: Caller) -> None:
    charger = make_charger()
    kept, gone = make_evse(charger=charger), make_evse(charger=charger)
    Evse.objects.filter(pk=gone.pk).update(is_withdrawn=True)

    assert status_of(caller, gone) == "REMOVED"
    assert status_of(caller, kept) == "UNKNOWN"


def test_pages_carry_their_headers_and_links_repeat_the_filters(caller: Caller, settings: Any) -> None:
    """Checklist 19."""
    settings.BERTH_BASE_URL = "https://berth.example"
    for number in range(5):
        make_evse(make_depot(code=f"D-{number}"))

    first = caller.get(LOCATIONS, {"limit": 2, "date_from": "2029-01-01T00:00:00Z"})
    last = caller.get(LOCATIONS, {"limit": 2, "offset": 4})
    beyond = caller.get(LOCATIONS, {"offset": 9})

    assert (first["X-Total-Count"], first["X-Limit"]) == ("5", "100")
    assert first["Link"] == (
        "<https://berth.example/ocpi/cpo/2.3.0/locations"
        '?limit=2&date_from=2029-01-01T00%3A00%3A00Z&offset=2>; rel="next"'
    )
    assert [location["id"] for location in data(first)] == ["D-0", "D-1"]
    assert "Link" not in last
    assert data(beyond) == []
    assert beyond["X-Total-Count"] == "5"


def test_a_crawl_finds_everything_though_objects_change_meanwhile(caller: Caller) -> None:
    """Checklist 21."""
    for number in range(6):
        make_evse(make_depot(code=f"D-{number}"))
    seen = []
    for offset in range(0, 6, 2):
        seen += [location["id"] for location in data(caller.get(LOCATIONS, {"limit": 2, "offset": offset}))]
        Depot.objects.filter(code="D-0").update(updated_at=NOW + timedelta(hours=offset))

    assert seen == [f"D-{number}" for number in range(6)]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"}, {"limit": "-1"}, {"limit": "x"}, {"offset": "-1"}, {"offset": "1.5"}, {"offset": "9" * 30},
        {"date_from": "yesterday"}, {"date_to": "2030-13-01T00:00:00Z"}, {"limit": "٣"}, {"date_from": "\x00"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", [LOCATIONS, BOOKINGS, f"{BOOKINGS}/booking_locations"])
def test_a_wrong_parameter_is_named(caller: Caller, path: str, query: dict[str, str]) -> None:
    answer = caller.get(path, query)

    assert code(answer) == (200, 2001)
    assert answer.json()["status_message"].startswith(next(iter(query)))


def test_more_than_a_page_is_not_given(caller: Caller) -> None:
    assert caller.get(LOCATIONS, {"limit": 5000})["X-Limit"] == "100"


@pytest.mark.parametrize("path", [LOCATIONS, f"{BOOKINGS}/booking_locations", BOOKINGS])
def test_date_from_is_inclusive_and_date_to_exclusive(caller: Caller, clock: Any, path: str) -> None:
    """Checklist 20."""
    evse = make_evse()
    caller.book(option_of(evse), slot(11, 12))
    (found,) = data(caller.get(path))
    changed = found["last_updated"]

    def count(**query: str) -> int:
        return len(data(caller.get(path, query)))

    assert count(date_from=changed) == 1
    assert count(date_to=changed) == 0
    assert count(date_from="2030-01-15T09:00:01+01:00") == 0
    assert count(date_to="2030-01-15T09:00:01+01:00") == 1


@pytest.mark.parametrize(
    ("path", "most"), [(LOCATIONS, 10), (f"{BOOKINGS}/booking_locations", 12), (BOOKINGS, 8)]
)
def test_a_longer_list_asks_no_more_of_the_database(caller: Caller, path: str, most: int) -> None:
    def fill(count: int) -> None:
        for _ in range(count):
            caller.book(option_of(make_evse(make_depot())), slot(11, 12))

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            data(caller.get(path))
        return len(captured)

    fill(2)
    few = queries()
    fill(8)

    assert queries() == few <= most


def _pk(booking: dict[str, Any]) -> int:
    from bookings.models import Booking

    return Booking.objects.get(reference=booking["id"]).pk
