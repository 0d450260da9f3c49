"""Many at once out of a pasted table: each row shows what becomes of it, is put right in its place, and booked by one click."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import time_machine
from django.test import Client

from bookings.models import Booking, BookingOption, Trailer
from depots.models import Depot, Organisation
from tests.bookings.people import client_of
from tests.factories import (
    NOW,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_option,
    make_user,
    make_vehicle,
    slot,
)
from tests.money_factories import make_prices

pytestmark = pytest.mark.django_db


@dataclass
class Desk:
    """A dispatcher at a depot of two EVSEs in Berlin (an hour ahead of UTC), with three trucks."""

    fleet: Organisation
    depot: Depot
    pool: BookingOption
    client: Client

    def post(self, path: str, **fields: Any) -> Any:
        return self.client.post(f"/bookings/many/{path}", {"fleet": self.fleet.pk, **fields})


@pytest.fixture
def desk() -> Iterator[Desk]:
    depot = make_depot(code="HAM", name="Hamburg")
    make_prices(depot, time_per_hour=60)
    pool = make_option(*[make_evse(depot, option=False) for _ in range(2)], code="HAM-POOL")
    fleet = make_fleet()
    for number in (1, 2, 3):
        make_vehicle(fleet, plate=f"HH-NF {number}")
    with time_machine.travel(NOW, tick=False):
        yield Desk(fleet, depot, pool, client_of(make_user(fleet)))


TABLE = (
    "Kennzeichen;Depot;Datum;von;bis\nhh nf 1;HAM;15.1.;11:00;12:00\nHH-NF 2;Hamburg;15.01.2030;11 Uhr;60 min"
)


def hidden(html: str, name: str) -> list[str]:
    return re.findall(rf'name="{name}"[^>]* value="([^"]*)"', html)


def sent_again(html: str) -> dict[str, Any]:
    """What the browser would send of the form."""
    return {"key": hidden(html, "key")[0], "version": hidden(html, "version")[0], "row": hidden(html, "row")}


def levels(html: str) -> list[str]:
    return re.findall(r'data-level="(\w+)"', html)


def test_a_table_is_shown_with_place_and_price_and_booked_by_one_click(desk):
    page = desk.post("rows/", table=TABLE)
    html = page.content.decode()

    assert page.status_code == 200
    assert levels(html) == ["success", "success"]
    assert html.count("€60.00") == 2
    assert Booking.objects.count() == 0

    form = sent_again(html)
    assert desk.post("", mode="all", **form).status_code == 302
    assert desk.post("", mode="all", **form).status_code == 302  # a second click

    booked = Booking.objects.order_by("plate")
    assert [(b.plate, b.period, b.option) for b in booked] == [
        ("HH-NF 1", slot(10, 11), desk.pool),
        ("HH-NF 2", slot(10, 11), desk.pool),
    ]


def test_what_cannot_be_booked_says_why_and_takes_the_nearest_time(desk):
    html = desk.post("rows/", table=f"{TABLE}\nHH-NF 3;HAM;15.1.;11:00;12:00").content.decode()
    form = sent_again(html)

    assert levels(html) == ["success", "success", "danger"]
    nearest = hidden(html, "nearest-3")
    assert len(nearest) == 1
    assert desk.post("", mode="all", **form).status_code == 409
    assert Booking.objects.count() == 0

    taken = desk.post("rows/", take="3", **{**form, "nearest-3": nearest[0]}).content.decode()
    assert levels(taken) == ["success"] * 3
    assert desk.post("", mode="all", **sent_again(taken)).status_code == 302
    assert Booking.objects.count() == 3


def test_what_fits_is_booked_and_the_rest_stays_to_be_put_right(desk):
    html = desk.post("rows/", table=f"{TABLE}\nHH-NF 9;HAM;15.1.;11:00;12:00").content.decode()

    assert levels(html)[-1] == "danger"
    assert "Vehicle: HH-NF 9 is no vehicle of" in html
    assert desk.post("", mode="all", **sent_again(html)).status_code == 422
    assert Booking.objects.count() == 0

    left = desk.post("", mode="what_fits", **sent_again(html))
    assert Booking.objects.count() == 2
    assert [line.split(";")[0] for line in hidden(left.content.decode(), "row")] == ["HH-NF 9"]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("HH-NF 1;BER;15.1.;11:00;12:00", "Depot: no depot or option BER is open to you."),
        ("HH-NF 1;HAM;1/2/2030;11:00;12:00", "Date: 1/2/2030 is two days"),
        ("HH-NF 1;HAM;15.1.;11;12:00", "From: 11 is no time of day: write 14:30."),
        ("HH-NF 1;HAM;15.1.;11:00;9", "To: 9 is a time or a length: write 9:00 or 9 min."),
        ("HH-NF 1;HAM;31.3.2030;2:30;4:00", "From: 02:30 does not exist on 31 March"),
        ("HH-NF 1;HAM;15.1.;11:00;12:00;11:30", "Latest: that is before its end."),
        ("HH-NF 1;HAM;15.1.;11:00;12:00;;viel", "kW: viel is no power"),
        ("HH-NF 1;HAM;15.1.;7:00;8:00", "past"),
    ],
)
def test_a_row_that_is_not_understood_names_its_column(desk, row, why):
    html = desk.post("rows/", table=row).content.decode()

    assert levels(html) == ["danger"]
    assert why in html


def test_what_changed_since_it_was_shown_is_shown_anew_and_not_booked(desk):
    form = sent_again(desk.post("rows/", table=TABLE).content.decode())
    for _ in range(2):
        book_slot(fleet=desk.fleet, option=desk.pool, vehicle=make_vehicle(desk.fleet), period=slot(10, 11))

    again = desk.post("", mode="what_fits", **form)
    unseen = desk.post("", mode="what_fits", key=form["key"], row=form["row"])

    assert (again.status_code, unseen.status_code) == (409, 409)
    assert levels(again.content.decode()) == ["danger", "danger"]
    assert Booking.objects.count() == 2


def test_forty_trucks_are_checked_and_booked_with_as_many_queries_a_row_as_few(
    desk, django_assert_max_num_queries
):
    evses = [make_evse(desk.depot, option=False) for _ in range(38)]
    desk.pool.evses.add(*evses)
    for number in range(4, 41):
        make_vehicle(desk.fleet, plate=f"HH-NF {number}")
    table = "\n".join(f"HH-NF {number}\tHAM\ttomorrow\t7:30\t45 min" for number in range(1, 41))

    with django_assert_max_num_queries(40 * 20):
        html = desk.post("rows/", table=table).content.decode()
    assert levels(html) == ["success"] * 40

    assert desk.post("", mode="all", **sent_again(html)).status_code == 302
    assert Booking.objects.count() == 40


def test_the_page_is_for_dispatchers_and_begins_empty(desk):
    assert "Check the table" in desk.client.get("/bookings/many/").content.decode()
    assert client_of(make_user(desk.depot.operator, "viewer")).get("/bookings/many/").status_code == 404


def test_a_day_is_copied_to_another_as_rows_that_can_be_booked(desk: Desk) -> None:
    trucks = list(desk.fleet.vehicles.order_by("plate"))
    trailer = Trailer.objects.create(fleet=desk.fleet, plate="HH-T 1")
    book_slot(fleet=desk.fleet, option=desk.pool, vehicle=trucks[0], period=slot(10, 11), power_w=200_000)
    book_slot(fleet=desk.fleet, option=desk.pool, vehicle=trucks[1], trailer=trailer, period=slot(12, 13))
    late = book_slot(fleet=desk.fleet, option=desk.pool, vehicle=trucks[2], period=slot((23, 15), (23, 45)))
    gone = book_slot(fleet=desk.fleet, option=desk.pool, vehicle=trucks[2], period=slot(14, 15))
    Booking.objects.filter(pk=gone.pk).update(status="cancelled")

    shown = desk.post("copy/", copied_day="2030-01-15", to_day="2030-01-17")

    html = shown.content.decode()
    assert shown.status_code == 200
    assert hidden(html, "row") == [
        "HH-NF 1; HAM-POOL; 2030-01-17; 11:00; 12:00; ; 200",
        "HH-NF 2; HAM-POOL; 2030-01-17; 13:00; 14:00; ; ; HH-T 1",
    ]
    assert late.starts_at.day == 15  # the next day in Berlin
    assert desk.post("", **sent_again(html), mode="all").status_code == 302
    copied = Booking.objects.filter(starts_at__day=17).order_by("starts_at")
    assert [(one.plate, one.wished_power_w, one.trailer) for one in copied] == [
        ("HH-NF 1", 200_000, None),
        ("HH-NF 2", None, trailer),
    ]


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (("2030-01-15", "2030-01-15"), "That is the same day."),
        (("2030-01-16", "2030-01-17"), "begins on that day"),
        (("yesterday", "2030-01-17"), "valid date"),
    ],
)
def test_a_day_that_cannot_be_copied_is_said_so(desk: Desk, days: tuple[str, str], words: str) -> None:
    response = desk.post("copy/", copied_day=days[0], to_day=days[1])

    assert response.status_code == 422
    assert words in response.content.decode()
