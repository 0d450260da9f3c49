"""What somebody is told appears in the shell and in the inbox while they look, and is read with a click."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from bookings.models import Booking
from bookings.notifications import expansion
from depots.models import Membership, User
from tests.factories import NOW, book_slot, make_evse, make_user, make_vehicle, option_of, slot
from tests.serving import BerthServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def booking() -> Booking:
    evse, vehicle = make_evse(), make_vehicle(plate="HH-NF 7")
    evse.depot.terms.approval = True
    evse.depot.terms.save()
    make_user(evse.depot.operator, Membership.Role.DEPOT_MANAGER)
    return book_slot(fleet=vehicle.fleet, option=option_of(evse), vehicle=vehicle, period=slot(10, 11))


@pytest.fixture
def page(
    browser: Browser, browser_context_args: dict[str, object], berth_server: BerthServer, booking: Booking
) -> Iterator[Page]:
    """The manager's, whose pages complain about nothing."""
    user = User.objects.get(memberships__organisation=booking.depot.operator)
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


def test_a_message_arrives_while_its_reader_looks_and_is_read_with_a_key(
    page: Page, booking: Booking
) -> None:
    page.goto("/inbox/")
    count = page.locator(".sidebar [data-count=inbox]")
    expect(page.get_by_text("Nothing yet")).to_be_visible()
    expect(count).to_be_hidden()
    expect(page.locator("html")).to_have_attribute("data-live", "on")

    expansion.tell(list(booking.events.order_by("pk")), now=NOW)

    expect(count).to_have_text("1")
    message = page.get_by_role("button", name="A request waits for you: HH-NF 7")
    message.press("Enter")
    expect(page).to_have_url(f"{page.url.partition('/bookings')[0]}/bookings/{booking.pk}/")
    expect(count).to_be_hidden()
