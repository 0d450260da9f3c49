"""Journeys of money in a real browser: what both sides say about a record, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from depots.models import Membership
from tests.billing_factories import charge, priced_booking, records
from tests.factories import make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_fleet_disputes_a_line_the_depot_accepts_and_a_credit_appears(opened: Callable[..., Page]):
    booking = priced_booking()
    charge(booking)
    [cdr] = records()
    fleet = make_user(booking.fleet, Membership.Role.DISPATCHER, email="dispatcher@fleet.example")
    depot = make_user(booking.depot.operator, Membership.Role.DEPOT_MANAGER, email="manager@depot.example")

    ours = opened(fleet, f"/records/{cdr.pk}/")
    ours.click("#do-dispute")
    form = ours.locator("#dispute")
    fee = form.locator("option", has_text="ooking fee")
    expect(fee).to_be_attached()
    form.locator("select").select_option(fee.get_attribute("value"))
    form.locator("textarea, input[name=reason]").fill("The bay was taken when he came.")
    form.locator("button[type=submit]").click()
    expect(ours.locator("[data-dispute=open]")).to_contain_text("The bay was taken")

    theirs = opened(depot, "/revenue/?month=2030-01")
    theirs.get_by_role("link", name=cdr.code).first.click()
    theirs.get_by_role("link", name="Answer").click()
    theirs.locator("#answer").get_by_role("button", name="Accept and credit").click()
    expect(theirs.locator("[data-dispute=accepted]")).to_be_visible()

    ours.goto(f"{ours.url.split('/records/')[0]}/costs/?month=2030-01")
    expect(ours.locator("#month")).to_contain_text("Credit: Charging session")
    assert [each.is_credit for each in records()] == [False, True, False]
    first, credit, anew = records()
    assert credit.before_taxes == -first.before_taxes
    assert first.before_taxes - anew.before_taxes == 5
