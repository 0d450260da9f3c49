"""A trip from Hamburg to Basel in a real browser, from the question to booked slots; and a slot that is waited for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from bookings.models import Booking, Trip, WaitlistEntry
from bookings.operations import SlotRequest, join_waitlist, serve_depot
from depots.models import Agreement, Evse
from depots.operations.gazetteer import replace_places
from depots.periods import Period
from tests.browser.yards import Yard
from tests.factories import DISPATCHER, make_depot, make_evse, make_user, make_vehicle, option_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
AXE = Path(__file__).parent / "vendor/axe.min.js"


@pytest.fixture
def towns() -> None:
    places = [("Hamburg", "DE", 53.55, 9.99, "Europe/Berlin"), ("Basel", "CH", 47.56, 7.59, "Europe/Zurich")]
    rows = [
        {
            "geonameid": number, "name": name, "countrycode": country, "latitude": latitude, "longitude": longitude,
            "population": 178_000, "timezone": zone, "alternatenames": [],
        }
        for number, (name, country, latitude, longitude, zone) in enumerate(places)
    ]  # fmt: skip
    replace_places(rows, version="two towns", now=timezone.now())


def place(name: str, **fields: str) -> Evse:
    depot = make_depot(name=name, open_to_all=False, **fields)
    Agreement.objects.create(depot=depot, starts_at=timezone.now() - timedelta(days=1))
    return make_evse(depot, max_vehicle_length_cm=1875)


def faults(page: Page) -> list[str]:
    page.evaluate(AXE.read_text() + "; undefined")
    found = page.evaluate("axe.run().then(result => result.violations)")
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found]


@pytest.mark.usefixtures("towns")
@pytest.mark.parametrize("width", [1440, 390])
def test_a_tractor_trailer_from_hamburg_to_basel_is_booked_with_six_inputs(
    yard: Yard, opened: Callable[..., Page], width: int
) -> None:
    """Vehicle, from, to, departure, Plan, Book the trip."""
    for name, latitude, longitude in (("Holzminden", "51.60", "9.20"), ("Mannheim", "49.50", "8.45")):
        place(name, latitude=latitude, longitude=longitude)
    make_vehicle(yard.fleet, plate="HH-LZ 1650", length_cm=1650)
    page, inputs = opened(make_user(yard.fleet), "/trips/plan/", width=width), 0
    departure = f"{timezone.now() + timedelta(days=1):%Y-%m-%d} 06:00"

    page.get_by_label("Vehicle").select_option("HH-LZ 1650")
    for label, text in (("From", "Hamburg"), ("To", "Basel"), ("Departure", departure)):
        page.get_by_label(label, exact=True).fill(text)
        inputs += 1
    page.get_by_role("button", name="Plan", exact=True).click()
    expect(page.locator("[data-stop]")).to_have_count(2)
    assert faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Book the trip").click()
    inputs += 3

    expect(page.get_by_role("heading", name="Trip of HH-LZ 1650")).to_be_visible()
    assert inputs <= 6
    assert list(Trip.objects.get().stops.values_list("status", flat=True)) == ["confirmed"] * 2
    assert faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [1440, 390])
def test_an_offer_is_taken_before_its_clock_runs_out(
    yard: Yard, opened: Callable[..., Page], width: int
) -> None:
    now = timezone.now()
    start = now.replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    evse, truck = place("Kassel"), make_vehicle(yard.fleet, plate="HH-WT 1")
    asked = SlotRequest(
        fleet=yard.fleet,
        option=option_of(evse),
        vehicle=truck,
        period=Period(start, start + timedelta(hours=1)),
    )
    entry = join_waitlist(asked, actor=DISPATCHER, now=now)
    serve_depot(depot_id=evse.depot_id, now=now)
    page = opened(make_user(yard.fleet), "/waitlist/", width=width)

    expect(page.get_by_role("timer")).not_to_be_empty()
    assert faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Take it").click()

    expect(page.get_by_role("heading", name="HH-WT 1")).to_be_visible()
    assert Booking.objects.get(fleet=yard.fleet, vehicle=truck).status == "confirmed"
    assert WaitlistEntry.objects.get(pk=entry.pk).status == "accepted"
