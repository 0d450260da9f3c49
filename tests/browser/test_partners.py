"""The pages about partner networks in a real browser: seen live, by keyboard, on a phone, and without barriers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from depots.models import Membership, User
from roaming import deviations
from roaming.models import Partner, PartnerObject
from tests import factories
from tests.roaming import pushed_objects
from tests.roaming.partners import make_partner

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

AXE = Path(__file__).parent / "vendor/axe.min.js"
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def partner() -> Partner:
    now = timezone.now()
    found = make_partner(
        "XYZ", deviations={"location.unreadable": 2, "id.too_long": 1}, versions_url="https://x.example/v"
    )
    found.deliveries.create(
        kind="booking", object_id=1, wanted_version=1, next_try_at=now, last_error="no answer in time"
    )
    found.messages.create(
        at=now, is_incoming=True, method="POST", url="/ocpi/cpo/2.3.0/bookings", request_body='{"a": 1}', http_status=200,
        request_headers="X-Request-ID: 1",
    )  # fmt: skip
    PartnerObject.objects.create(
        partner=found, kind="booking", country_code="SE", party_id="XYZ", key="B-1", raw=pushed_objects.booking(),
        received_at=now, is_unmatched=True,
    )  # fmt: skip
    return found


@pytest.fixture
def admin() -> User:
    return factories.make_user(factories.make_fleet(), Membership.Role.ADMIN, is_staff=True)


def violations(page: Page) -> list[str]:
    page.evaluate(AXE.read_text() + "; undefined")
    found = page.evaluate("axe.run().then(result => result.violations)")
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found]


def test_pages_about_partners_have_no_barriers_and_fit_a_phone(
    partner: Partner, admin: User, opened: Callable[..., Page]
) -> None:
    page = opened(admin, "/partners/")
    message = partner.messages.get()
    for size in (None, PHONE):
        if size:
            page.set_viewport_size(size)
        for address in ("", "registration/", "messages/", f"messages/{message.pk}/", "deliveries/",
                        f"deviations/{partner.deviations_seen.first().pk}/", "../new/"):  # fmt: skip
            page.goto(page.url.split("/partners/")[0] + f"/partners/{partner.pk}/{address}")
            if size:
                assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], address
            else:
                assert violations(page) == [], address


def test_a_partner_is_paused_by_keyboard_and_an_open_page_hears_of_it_and_of_what_it_sends(
    partner: Partner, admin: User, opened: Callable[..., Page]
) -> None:
    other = opened(admin, f"/partners/{partner.pk}/")
    page = opened(admin, f"/partners/{partner.pk}/")
    expect(other.locator("html")).to_have_attribute("data-live", "on")

    page.get_by_role("button", name="Pause sending").focus()
    page.keyboard.press("Enter")

    expect(page.get_by_role("button", name="Resume sending")).to_be_visible()
    expect(other.get_by_role("button", name="Resume sending")).to_be_visible()
    deviations.count(partner, ["evse.unreadable"])
    expect(other.locator("[data-deviation='evse.unreadable']")).to_be_visible()
