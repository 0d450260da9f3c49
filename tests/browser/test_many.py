"""A pasted table in a real browser: checked, put right in its place, and booked, by keyboard as by mouse."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from bookings.models import Booking
from tests.browser.yards import Yard
from tests.factories import make_option, make_user, make_vehicle
from tests.money_factories import make_prices

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("width", [1440, 390])
def test_a_pasted_table_is_put_right_and_booked(yard: Yard, opened: Callable[..., Page], width: int) -> None:
    make_prices(yard.depot, time_per_hour=60)
    make_option(*yard.evses, code="VENLO")
    for number in (1, 2, 3, 4):
        make_vehicle(yard.fleet, plate=f"W-AT {number}")
    page = opened(make_user(yard.fleet), "/bookings/many/", width=width)
    rows = [f"W-AT {number}\tVENLO\tmorgen\t9:00\t60 min" for number in (1, 2, 3, 4)]

    page.get_by_label("Table").fill("\n".join([*rows, "W-AT 9\tVENLO\tmorgen\t9:00\t60 min"]))
    page.get_by_role("button", name="Check the table").click()
    expect(page.locator("[data-row][data-level='success']")).to_have_count(3)
    expect(page.get_by_role("button", name="Book the 3 that can be")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width

    page.locator("[data-row='4'] button").click()  # the nearest time
    expect(page.locator("[data-row][data-level='success']")).to_have_count(4)
    page.get_by_label("Row 5").fill("W-AT 1; VENLO; morgen; 12:00; 60 min")
    page.keyboard.press("Enter")  # checks, and presses no other button
    expect(page.get_by_label("Row 5")).to_have_value("W-AT 1; VENLO; morgen; 12:00; 60 min")
    page.get_by_role("button", name="Book all 5").click()

    expect(page.get_by_text("5 of 5 booked or asked for.")).to_be_visible()
    assert Booking.objects.count() == 5
