"""A manager writes a tariff and reads, while typing, what it means."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from bookings.models import Tariff
from depots.models import Membership
from tests.factories import make_depot, make_evse, make_operator, make_user
from tests.serving import BerthServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def page(
    browser: Browser, browser_context_args: dict[str, object], berth_server: BerthServer
) -> Iterator[Page]:
    """The manager's browser, where the page's own scripts or its policy complain about nothing."""
    operator = make_operator("Ladepark")
    make_evse(make_depot(operator=operator, code="LPK-1", name="Venlo"))
    user = make_user(operator, role=Membership.Role.DEPOT_MANAGER)
    context = browser.new_context(base_url=berth_server.url, **browser_context_args)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    page = context.new_page()
    page.goto("/")
    names = [str(cookie.get("name")) for cookie in context.cookies()]
    name = next(name for name in names if "csrf" in name).replace("csrf", "session")
    context.add_cookies([{"name": name, "value": str(client.session.session_key), "url": berth_server.url}])
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
    yield page
    context.close()
    assert complaints == []


def test_a_manager_writes_a_tariff_and_reads_what_it_means_while_typing(page: Page) -> None:
    page.goto("/tariffs/")
    page.get_by_role("link", name="Make a charging tariff").click()
    meaning = page.locator("#tariff-preview")

    page.get_by_label("A kWh").fill("0.39")
    expect(meaning).to_contain_text("A kWh costs €0.39.")
    expect(meaning).to_contain_text("€97.50")
    page.get_by_role("button", name="Add a price").click()
    expect(page.locator("[data-element]")).to_have_count(2)
    second = page.locator('[data-element="1"]')
    second.get_by_label("A kWh").fill("0.32")
    second.get_by_label("From", exact=True).fill("22:00")
    second.get_by_label("To", exact=True).fill("06:00")
    expect(meaning).to_contain_text("never counts")
    page.get_by_role("button", name="Move price 2 up").click()
    expect(meaning).to_contain_text("From 22:00 to 06:00, a kWh costs €0.32.")
    expect(meaning).not_to_contain_text("never counts")

    page.get_by_role("button", name="Make this tariff").click()
    expect(page.locator("#id_name_error")).to_be_visible()
    page.get_by_label("Name").fill("Day and night")
    page.get_by_label("Id").fill("POWER")
    page.get_by_label("Venlo").check()
    page.get_by_role("button", name="Make this tariff").click()

    expect(page.get_by_role("heading", name="Day and night")).to_be_visible()
    expect(page.locator("#tariff")).to_contain_text("Otherwise, a kWh costs €0.39.")
    expect(page.locator("#tariff")).to_contain_text("Venlo The whole depot")
    assert Tariff.objects.get().code == "POWER"
