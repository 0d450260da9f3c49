"""An accountant bills a month, looks at an invoice and records that it was paid."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from bookings.billing.months import Month
from depots.models import Membership
from tests.bookings.billing.billed import make_buyer, make_seller, make_site, record
from tests.factories import make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_month_is_billed_and_an_invoice_is_paid(opened: Callable[..., Page]) -> None:
    month = Month.of(datetime.now(UTC).date()).previous
    moment = month.in_zone("UTC").starts_at + timedelta(days=9)
    seller = make_seller()
    for number in range(3):
        record(make_site(seller), make_buyer(f"Fleet {number}"), starts_at=moment, ends_at=moment)
    accountant = make_user(seller, Membership.Role.ACCOUNTANT)

    page = opened(accountant, "/invoices/")
    page.locator("#bill").get_by_label("Month").fill(str(month))
    page.locator("#bill").get_by_role("button", name="Bill").click()
    rows = page.locator("tr[data-invoice]")
    expect(rows).to_have_count(3)
    page.get_by_role("link", name="000001").click()
    page.get_by_role("button", name="Record a payment").click()

    expect(page.locator("article[data-state='paid']")).to_be_visible()
    expect(page.get_by_text("Nothing is open.")).to_be_visible()
