"""Booking a planned trip with one click, and what its pages show of it."""

from __future__ import annotations

import html
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client

from bookings import operations
from bookings.models import Booking, Trip, Vehicle
from bookings.scheduler import run_tick
from depots.models import Depot
from tests.bookings.pages.test_trip_plan import ASKED, depots, on_the_way, towns
from tests.factories import MANAGER, NOW, book_slot, make_fleet, option_of, slot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "towns")]
__all__ = ["depots", "towns"]


def planned(client: Client, vehicle: Vehicle) -> dict[str, Any]:
    """What the form that books the plan sends."""
    Vehicle.objects.filter(pk=vehicle.pk).update(length_cm=1650, battery_wh=None)
    page = client.get("/trips/plan/", {"vehicle": vehicle.plate, **ASKED}).content.decode()
    form = page.split("data-book-trip")[1].split("</form>")[0]
    fields: dict[str, list[str]] = {}
    for name, value in re.findall(r'name="([a-z_]+)" value="([^"]*)"', form):
        fields.setdefault(name, []).append(html.unescape(value))
    return fields


def test_a_plan_is_booked_with_one_click_and_a_second_one_books_nothing(
    dispatcher: Client, vehicle: Vehicle, depots: list[Depot]
) -> None:
    sent = planned(dispatcher, vehicle)

    answers = [dispatcher.post("/trips/", sent) for _ in range(2)]

    trip = Trip.objects.get()
    assert [(answer.status_code, answer["Location"]) for answer in answers] == [
        (302, f"/trips/{trip.pk}/")
    ] * 2
    assert [stop.depot for stop in trip.stops.order_by("starts_at")] == depots
    assert set(trip.stops.values_list("status", flat=True)) == {"confirmed"}
    page = dispatcher.get(f"/trips/{trip.pk}/").content.decode()
    assert page.count('data-status="confirmed"') == 2
    assert vehicle.plate in dispatcher.get("/trips/").content.decode()


def test_a_stop_that_was_taken_meanwhile_is_named_and_the_trip_planned_anew(
    dispatcher: Client, vehicle: Vehicle, depots: list[Depot]
) -> None:
    sent = planned(dispatcher, vehicle)
    evse = depots[0].evses.get()
    book_slot(fleet=make_fleet(), option=option_of(evse), vehicle=None, period=slot(8, 12, day=1))

    answer = dispatcher.post("/trips/", sent)

    page = answer.content.decode()
    assert answer.status_code == 409
    assert f"Nothing was booked. {depots[0].name}:" in page
    assert "data-book-trip" in page or "data-no-plan" in page
    assert Trip.objects.count() == 0


def test_a_trip_sent_again_with_another_stop_is_not_taken_for_the_old_one(
    dispatcher: Client, vehicle: Vehicle, depots: list[Depot]
) -> None:
    sent = planned(dispatcher, vehicle)
    dispatcher.post("/trips/", sent)
    later = QueryDict(sent["stop"][1], mutable=True)
    for name in ("starts_at", "ends_at"):
        later[name] = (datetime.fromisoformat(later[name]) + timedelta(hours=2)).isoformat()

    answer = dispatcher.post("/trips/", {**sent, "stop": [sent["stop"][0], later.urlencode()]})

    assert answer.status_code == 409
    assert f"Nothing was booked. {depots[0].name}:" in answer.content.decode()
    assert (Trip.objects.count(), Booking.objects.count()) == (1, 2)


@pytest.mark.parametrize("stops", [[], ["option=x"], ["fleet=1&option=1&starts_at=&ends_at="] * 21])
def test_stops_that_make_no_sense_are_refused(dispatcher: Client, stops: list[str]) -> None:
    answer = dispatcher.post("/trips/", {"stop": stops, "question": "origin=Hamburg&destination=Basel"})

    assert answer.status_code == 422
    assert "Plan the trip again." in answer.content.decode()


def test_while_answers_are_missing_the_page_says_until_when_and_then_why_it_failed(
    dispatcher: Client, vehicle: Vehicle
) -> None:
    on_the_way("Holzminden", "51.60", "9.20")
    on_the_way("Mannheim", "49.50", "8.45", terms={"approval": True, "decision_min": 20})
    dispatcher.post("/trips/", planned(dispatcher, vehicle))
    trip = Trip.objects.get()

    page = dispatcher.get(f"/trips/{trip.pk}/").content.decode()
    assert "1 stop waits for an answer" in page
    assert "Tue 15 Jan 09:20" in page

    waiting = trip.stops.get(status="requested")
    operations.decide(booking_id=waiting.pk, accept=False, reason="Full.", actor=MANAGER, now=NOW)
    run_tick(NOW + timedelta(seconds=1))
    page = dispatcher.get(f"/trips/{trip.pk}/").content.decode()
    assert "The stop at Mannheim was declined: Full." in page


def test_cancelling_takes_the_version_that_was_shown(
    dispatcher: Client, vehicle: Vehicle, depots: list[Depot]
) -> None:
    dispatcher.post("/trips/", planned(dispatcher, vehicle))
    trip = Trip.objects.get()
    page = dispatcher.get(f"/trips/{trip.pk}/").content.decode()
    [version] = re.findall(r'name="version" value="(\d+)"', page)
    first = trip.stops.order_by("starts_at").first()
    assert first is not None
    operations.cancel_booking(booking_id=first.pk, reason="TRAFFIC", by="fleet", actor=MANAGER, now=NOW)

    stale = dispatcher.post(f"/trips/{trip.pk}/cancellation/", {"version": version})
    assert stale.status_code == 409
    assert Booking.objects.live().count() == 1

    [version] = re.findall(r'name="version" value="(\d+)"', stale.content.decode())
    assert dispatcher.post(f"/trips/{trip.pk}/cancellation/", {"version": version}).status_code == 302
    assert Booking.objects.live().count() == 0


def test_a_list_of_many_trips_costs_no_more_queries(
    dispatcher: Client, vehicle: Vehicle, depots: list[Depot], django_assert_max_num_queries: Any
) -> None:
    sent = planned(dispatcher, vehicle)
    dispatcher.post("/trips/", sent)
    [stop] = Trip.objects.all()
    copy = Trip.objects.create(
        fleet=stop.fleet, status="booked", asked_at=NOW, settled_at=NOW, asked_by_kind="dispatcher"
    )
    moved = stop.stops.order_by("starts_at").first()
    assert moved is not None
    Booking.objects.filter(pk=moved.pk).update(trip=copy)

    with django_assert_max_num_queries(12):
        page = dispatcher.get("/trips/").content.decode()

    assert page.count("data-trip=") == 2
