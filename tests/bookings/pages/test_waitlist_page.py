"""The waiting list before a dispatcher: joined where the finder says taken, with what is on offer to take or to let go."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from bookings import operations
from bookings.core import calendars
from bookings.models import Booking, Vehicle, WaitlistEntry
from bookings.scheduler import serve_waitlist
from depots.models import Evse
from tests.factories import (
    DISPATCHER,
    NOW,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_vehicle,
    option_of,
    slot,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
QUESTION = {"starts_at": "2030-01-15 11:00", "ends_at": "2030-01-15 12:00"}


@pytest.fixture
def taken(db: None) -> Booking:
    evse: Evse = make_evse(make_depot(name="Kassel"))
    other = make_fleet()
    return book_slot(fleet=other, option=option_of(evse), vehicle=make_vehicle(other), period=slot(10, 11))


def waiting(client: Client, vehicle: Vehicle) -> dict[str, Any]:
    """What the button of the taken slot sends."""
    page = client.get("/slots/", {**QUESTION, "vehicle": vehicle.plate}).content.decode()
    form = re.search(r'<form method="post" action="/waitlist/".*?</form>', page, re.DOTALL)
    button = re.search(r'name="place" value="([^"]+)"', page)
    assert form
    assert button
    fields = re.findall(r'name="([a-z_]+)" value="([^"]*)"', form[0])
    return {name: html.unescape(value) for name, value in fields} | {"place": button[1]}


def give_back(booking: Booking) -> None:
    operations.cancel_booking(booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=NOW)
    now = NOW + timedelta(seconds=1)
    calendars.raise_marked(lambda: now)
    serve_waitlist(now)


def shown(client: Client) -> tuple[str, str]:
    """The page, and the version its forms carry."""
    page = client.get("/waitlist/").content.decode()
    return page, next(iter(re.findall(r'name="version" value="(\d+)"', page)), "")


def test_a_taken_slot_is_waited_for_from_the_finder_and_taken_when_it_is_offered(
    dispatcher: Client, vehicle: Vehicle, taken: Booking
) -> None:
    answer = dispatcher.post("/waitlist/", waiting(dispatcher, vehicle))

    entry = WaitlistEntry.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, "/waitlist/")
    assert (entry.vehicle, entry.period.in_utc(), entry.evse) == (vehicle, slot(10, 11), taken.evse)
    page, early = shown(dispatcher)
    assert "Waiting" in page
    assert "Take it" not in page
    again = dispatcher.post("/waitlist/", waiting(dispatcher, vehicle))
    assert (again.status_code, WaitlistEntry.objects.count()) == (409, 1)

    give_back(taken)
    Booking.objects.filter(fleet=entry.fleet).update(quote={"total": "12.30", "currency": "EUR"})
    page, version = shown(dispatcher)
    assert 'data-countdown="2030-01-15T08:15:01+00:00"' in page
    assert "Kept for you until 09:15, about €12.30" in html.unescape(page).replace("\xa0", "")
    assert dispatcher.post(f"/waitlist/{entry.pk}/acceptance/", {"version": early}).status_code == 409

    answer = dispatcher.post(f"/waitlist/{entry.pk}/acceptance/", {"version": version})
    booking = Booking.objects.get(fleet=entry.fleet)
    assert (answer.status_code, answer["Location"]) == (302, f"/bookings/{booking.pk}/")
    assert booking.status == "confirmed"


def test_what_is_let_go_goes_to_others(dispatcher: Client, vehicle: Vehicle, taken: Booking) -> None:
    dispatcher.post("/waitlist/", waiting(dispatcher, vehicle))
    give_back(taken)
    entry = WaitlistEntry.objects.get()
    _, version = shown(dispatcher)

    assert dispatcher.post(f"/waitlist/{entry.pk}/leaving/", {"version": version}).status_code == 302

    entry.refresh_from_db()
    assert (entry.status, Booking.objects.live().count()) == ("withdrawn", 0)
    assert dispatcher.post(f"/waitlist/{entry.pk}/leaving/", {"version": version}).status_code == 409


@pytest.mark.parametrize("sent", [{}, {"place": "1-x"}, {"place": "999999-", "fleet": "1"}])
def test_a_slot_that_makes_no_sense_is_refused(dispatcher: Client, sent: dict[str, str]) -> None:
    assert dispatcher.post("/waitlist/", sent).status_code == 422
    assert WaitlistEntry.objects.count() == 0


def test_a_list_of_many_costs_no_more_queries(
    dispatcher: Client, vehicle: Vehicle, taken: Booking, django_assert_max_num_queries: Any
) -> None:
    dispatcher.post("/waitlist/", waiting(dispatcher, vehicle))
    entry = WaitlistEntry.objects.get()
    for number in range(1, 6):
        entry.pk, entry.ends_at = None, entry.ends_at + timedelta(minutes=number)
        entry.save()

    with django_assert_max_num_queries(11):
        page = dispatcher.get("/waitlist/").content.decode()

    assert page.count("data-waiting=") == 6


def test_what_is_over_stands_behind_what_is_open_and_is_forgotten_after_a_term(
    dispatcher: Client, vehicle: Vehicle, taken: Booking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bookings.pages.views.waitlist.A_PAGE", 2)
    dispatcher.post("/waitlist/", waiting(dispatcher, vehicle))
    entry = WaitlistEntry.objects.get()
    over = [None, *(NOW - timedelta(days=days) for days in (89, 90, 1))]
    for number, settled_at in enumerate(over, start=1):
        entry.pk, entry.settled_at, entry.ends_at = (
            None,
            settled_at,
            entry.ends_at + timedelta(minutes=number),
        )
        entry.status = "expired" if settled_at else "waiting"
        entry.save()
    first, second, days_89, days_90, days_1 = WaitlistEntry.objects.order_by("pk").values_list(
        "pk", flat=True
    )

    assert [shown_on(dispatcher, page) for page in (1, 2, 3)] == [
        [first, second],
        [days_1, days_89],
        [days_90],
    ]

    operations.forget_settled(now=NOW)
    assert [shown_on(dispatcher, page) for page in (1, 2)] == [[first, second], [days_1, days_89]]


def shown_on(client: Client, page: int) -> list[int]:
    shown = client.get("/waitlist/", {"page": page}).content.decode()
    return [int(pk) for pk in re.findall(r'data-waiting="(\d+)"', shown)]
