"""Repeating a booking: each day shows what becomes of it, is put right with a click, and all are booked with another; and what
the pages of a series do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
import time_machine
from django.test import Client

from bookings.models import Booking, BookingSeries
from bookings.pages.series_rows import rule_words
from tests.bookings.people import client_of
from tests.factories import (
    NOW,
    at,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_user,
    make_vehicle,
    option_of,
    slot,
)
from tests.money_factories import make_prices

pytestmark = pytest.mark.django_db
FORM = {"first_day": "2030-01-15", "interval": "1", "unit": "DAILY", "count": "3"}


@dataclass
class Desk:
    """A dispatcher with a booking at eleven o'clock in Berlin, where a truck of others comes on the next day."""

    booking: Booking
    client: Client

    def post(self, path: str, **fields: Any) -> Any:
        return self.client.post(f"/bookings/{self.booking.pk}/repeat/{path}", {**FORM, **fields})

    def preview(self, **fields: Any) -> str:
        return self.post("preview/", **fields).content.decode()

    def booked(self, **fields: Any) -> BookingSeries:
        """With the version that a preview of the same shows."""
        version = field(self.preview(**fields), "version")
        answer = self.post("", version=version, mode="what_fits", **fields)
        assert answer.status_code == 302, answer.content.decode()
        return BookingSeries.objects.get()


@pytest.fixture
def desk() -> Iterator[Desk]:
    depot = make_depot(code="HAM", name="Hamburg", terms={"horizon_days": 14})
    make_prices(depot, time_per_hour=60)
    option = option_of(make_evse(depot))
    fleet, other = make_fleet(), make_vehicle()
    vehicle = make_vehicle(fleet, plate="HH-NF 1")
    booking = book_slot(fleet=fleet, option=option, vehicle=vehicle, period=slot(10, 11))
    book_slot(fleet=other.fleet, option=option, vehicle=other, period=slot(10, 11, day=1))
    with time_machine.travel(NOW, tick=False):
        yield Desk(booking, client_of(make_user(fleet)))


def field(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None
    return found[1]


def levels(page: str) -> dict[str, str]:
    return dict(re.findall(r'data-day="([\d-]+)" data-level="(\w+)"', page))


def test_a_preview_shows_each_day_and_books_nothing(desk: Desk) -> None:
    page = desk.preview()

    assert levels(page) == {"2030-01-15": "success", "2030-01-16": "danger", "2030-01-17": "success"}
    assert "This slot is taken" in page
    assert "Every day, 3 times" in page
    assert "FREQ=DAILY;COUNT=3" in page
    assert Booking.objects.filter(series__isnull=False).count() == 0


def test_the_nearest_time_is_taken_with_one_click(desk: Desk) -> None:
    nearest = field(desk.preview(), "take")

    page = desk.preview(take=nearest)

    assert set(levels(page).values()) == {"success"}
    series = desk.booked(moved=field(page, "moved"))
    assert [one.period.starts_at.hour for one in series.bookings.order_by("series_date")] in (
        [10, 9, 10],
        [10, 11, 10],
    )


def test_a_day_is_left_out_with_one_click(desk: Desk) -> None:
    page = desk.preview(leave="2030-01-16")

    assert levels(page) == {"2030-01-15": "success", "2030-01-17": "success"}
    assert field(page, "exceptions") == "2030-01-16"


def test_the_booking_itself_becomes_the_first_day(desk: Desk) -> None:
    series = desk.booked()

    desk.booking.refresh_from_db()
    assert (desk.booking.series, desk.booking.series_date) == (series, date(2030, 1, 15))
    assert series.exceptions == [date(2030, 1, 16)]
    assert Booking.objects.filter(fleet=desk.booking.fleet).count() == 2
    assert desk.booking.events.filter(kind="repeated").exists()
    page = desk.client.get(f"/bookings/{desk.booking.pk}/").content.decode()
    assert "Part of a series" in page
    assert f"/series/{series.pk}/change/?booking={desk.booking.pk}" in page


def test_a_series_may_begin_on_another_day_and_then_leaves_the_booking_alone(desk: Desk) -> None:
    series = desk.booked(first_day="2030-01-17", count="2")

    assert [f"{one.starts_at:%d %H}" for one in series.bookings.order_by("series_date")] == ["17 10", "18 10"]
    desk.booking.refresh_from_db()
    assert desk.booking.series is None


def test_what_lies_beyond_the_horizon_waits_and_says_so(desk: Desk) -> None:
    asked = {"unit": "WEEKLY", "weekdays": "TU", "count": "4"}

    assert list(levels(desk.preview(**asked)).values()) == ["success", "success", "warning", "warning"]
    series = desk.booked(**asked)

    assert series.next_date == date(2030, 1, 29)
    page = desk.client.get(f"/series/{series.pk}/").content.decode()
    assert "2 days wait for the depot" in page
    assert "Tue 29 Jan 2030" in page
    assert "Goes on from 29 Jan 2030" in desk.client.get("/series/").content.decode()


@pytest.mark.parametrize("version", ["", "1", None])
def test_nothing_is_booked_that_was_not_seen(desk: Desk, version: str | None) -> None:
    sent = {} if version is None else {"version": version}

    answer = desk.post("", mode="what_fits", **sent)

    assert answer.status_code == 409
    assert BookingSeries.objects.count() == 0


def test_a_form_sent_twice_is_one_series(desk: Desk) -> None:
    page = desk.preview()
    sent = {"version": field(page, "version"), "key": field(page, "key"), "mode": "what_fits"}

    answers = [desk.post("", **sent) for _ in range(2)]

    assert answers[0]["Location"] == answers[1]["Location"]
    assert BookingSeries.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"first_day": "someday"}, "Enter a valid date"),
        ({"count": ""}, "Say how often"),
        ({"until": "2030-02-01"}, "Say how often"),
        ({"count": "401"}, "400"),
        ({"exceptions": "tomorrow"}, "Days are written"),
        ({"unit": "WEEKLY", "weekdays": "MO"}, "no day of the rule"),
        ({"count": "", "until": "2042-01-01"}, "10 years"),
    ],
)
def test_what_makes_no_sense_is_said_at_its_field(desk: Desk, fields: dict[str, str], said: str) -> None:
    answer = desk.post("preview/", **fields)

    assert answer.status_code == 422
    assert said in answer.content.decode()


def change(desk: Desk, series: BookingSeries, **fields: Any) -> Any:
    page = desk.client.get(f"/series/{series.pk}/change/").content.decode()
    sent = {
        "version": field(page, "version"), "booking": field(page, "booking"), "scope": "following",
        "starts_at": "2030-01-15 11:00", "ends_at": "2030-01-15 12:00", **fields,
    }  # fmt: skip
    return desk.client.post(f"/series/{series.pk}/change/", sent)


def hours(series: BookingSeries) -> list[int]:
    return [one.starts_at.hour for one in series.bookings.order_by("series_date")]


def test_one_following_or_all_are_changed(desk: Desk) -> None:
    series = desk.booked()

    one = {"starts_at": "2030-01-15 13:00", "ends_at": "2030-01-15 14:00"}
    assert change(desk, series, scope="one", **one).status_code == 302
    assert hours(series) == [12, 10]
    all_of_them = {"starts_at": "2030-01-15 14:00", "ends_at": "2030-01-15 15:00"}
    assert change(desk, series, scope="all", **all_of_them).status_code == 302
    assert hours(series) == [13, 11]


def test_of_a_change_that_cannot_be_the_days_in_the_way_are_named(desk: Desk) -> None:
    series, other = desk.booked(), make_vehicle()
    book_slot(
        fleet=other.fleet, option=desk.booking.option, vehicle=other, period=slot(12, 13, day=2), now=NOW
    )

    answer = change(desk, series, starts_at="2030-01-15 13:00", ends_at="2030-01-15 14:00")

    page = answer.content.decode()
    assert answer.status_code == 409
    assert re.findall(r'<li data-day="([\d-]+)"', page) == ["2030-01-17"]
    assert hours(series) == [10, 10]


@pytest.mark.parametrize("version", ["", "1"])
def test_a_form_that_saw_something_else_changes_nothing(desk: Desk, version: str) -> None:
    series = desk.booked()

    answer = change(desk, series, starts_at="2030-01-15 13:00", ends_at="2030-01-15 14:00", version=version)
    given_up = {"version": version, "scope": "all", "reason": "TRAFFIC"}
    cancelled = desk.client.post(f"/series/{series.pk}/cancellation/", given_up)

    assert (answer.status_code, cancelled.status_code) == (409, 409)
    assert hours(series) == [10, 10]
    assert set(series.bookings.values_list("status", flat=True)) == {"confirmed"}


@pytest.mark.parametrize(("scope", "left"), [("all", 0), ("following", 1)])
def test_a_series_is_given_up(desk: Desk, scope: str, left: int) -> None:
    series = desk.booked()
    last = series.bookings.order_by("series_date").last()
    page = desk.client.get(f"/series/{series.pk}/cancellation/?booking={last.pk}").content.decode()
    sent = {"version": field(page, "version"), "booking": last.pk, "scope": scope, "reason": "TRAFFIC"}

    assert desk.client.post(f"/series/{series.pk}/cancellation/", sent).status_code == 302

    assert series.bookings.filter(status="confirmed").count() == left


def test_a_list_of_many_costs_no_more_queries(desk: Desk, django_assert_max_num_queries) -> None:
    desk.booked()

    with django_assert_max_num_queries(12):
        desk.client.get("/series/")


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("FREQ=DAILY;COUNT=3", "Every day, 3 times"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH;UNTIL=20301231", "Every 2 weeks on Mon, Thu, until 31 Dec 2030"),
        ("FREQ=MONTHLY;BYDAY=-1FR;COUNT=3", "FREQ=MONTHLY;BYDAY=-1FR;COUNT=3"),
        ("FREQ=YEARLY;COUNT=3", "FREQ=YEARLY;COUNT=3"),
    ],
)
def test_a_rule_in_words(rule: str, words: str) -> None:
    assert rule_words(rule) == words


def test_a_slot_of_the_finder_comes_again_from_its_own_day_on(desk: Desk) -> None:
    booking, client = desk.booking, desk.client
    asked = {
        "depot": "HAM",
        "vehicle": "HH-NF 1",
        "starts_at": "2030-01-15T13:00",
        "ends_at": "2030-01-15T14:00",
    }
    sent = {
        "fleet": booking.fleet_id, "option": booking.option_id, "evse": booking.evse_id, "vehicle": booking.vehicle_id,
        "starts_at": at(12).isoformat(), "ends_at": at(13).isoformat(),
    }  # fmt: skip

    found = client.get("/slots/", asked).content.decode()
    shown = client.post("/slots/repeat/", sent).content.decode()
    page = client.post("/slots/repeat/preview/", {**sent, **FORM}).content.decode()
    booked = {**sent, **FORM, "mode": "all", "version": field(page, "version"), "key": field(page, "key")}
    answers = [client.post("/slots/repeat/", booked) for _ in range(2)]

    assert 'formaction="/slots/repeat/"' in found
    assert (field(shown, "first_day"), field(shown, "evse")) == ("2030-01-15", str(booking.evse_id))
    assert set(levels(page).values()) == {"success"}
    series = BookingSeries.objects.get()
    assert [answer["Location"] for answer in answers] == [series.get_absolute_url()] * 2
    assert [f"{one.starts_at:%d %H}" for one in series.bookings.order_by("series_date")] == [
        "15 12", "16 12", "17 12",
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", [{"vehicle": ""}, {"vehicle": "1"}, {"option": "0"}, {"starts_at": "noon"}])
def test_what_is_no_slot_for_a_truck_of_ones_own_is_not_repeated(desk: Desk, wrong: dict[str, str]) -> None:
    booking = desk.booking
    sent = {
        "fleet": booking.fleet_id, "option": booking.option_id, "vehicle": booking.vehicle_id,
        "starts_at": at(12).isoformat(), "ends_at": at(13).isoformat(), **wrong,
    }  # fmt: skip

    assert [desk.client.post(f"/slots/repeat/{path}", sent).status_code for path in ("", "preview/")] == [
        404
    ] * 2
