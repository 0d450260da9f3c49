"""A booking is repeated in a real browser: looked at, put right in its place, booked, changed and given up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from bookings.models import BookingSeries
from depots.periods import Period
from tests.browser.yards import Yard
from tests.factories import book_slot, make_option, make_user, make_vehicle
from tests.money_factories import make_prices

AXE = Path(__file__).parent / "vendor/axe.min.js"
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("width", [1440, 390])
def test_a_booking_is_repeated(yard: Yard, opened: Callable[..., Page], width: int) -> None:
    make_prices(yard.depot, time_per_hour=60)
    option = make_option(yard.evses[0], code="VENLO")
    first, other, now = make_vehicle(yard.fleet, plate="W-AT 1"), make_vehicle(), timezone.now()
    starts_at = (now + timedelta(days=1)).replace(hour=10, minute=0, second=0, microsecond=0)
    period = Period(starts_at, starts_at + timedelta(hours=1))
    booking = book_slot(fleet=yard.fleet, option=option, vehicle=first, period=period, now=now)
    next_day = Period(period.starts_at + timedelta(days=1), period.ends_at + timedelta(days=1))
    book_slot(fleet=other.fleet, option=option, vehicle=other, period=next_day, now=now)
    page = opened(make_user(yard.fleet), f"/bookings/{booking.pk}/", width=width)

    page.get_by_role("link", name="Repeat").click()
    page.get_by_label("Unit").select_option("DAILY")
    page.get_by_role("button", name="See what becomes of each day").click()
    expect(page.locator("[data-level='success']")).to_have_count(3)
    assert_sound(page, width)
    page.locator("[data-level='danger'] button[name=take]").click()
    page.get_by_role("button", name="Book all 4").click()

    expect(page.get_by_role("heading", name="W-AT 1")).to_be_visible()
    assert BookingSeries.objects.get().bookings.count() == 4
    assert_sound(page, width)
    page.get_by_role("link", name="Change").first.click()
    page.get_by_label("All that have not begun").check()
    assert_sound(page, width)
    page.get_by_role("link", name="Keep as it is").click()
    page.get_by_role("link", name="Give up").click()
    page.get_by_role("button", name="Give up").click()
    expect(page.get_by_text("This series was given up.")).to_be_visible()


def assert_sound(page: Page, width: int) -> None:
    """No wider than the screen, and nothing that axe finds wrong."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate(AXE.read_text() + "; undefined")
    found = page.evaluate("axe.run().then(result => result.violations)")
    assert [f"{rule['id']}: {node['html']}" for rule in found for node in rule["nodes"]] == []
