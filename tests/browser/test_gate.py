"""Trucks that come: told with one click in the yard, shown to both sides, and the pages fit and are accessible."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from bookings import operations
from bookings.models import Booking
from bookings.operations.vehicle_states import Told
from bookings.rules.charging_duration import EnergyAsked
from depots.periods import Period
from tests import factories
from tests.browser.test_manager import violations
from tests.browser.yards import Yard, make_yard
from tests.factories import DISPATCHER

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def yard() -> Yard:
    return make_yard(slot_step_min=1, early_start_min=15)


@pytest.fixture
def truck(yard: Yard) -> Booking:
    """Due in ten minutes, late by as many, with less in its battery than was thought."""
    now = timezone.now().replace(second=0, microsecond=0)
    starts_at = now + timedelta(minutes=10)
    vehicle = factories.make_vehicle(yard.fleet, plate="HH-NF 100", battery_wh=600_000)
    booking = factories.book_slot(
        fleet=yard.fleet, option=factories.option_of(yard.evses[0]), vehicle=vehicle,
        period=Period(starts_at, starts_at + timedelta(hours=1)), energy=EnergyAsked(soc_from=40, soc_to=80),
        actor=DISPATCHER, now=now,
    )  # fmt: skip
    told = Told(soc=15, eta=starts_at + timedelta(minutes=10))
    operations.tell_vehicle_state(vehicle, told, now=now - timedelta(minutes=3))
    return booking


@pytest.mark.parametrize("width", [1440, 390])
def test_a_truck_is_told_to_be_here_and_its_fleet_sees_it(
    yard: Yard, truck: Booking, opened: Callable[..., Page], width: int
) -> None:
    dispatcher = factories.make_user(yard.fleet)
    of_booking = f"/bookings/{truck.pk}/"
    page = opened(yard.manager, f"/depots/{yard.depot.code}/", width=width)
    row = page.locator(f"tr[data-booking='{truck.pk}']")
    expect(row).to_contain_text("Expected")
    _fits(page, width, "yard")

    row.get_by_role("button", name="HH-NF 100 is here").click()
    expect(row).to_contain_text("Here since")
    _fits(page, width, "yard-here")
    page.goto(page.url.split("/depots/")[0] + f"/depots/{yard.depot.code}/board/bookings/{truck.pk}/")
    expect(page.get_by_role("button", name="It is not here")).to_be_visible()
    _fits(page, width, "panel")

    page = opened(dispatcher, of_booking, width=width)
    expect(page.locator("dd[data-arrived]")).to_be_visible()
    _fits(page, width, "booking-arrived")


@pytest.mark.parametrize("width", [1440, 390])
def test_what_telematics_tell_and_what_comes_next_fit_the_page(
    yard: Yard, truck: Booking, opened: Callable[..., Page], width: int
) -> None:
    page = opened(factories.make_user(yard.fleet), f"/bookings/{truck.pk}/", width=width)
    expect(page.locator("dd[data-eta]")).to_contain_text(re.compile(r"told \d+ min ago"))
    expect(page.locator("dd[data-soc]")).to_contain_text("longer than booked")
    expect(page.get_by_role("heading", name="Book again")).to_be_visible()
    _fits(page, width, "booking-told")

    site = page.url.split("/bookings/")[0]
    page.goto(f"{site}/bookings/many/")
    page.locator("summary", has_text="Copy a day").click()
    _fits(page, width, "many")
    page.goto(f"{site}/slots/?latest_start=2099-01-01T10:00&max_price=5")
    _fits(page, width, "finder")


def _fits(page: Page, width: int, name: str) -> None:
    assert violations(page) == [], name
    assert page.evaluate("document.documentElement.scrollWidth") <= width, name
