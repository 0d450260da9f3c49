"""/series: seen first, booked, changed and given up together."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine

from bookings.models import Booking, BookingSeries
from tests.bookings.api.conftest import Site
from tests.bookings.api.fleet_system import FleetSystem, refused
from tests.bookings.api.test_bookings import OBJECT
from tests.factories import at, book_slot, make_evse, make_fleet, make_vehicle, option_of, slot

pytestmark = pytest.mark.django_db
DAYS = ["2030-01-15", "2030-01-16", "2030-01-17"]


def wanted(site: Site, rrule: str = "FREQ=DAILY;COUNT=3", **more: Any) -> dict[str, Any]:
    return {"rrule": rrule, "first": site.wanted(), **more}


def booked(site: Site, **more: Any) -> dict[str, Any]:
    response = site.system.post("/series", wanted(site, **more))
    assert response.status_code == 201, response.content
    return response.json()


def take_second_day(site: Site) -> None:
    other = make_vehicle()
    book_slot(fleet=other.fleet, option=option_of(site.evse), vehicle=other, period=slot(12, 13, day=1))


def test_a_preview_has_an_item_a_day_and_books_nothing(site: Site) -> None:
    take_second_day(site)

    response = site.system.post("/series/preview", wanted(site))

    items = response.json()["items"]
    assert response.status_code == 200
    assert [item.keys() for item in items] == [{"starts_at", "ends_at", "code", "detail", "nearest"}] * 3
    assert [item["starts_at"] for item in items] == [f"{day}T12:00:00Z" for day in DAYS]
    assert [item["ends_at"] for item in items] == [f"{day}T13:00:00Z" for day in DAYS]
    assert [item["code"] for item in items] == [None, "slot_taken", None]
    assert items[1]["nearest"].keys() == {"starts_at", "ends_at"}
    assert Booking.objects.filter(fleet=site.fleet).count() == 0


def test_a_series_is_booked_and_told_with_its_bookings(site: Site) -> None:
    response = site.system.post("/series", wanted(site, "FREQ=DAILY;COUNT=4", exceptions=[DAYS[1]]))

    told = response.json()
    assert (response.status_code, response["Location"]) == (201, f"/api/v1/series/{told['id']}")
    assert told.keys() == {"id", "rrule", "exceptions", "bookings"}
    assert (told["rrule"], told["exceptions"]) == ("FREQ=DAILY;COUNT=4", [DAYS[1]])
    assert [one["starts_at"][:10] for one in told["bookings"]] == [DAYS[0], DAYS[2], "2030-01-18"]
    assert {frozenset(one) for one in told["bookings"]} == {frozenset(OBJECT)}
    assert {one["series"] for one in told["bookings"]} == {told["id"]}
    again = site.system.get(f"/series/{told['id']}")
    assert (again.json(), again["ETag"]) == (told, response["ETag"])
    one = site.system.get(f"/bookings/{told['bookings'][0]['id']}").json()
    assert one["series"] == told["id"]


def test_where_all_is_meant_a_conflict_books_nothing_and_names_each_day(site: Site) -> None:
    take_second_day(site)

    response = site.system.post("/series", wanted(site))

    assert refused(response) == (409, "conflicts")
    assert [item["code"] for item in response.json()["items"]] == [None, "slot_taken", None]
    assert BookingSeries.objects.count() == 0

    fits = site.system.post("/series", wanted(site, mode="what_fits")).json()
    assert (len(fits["bookings"]), fits["exceptions"]) == (2, [DAYS[1]])


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"rrule": "FREQ=HOURLY;COUNT=3"}, "rrule", "invalid"),
        ({"rrule": "FREQ=DAILY"}, "rrule", "invalid"),
        ({"rrule": ""}, "rrule", "invalid"),
        ({"rrule": None}, "rrule", "invalid"),
        ({"rrule": "FREQ=WEEKLY;BYDAY=MO;COUNT=3"}, "first.starts_at", "invalid"),
        ({"exceptions": ["2030-02-30"]}, "exceptions.0", "invalid"),
        ({"exceptions": ["20300116"]}, "exceptions.0", "invalid"),
        ({"exceptions": DAYS}, "exceptions", "invalid"),
        ({"mode": "some"}, "mode", "invalid"),
        ({"colour": "red"}, "colour", "invalid"),
        ({"first": {"starts_at": "noon"}}, "first.starts_at", "invalid"),
        ({"first": {"ends_at": None}}, "first.ends_at", "invalid"),
        ({"first": {"option": "nothing"}}, "first.option", "unknown_option"),
        ({"first": {"vehicle": "X-Y 1"}}, "first.vehicle", "unknown_vehicle"),
    ],
)
def test_what_is_wrong_is_named(site: Site, body: dict[str, Any], field: str, code: str) -> None:
    whole = wanted(site) | body
    whole["first"] = site.wanted() | body.get("first", {})

    response = site.system.post("/series", whole)

    assert refused(response) == (422, code)
    assert response.json()["field"] == field
    assert BookingSeries.objects.count() == 0


def test_one_following_or_all_are_changed(site: Site) -> None:
    told = booked(site)
    address, ids = f"/series/{told['id']}", [one["id"] for one in told["bookings"]]
    later = {"starts_at": at(14, day=1).isoformat(), "ends_at": at(15, day=1).isoformat()}

    def starts(body: dict[str, Any]) -> list[str]:
        response = site.system.send("PATCH", address, body)
        assert response.status_code == 200, response.content
        return [one["starts_at"][11:13] for one in response.json()["bookings"]]

    assert starts({"scope": "one", "booking": ids[1], **later}) == ["12", "14", "12"]
    later = {"starts_at": at(15, day=1).isoformat(), "ends_at": at(16, day=1).isoformat()}
    assert starts({"scope": "following", "booking": ids[1], **later}) == ["12", "15", "13"]
    first = {"starts_at": at(11).isoformat(), "ends_at": at(12).isoformat()}
    assert starts({"scope": "all", **first}) == ["11", "14", "12"]


def test_all_go_to_another_option(site: Site) -> None:
    told, other = booked(site), make_evse(site.depot)

    changed = site.system.send("PATCH", f"/series/{told['id']}", {"scope": "all", "option": other.uid})

    assert changed.status_code == 200, changed.content
    assert {(one["option"], one["evse"]) for one in changed.json()["bookings"]} == {(other.uid, other.uid)}
    assert BookingSeries.objects.get().option == option_of(other)


def test_a_change_of_several_is_all_or_nothing(site: Site) -> None:
    told = booked(site)
    other = make_vehicle()
    book_slot(fleet=other.fleet, option=option_of(site.evse), vehicle=other, period=slot(14, 15, day=2))
    body = {"scope": "all", "starts_at": at(14).isoformat(), "ends_at": at(15).isoformat()}

    response = site.system.send("PATCH", f"/series/{told['id']}", body)

    assert refused(response) == (409, "conflicts")
    assert [item["code"] for item in response.json()["items"]] == [None, None, "slot_taken"]
    assert site.system.get(f"/series/{told['id']}").json() == told


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"power_kw": 100}, "scope"),
        ({"scope": "some", "power_kw": 100}, "scope"),
        ({"scope": "one", "power_kw": 100}, "booking"),
        ({"scope": "following", "booking": 1, "power_kw": 100}, "booking"),
        ({"scope": "following", "booking": None, "power_kw": 100}, "booking"),
        ({"scope": "all", "booking": 1, "power_kw": 100}, "booking"),
        ({"scope": "all", "colour": "red"}, "colour"),
    ],
)
def test_a_change_says_which_are_meant(site: Site, body: dict[str, Any], field: str) -> None:
    response = site.system.send("PATCH", f"/series/{booked(site)['id']}", body)

    assert refused(response) == (422, "invalid")
    assert response.json()["field"] == field


def test_a_change_of_what_was_seen_is_refused_where_anything_happened(site: Site) -> None:
    told = booked(site)
    address = f"/series/{told['id']}"
    tag = site.system.get(address)["ETag"]
    cancel = {"reason": "TRAFFIC"}
    site.system.post(f"/bookings/{told['bookings'][2]['id']}/cancellation", cancel)
    body = {"scope": "all", "power_kw": 100}

    assert refused(site.system.send("PATCH", address, body, If_Match=tag)) == (412, "changed_meanwhile")
    assert refused(site.system.send("PATCH", address, {"scope": 1}, If_Match=tag)) == (422, "invalid")
    tag = site.system.get(address)["ETag"]
    assert site.system.send("PATCH", address, body, If_Match=tag).status_code == 200


def test_a_series_is_given_up(site: Site) -> None:
    address = f"/series/{booked(site)['id']}"

    assert site.system.send("DELETE", address).status_code == 204
    assert {one["status"] for one in site.system.get(address).json()["bookings"]} == {"cancelled"}
    assert refused(site.system.send("DELETE", address)) == (409, "wrong_status")


def test_where_something_stays_the_series_is_told(site: Site) -> None:
    address = f"/series/{booked(site)['id']}"

    with time_machine.travel(at(11, 45), tick=False):  # past the deadline of the first
        answer = site.system.send("DELETE", address)

    assert answer.status_code == 200
    assert [one["status"] for one in answer.json()["bookings"]] == ["confirmed", "cancelled", "cancelled"]


def test_a_key_books_one_series(site: Site) -> None:
    answers = [site.system.post("/series", wanted(site), key="K").content for _ in range(2)]

    assert answers[0] == answers[1]
    assert BookingSeries.objects.count() == 1


def test_energy_takes_the_place_of_the_end(site: Site) -> None:
    body = wanted(site, first={**site.wanted(), "ends_at": None, "energy_kwh": 100})

    told = site.system.post("/series", body).json()

    assert len({one["ends_at"][11:] for one in told["bookings"]}) == 1


def test_of_a_long_series_each_booking_costs_no_more_queries(site: Site, django_assert_num_queries) -> None:
    address = f"/series/{booked(site, rrule='FREQ=DAILY;COUNT=9')['id']}"
    site.system.get(address)

    with django_assert_num_queries(5):
        assert len(site.system.get(address).json()["bookings"]) == 9


def test_a_strangers_series_is_not_there(site: Site) -> None:
    told = booked(site)
    stranger = FleetSystem.of(make_fleet())

    for method, body in (("GET", None), ("PATCH", {"scope": "all", "power_kw": 100}), ("DELETE", None)):
        assert refused(stranger.send(method, f"/series/{told['id']}", body)) == (404, "not_found")
