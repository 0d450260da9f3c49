"""Where an organisation may book, and what: items can be posted as they are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bookings.models import Booking, OfferedSlot
from depots.periods import Period
from tests.bookings.api.conftest import Site
from tests.bookings.api.fleet_system import refused
from tests.factories import (
    NOW,
    at,
    book_slot,
    make_depot,
    make_evse,
    make_option,
    make_organisation,
    make_vehicle,
    option_of,
    slot,
)

pytestmark = pytest.mark.django_db
PERIOD = {"starts_at": "2030-01-15T12:00:00Z", "ends_at": "2030-01-15T13:00:00Z"}
TIMES = ("starts_at", "ends_at")
WINDOW = {"arrive_from": "2030-01-15T12:00:00Z", "arrive_to": "2030-01-15T16:00:00Z"}


def slots(site: Site, **query: Any) -> Any:
    response = site.system.get("/slots", **query)
    assert response.status_code == 200, response.content
    return response.json()


def test_a_depot_is_told_with_what_can_be_booked_there(site: Site) -> None:
    told = site.system.get(f"/depots/{site.depot.code.lower()}").json()

    assert (told["id"], told["name"], told["operator"]) == (
        site.depot.code,
        site.depot.name,
        site.depot.operator.name,
    )
    assert (told["latitude"], told["longitude"], told["time_zone"]) == (51.3, 9.5, "Europe/Berlin")
    [option] = told["options"]
    assert (option["id"], option["evses"], option["terms"]["slot_step_min"]) == (
        site.evse.uid,
        [site.evse.uid],
        15,
    )
    [evse] = told["evses"]
    assert (evse["uid"], evse["max_power_kw"], evse["connector_standard"], evse["state"]) == (
        site.evse.uid, 400, "IEC_62196_T2_COMBO", "unknown",
    )  # fmt: skip


def test_depots_are_listed_near_a_place_and_only_those_that_are_open(site: Site) -> None:
    far, closed = make_depot(latitude="48.1", longitude="11.5"), make_depot(open_to_all=False)
    for depot in (far, closed):
        make_evse(depot)

    def ids(**query: Any) -> set[str]:
        return {one["id"] for one in site.system.get("/depots", **query).json()["items"]}

    assert ids() == {site.depot.code, far.code}
    assert ids(near="51.3,9.5", radius_km=10) == {site.depot.code}
    assert refused(site.system.get(f"/depots/{closed.code}")) == (404, "not_found")
    first = site.system.get("/depots", limit=1).json()
    second = site.system.get("/depots", limit=1, cursor=first["next"]).json()
    assert ({first["items"][0]["id"], second["items"][0]["id"]}, second["next"]) == (
        {site.depot.code, far.code},
        None,
    )


def test_a_list_of_depots_costs_no_more_queries_for_more_of_them(
    site: Site, django_assert_num_queries
) -> None:
    for _ in range(3):
        make_evse(make_depot())
    site.system.get("/depots")

    with django_assert_num_queries(8):
        assert len(site.system.get("/depots").json()["items"]) == 4


def test_an_item_can_be_booked_as_it_is(site: Site) -> None:
    make_option(site.evse, make_evse(site.depot), code="POOL")
    told = slots(site, depot=site.depot.code, vehicle=site.vehicle.plate.lower(), **PERIOD)

    assert {item["option"] for item in told["items"]} == {"POOL", *(e.uid for e in site.depot.evses.all())}
    item = next(one for one in told["items"] if one["option"] == site.evse.uid)
    assert item == {
        "depot": site.depot.code, "option": site.evse.uid, "evse": site.evse.uid, **PERIOD, "promised_power_kw": 350,
        "max_power_kw": 400, "price": None, "distance_km": None, "calendar_age_s": None,
    }  # fmt: skip
    made = site.system.post("/bookings", {**item, "vehicle": site.vehicle.plate})
    assert (made.status_code, made.json()["promised_power_kw"]) == (201, 350)
    again = slots(site, depot=site.depot.code, **PERIOD)
    assert [one["code"] for one in again["refused"] if one["option"] == site.evse.uid] == ["slot_taken"]
    assert [one["option"] for one in again["items"] if one["evse"] == site.evse.uid] == []


def test_a_pool_that_is_full_is_offered_where_others_can_move_and_says_so(site: Site) -> None:
    first, second = site.evse, make_evse(site.depot)
    pool = make_option(first, second, code="POOL")
    for evse, period in ((first, slot(12, (12, 30))), (second, slot((12, 30), 13))):
        booked = book_slot(
            fleet=site.fleet, option=pool, evse=evse, vehicle=make_vehicle(site.fleet), period=period
        )
        Booking.objects.filter(pk=booked.pk).update(is_evse_asked=False)

    [item] = slots(site, depot=site.depot.code, **PERIOD)["items"]
    made = site.system.post("/bookings", {**item, "vehicle": site.vehicle.plate})

    assert (item["option"], item["evse"], item["starts_at"]) == ("POOL", None, PERIOD["starts_at"])
    assert "moving other bookings" in item["note"]
    assert (made.status_code, made.json()["option"]) == (201, "POOL")


def test_in_a_window_the_earliest_start_counts_and_lengths_round_up(site: Site) -> None:
    book_slot(fleet=site.fleet, option=option_of(site.evse), vehicle=site.vehicle, period=slot(12, 13))

    [item] = slots(site, depot=site.depot.code, duration_min=50, **WINDOW)["items"]
    later = slots(
        site,
        depot=site.depot.code,
        duration_min=50,
        arrive_from=WINDOW["arrive_from"],
        arrive_to="2030-01-15T12:30:00Z",
    )

    assert (item["starts_at"], item["ends_at"]) == ("2030-01-15T13:00:00Z", "2030-01-15T14:00:00Z")
    assert [one["code"] for one in later["refused"]] == ["slot_taken"]


def test_a_window_of_days_finds_the_first_day_with_room(site: Site) -> None:
    for day in range(2):
        for hour in range(0, 24, 4):
            period = (
                slot(hour, hour + 4, day=day) if hour < 20 else Period(at(20, day=day), at(0, day=day + 1))
            )
            if period.starts_at > NOW:
                book_slot(fleet=site.fleet, option=option_of(site.evse), vehicle=site.vehicle, period=period)

    [item] = slots(
        site,
        depot=site.depot.code,
        duration_min=120,
        arrive_from=at(12).isoformat(),
        arrive_to=at(12, day=5).isoformat(),
    )["items"]

    assert item["starts_at"] == "2030-01-17T00:00:00Z"


def test_for_energy_a_slot_lasts_as_long_as_its_promise_calls_for(site: Site) -> None:
    site.vehicle.battery_wh = 600_000
    site.vehicle.save()

    [item] = slots(site, depot=site.depot.code, vehicle=site.vehicle.plate, energy_kwh=350, **WINDOW)["items"]
    wanted = {
        "option": item["option"],
        "vehicle": site.vehicle.plate,
        "starts_at": item["starts_at"],
        "energy_kwh": 350,
    }
    made = site.system.post("/bookings", wanted)

    assert item["starts_at"] == "2030-01-15T12:00:00Z"
    assert (made.status_code, made.json()["ends_at"]) == (201, item["ends_at"])


def test_for_energy_a_slot_begins_where_there_is_room_for_as_long_as_it_takes(site: Site) -> None:
    site.book(period=slot(13, 14))
    site.book(period=slot(15, 16))

    [item] = slots(site, depot=site.depot.code, vehicle=site.vehicle.plate, energy_kwh=400, **WINDOW)["items"]

    assert item["starts_at"] >= "2030-01-15T16:00:00Z"
    assert (
        site.system.post("/bookings", site.wanted(**{name: item[name] for name in TIMES})).status_code == 201
    )


def test_for_energy_every_option_is_answered_by_one_search_of_a_day(
    site: Site, django_assert_max_num_queries
) -> None:
    for kilowatts in range(50, 500, 50):
        make_evse(site.depot, max_power_w=kilowatts * 1000)
    asked = {"depot": site.depot.code, "vehicle": site.vehicle.plate, "energy_kwh": 120, **WINDOW}
    slots(site, **asked)

    with django_assert_max_num_queries(12):
        told = slots(site, **asked)

    lengths = {item["promised_power_kw"]: item["ends_at"] for item in told["items"]}
    assert len(told["items"]) + len(told["refused"]) == 10
    assert len(lengths) >= 7
    assert sorted(lengths, reverse=True) == [
        power for power, _ in sorted(lengths.items(), key=lambda one: one[1])
    ]


def test_along_a_route_no_slot_begins_before_a_truck_gets_there(site: Site) -> None:
    make_evse(make_depot(latitude="48.1", longitude="17.0"))

    told = slots(
        site, along="53.55,9.99;47.56,7.59", depart_at="2030-01-15T09:00:00Z", corridor_km=60, duration_min=45,
        vehicle=site.vehicle.plate,
    )  # fmt: skip

    [item] = told["items"]
    assert item["option"] == site.evse.uid
    assert item["starts_at"] > "2030-01-15T11:00:00Z"
    assert 0 <= item["distance_km"] <= 60


def test_what_fits_no_vehicle_or_gives_too_little_power_says_so(site: Site) -> None:
    long = make_vehicle(site.fleet, length_cm=1800)
    site.evse.max_vehicle_length_cm = 1200
    site.evse.save()

    [by_length] = slots(site, depot=site.depot.code, vehicle=long.plate, **PERIOD)["refused"]
    [by_power] = slots(site, depot=site.depot.code, min_power_kw=900, **PERIOD)["refused"]

    assert (by_length["depot"], by_length["option"], by_length["code"]) == (
        site.depot.code,
        site.evse.uid,
        "does_not_fit",
    )
    assert by_power["code"] == "power_unavailable"


def test_a_partners_calendar_is_told_with_its_age(site: Site) -> None:
    partner = make_organisation("Elsewhere", is_partner=True)
    depot = make_depot(partner, open_to_all=False, is_mirror=True)
    evse = make_evse(depot, option=False)
    option = make_option(evse, code="LOC-1", is_mirror=True, calendar_at=NOW - timedelta(minutes=5))
    OfferedSlot.objects.create(option=option, calendar_id="c", period=slot(10, 18), max_power_w=150_000)

    [item] = slots(site, near="51.3,9.5", radius_km=5, vehicle=site.vehicle.plate, **PERIOD)["items"][-1:]
    weak = slots(site, depot=depot.code, min_power_kw=200, **PERIOD)

    assert (item["option"], item["calendar_age_s"], item["distance_km"]) == ("LOC-1", 300, 0)
    assert (item["promised_power_kw"], item["max_power_kw"]) == (150, 150)
    assert [one["code"] for one in weak["refused"]] == ["power_unavailable"]
    made = site.system.post("/bookings", {**item, "vehicle": site.vehicle.plate})
    assert (made.status_code, made.json()["status"]) == (201, "requested")
    assert refused(site.system.post("/holds", {**item, "vehicle": site.vehicle.plate})) == (
        422,
        "not_open_to_you",
    )
    assert Booking.objects.get().route == "outbound"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({**PERIOD}, "depot"),
    ({**PERIOD, "depot": "D", "near": "51,9"}, "near"),
    ({**PERIOD, "near": "51"}, "near"),
    ({**PERIOD, "near": "91,9"}, "near"),
    ({**PERIOD, "near": "nan,9"}, "near"),
    ({**PERIOD, "depot": "D", "radius_km": 5}, "radius_km"),
    ({**PERIOD, "depot": "D", "duration_min": 30}, "duration_min"),
    ({**PERIOD, "near": "51,9", "radius_km": "inf"}, "radius_km"),
    ({"depot": "D", "starts_at": "2030-01-15T12:00:00Z"}, "ends_at"),
    ({"depot": "D", "starts_at": PERIOD["ends_at"], "ends_at": PERIOD["starts_at"]}, "ends_at"),
    ({"depot": "D", **WINDOW}, "duration_min"),
    ({"depot": "D", **WINDOW, "duration_min": 30, "energy_kwh": 5}, "energy_kwh"),
    ({"depot": "D", **WINDOW, "soc_from": 30}, "soc_to"),
    ({"depot": "D", "arrive_from": WINDOW["arrive_to"], "arrive_to": WINDOW["arrive_from"], "duration_min": 30}, "arrive_to"),
    ({"along": "53.5,9.9", "depart_at": PERIOD["starts_at"], "duration_min": 30}, "along"),
    ({"along": "0,0;0,180", "depart_at": PERIOD["starts_at"], "duration_min": 30}, "along"),
    ({"along": "53.5,9.9;50,8", "duration_min": 30}, "depart_at"),
    ({"along": "53.5,9.9;50,8", "depart_at": PERIOD["starts_at"], "duration_min": 30, **PERIOD}, "starts_at"),
    ({"depot": "D", **PERIOD, "vehicle": "X-Y 1"}, "vehicle"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "field"), WRONG)
def test_what_is_no_question_is_named(site: Site, query: dict[str, Any], field: str) -> None:
    query = {**query, "depot": site.depot.code} if query.get("depot") == "D" else query
    response = site.system.get("/slots", **query)

    assert response.status_code == 422, response.content
    assert response.json()["field"] == field


def test_a_depot_that_is_not_there_is_not_found(site: Site) -> None:
    assert refused(site.system.get("/slots", depot="nowhere", **PERIOD)) == (404, "not_found")
