"""A dispatcher's journeys in a real browser, against the real server process and its live stream."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from bookings import operations
from bookings.actors import Actor
from bookings.models import Booking, Vehicle
from depots.models import Charger, Evse, User
from depots.periods import Period
from depots.signals import evse_status_changed
from tests.factories import (
    DISPATCHER,
    MANAGER,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_user,
    make_vehicle,
    option_of,
    place_hold,
)
from tests.money_factories import make_prices
from tests.serving import BerthServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

AXE = Path(__file__).parent / "vendor/axe.min.js"
BERLIN = ZoneInfo("Europe/Berlin")
SOON_MS = 2_000  # how long an open page may lag behind the database
SLOW_LINE = """
const { send } = XMLHttpRequest.prototype
XMLHttpRequest.prototype.send = function (...body) { setTimeout(() => send.apply(this, body), 500) }
"""
BEHIND = """
let state = 'hidden'
Object.defineProperty(Document.prototype, 'visibilityState', { get: () => state })
window.bringForward = () => { state = 'visible'; document.dispatchEvent(new Event('visibilitychange')) }
"""
SIZES = [(1440, 900), (390, 844)]


@dataclass
class Fleet:
    """A dispatcher with a truck, and a depot with two EVSEs that is open to everybody."""

    server: BerthServer
    user: User
    truck: Vehicle
    evses: list[Evse]

    def book(self, *, hours: float = 0, evse: int = 0) -> Booking:
        starts_at = tomorrow() + timedelta(hours=hours)
        return book_slot(
            fleet=self.truck.fleet, option=option_of(self.evses[evse]), vehicle=self.truck, actor=DISPATCHER,
            period=Period(starts_at, starts_at + timedelta(hours=1)), now=timezone.now(),
        )  # fmt: skip

    def slots(self, *, hours: int = 0) -> str:
        """The finder's question for the truck, tomorrow at eleven or so many hours later."""
        start = tomorrow() + timedelta(hours=hours)
        return (
            f"/slots/?depot=NF-KAS&vehicle=HH-NF+100"
            f"&starts_at={start:%Y-%m-%dT%H:%M}&ends_at={start + timedelta(hours=1):%Y-%m-%dT%H:%M}"
        )


def tomorrow() -> datetime:
    """At eleven in Kassel."""
    day = timezone.now().astimezone(BERLIN).date() + timedelta(days=1)
    return datetime.combine(day, time(11), BERLIN)


@pytest.fixture
def fleet(berth_server: BerthServer) -> Fleet:
    fleet = make_fleet("Nordfracht")
    user = make_user(fleet, email="dispatcher@nordfracht.example")
    depot = make_depot(code="NF-KAS", name="Kassel Süd")
    depot.agreements.update(starts_at=timezone.now() - timedelta(days=1))
    make_prices(depot, energy_per_kwh=0.4, vat_percent=19)
    evses = [make_evse(depot, uid=f"KAS-{n}") for n in (1, 2)]
    return Fleet(berth_server, user, make_vehicle(fleet, plate="HH-NF 100"), evses)


@pytest.fixture
def page(browser: Browser, browser_context_args: dict[str, object], fleet: Fleet) -> Iterator[Page]:
    """The dispatcher's browser; it fails the test when the page's own scripts or its policy complain."""
    context = browser.new_context(base_url=fleet.server.url, **browser_context_args)
    client = Client()
    client.force_login(fleet.user, backend="django.contrib.auth.backends.ModelBackend")
    page = context.new_page()
    # The server names its cookies after its address, which its own port is part of: its sign-in page tells.
    page.goto("/")
    names = [str(cookie.get("name")) for cookie in context.cookies()]
    name = next(name for name in names if "csrf" in name).replace("csrf", "session")
    context.add_cookies([{"name": name, "value": str(client.session.session_key), "url": fleet.server.url}])
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
    yield page
    context.close()
    assert complaints == []


def listening(page: Page) -> None:
    """Wait until the page hears the live stream, so that what happens next reaches it."""
    expect(page.locator("html[data-live=on]")).to_be_attached()


def test_a_dispatcher_finds_reserves_confirms_changes_and_cancels(page: Page, fleet: Fleet) -> None:
    page.goto("/")
    page.get_by_label("Vehicle").select_option("HH-NF 100")
    page.get_by_label("Depot").select_option("NF-KAS")
    start = tomorrow()
    page.get_by_label("From").fill(f"{start:%Y-%m-%dT%H:%M}")
    page.get_by_label("To", exact=True).fill(f"{start + timedelta(hours=1):%Y-%m-%dT%H:%M}")
    page.get_by_role("button", name="Find").click()

    offer = page.locator('[data-evse="KAS-1"]')
    expect(offer).to_contain_text("€")
    expect(page.get_by_text("Cancel until")).to_be_visible()
    offer.get_by_role("button", name="Reserve").click()

    booking = page.locator("[data-live-page]")
    expect(booking).to_have_attribute("data-status", "held")
    expect(page.get_by_role("timer")).to_have_text(re.compile(r"^(10|9):\d\d$"))
    page.get_by_role("button", name="Confirm booking").click()
    expect(booking).to_have_attribute("data-status", "confirmed")
    listening(page)

    page.get_by_role("link", name="Change").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("To", exact=True).fill(f"{start - timedelta(hours=1):%Y-%m-%dT%H:%M}")
    dialog.get_by_role("button", name="Save change").click()
    expect(dialog.get_by_text("The end lies before the start.")).to_be_visible()
    dialog.get_by_label("To", exact=True).fill(f"{start + timedelta(hours=2):%Y-%m-%dT%H:%M}")
    dialog.get_by_role("button", name="Save change").click()
    expect(dialog).to_be_hidden()
    expect(booking.get_by_text("11:00–13:00", exact=True)).to_be_visible()

    page.get_by_role("link", name="Cancel booking").click()
    dialog.get_by_label("Traffic").check()
    dialog.get_by_role("button", name="Cancel booking").click()
    expect(booking).to_have_attribute("data-status", "cancelled")
    expect(booking.get_by_text("Cancelled by its fleet: Traffic.")).to_be_visible()
    assert Booking.objects.get().status == "cancelled"

    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone: it is booked again.")).to_be_visible()
    expect(booking).to_have_attribute("data-status", "confirmed")
    expect(booking.get_by_text("11:00–13:00", exact=True)).to_be_visible()


def test_without_scripts_the_same_forms_book_change_and_cancel(
    browser: Browser, browser_context_args: dict[str, object], page: Page, fleet: Fleet
) -> None:
    cookies = page.context.cookies()
    context = browser.new_context(
        base_url=fleet.server.url, java_script_enabled=False, **browser_context_args
    )
    context.add_cookies(cookies)  # type: ignore[arg-type]
    plain = context.new_page()
    plain.goto(fleet.slots())
    plain.locator('[data-evse="KAS-1"]').get_by_role("button", name="Book now").click()
    booking = plain.locator("[data-live-page]")
    expect(booking).to_have_attribute("data-status", "confirmed")

    plain.get_by_role("link", name="Change").click()
    plain.get_by_label("To", exact=True).fill(f"{tomorrow() + timedelta(hours=2):%Y-%m-%dT%H:%M}")
    plain.get_by_role("button", name="Save change").click()
    expect(booking.get_by_text("11:00–13:00", exact=True)).to_be_visible()

    plain.get_by_role("link", name="Cancel booking").click()
    plain.get_by_label("Broken vehicle").check()
    plain.get_by_role("button", name="Cancel booking").click()
    expect(booking).to_have_attribute("data-status", "cancelled")
    context.close()


def test_a_change_by_the_depot_appears_on_the_day_and_stays_until_its_page_was_opened(
    page: Page, fleet: Fleet
) -> None:
    booking = fleet.book(hours=20)
    page.goto("/")
    listening(page)
    expect(page.locator("[data-changed-by-depot]")).to_have_count(0)

    change_slot(booking_id=booking.pk, evse=fleet.evses[1], by="depot", actor=MANAGER, now=timezone.now())

    row = page.locator(f'[data-booking="{booking.pk}"]')
    expect(row.locator("[data-changed-by-depot]")).to_be_visible(timeout=SOON_MS)
    expect(row).to_contain_text("KAS-2")

    row.get_by_role("link", name="HH-NF 100").click()
    expect(page.get_by_text("EVSE KAS-2 instead of KAS-1.").first).to_be_visible()
    expect(page.locator("[data-changed-by-depot]")).to_have_count(0)
    booking.refresh_from_db()
    assert not booking.is_changed_unseen


def test_a_change_behind_other_tabs_is_not_seen_until_the_page_is_looked_at(page: Page, fleet: Fleet) -> None:
    booking = fleet.book(hours=20)
    change_slot(booking_id=booking.pk, evse=fleet.evses[1], by="depot", actor=MANAGER, now=timezone.now())
    page.clock.install()
    page.add_init_script(BEHIND)
    page.goto(f"/bookings/{booking.pk}/")
    mark = page.locator("[data-changed-by-depot]")
    expect(mark).to_be_visible()

    page.clock.run_for(60_000)
    booking.refresh_from_db()
    assert booking.is_changed_unseen
    expect(page.get_by_role("button", name="Seen")).to_be_visible()

    page.evaluate("window.bringForward()")
    page.clock.run_for(2_000)
    expect(mark).to_have_count(0)


def test_a_list_follows_what_happens_elsewhere_and_keeps_the_filter_somebody_fills_in(
    page: Page, fleet: Fleet
) -> None:
    booking = fleet.book()
    page.goto("/bookings/")
    listening(page)
    row = page.locator(f'[data-booking="{booking.pk}"]')
    expect(row).to_have_attribute("data-status", "confirmed")
    page.get_by_label("To day").fill("2039-01-02")

    operations.cancel_booking(
        booking_id=booking.pk, reason="FULL", by="depot", actor=MANAGER, now=timezone.now()
    )
    expect(row).to_have_attribute("data-status", "cancelled", timeout=SOON_MS)
    second = fleet.book(hours=2)
    expect(page.locator(f'[data-booking="{second.pk}"]')).to_be_visible(timeout=SOON_MS)

    expect(page.get_by_label("To day")).to_have_value("2039-01-02")
    expect(page.get_by_label("To day")).to_be_focused()


def test_an_open_booking_follows_its_charger_and_keeps_an_open_form(page: Page, fleet: Fleet) -> None:
    booking = fleet.book()
    page.goto(f"/bookings/{booking.pk}/")
    listening(page)
    page.get_by_role("link", name="Change").click()
    page.get_by_role("dialog").get_by_label("To", exact=True).fill("2039-01-02T10:00")

    change_slot(booking_id=booking.pk, evse=fleet.evses[1], by="depot", actor=MANAGER, now=timezone.now())

    expect(page.locator('[data-live-page] [data-evse="KAS-2"]')).to_be_attached(timeout=SOON_MS)
    expect(page.get_by_role("dialog").get_by_label("To", exact=True)).to_have_value("2039-01-02T10:00")


def test_a_later_start_moves_the_end_along(page: Page, fleet: Fleet) -> None:
    page.goto(fleet.slots())
    start = tomorrow() + timedelta(hours=3)

    page.get_by_label("From").fill(f"{start:%Y-%m-%dT%H:%M}")
    page.get_by_label("From").dispatch_event("change")

    expect(page.get_by_label("To", exact=True)).to_have_value(f"{start + timedelta(hours=1):%Y-%m-%d %H:%M}")


@pytest.mark.long
def test_clicks_on_results_older_than_the_question_book_nothing(page: Page, fleet: Fleet) -> None:
    """Five trucks one after another, on a slow line: each click comes 0.2 to 1 s after the fields were changed."""
    trucks = [make_vehicle(fleet.truck.fleet, plate=f"HH-NF 20{n}") for n in range(5)]
    page.add_init_script(SLOW_LINE)
    results, first = page.locator("[data-results]"), page.locator("[data-results] [formaction]").first

    for n, truck in enumerate(trucks):
        page.goto(fleet.slots(hours=n))
        page.get_by_label("Vehicle").select_option(truck.plate)
        expect(results).to_have_attribute("data-stale", "", timeout=100)
        expect(first).to_be_disabled()
        page.wait_for_timeout(200 + 200 * n)
        assert not click_at_once(page)
        page.get_by_role("button", name="Find").click()
        page.wait_for_timeout(200 + 200 * n)
        if not click_at_once(page):  # else the new results were there
            first.click()
        expect(page.locator("[data-live-page]")).to_be_visible()

    booked = list(Booking.objects.order_by("created_at").values_list("vehicle__plate", flat=True))
    assert booked == [truck.plate for truck in trucks]


def click_at_once(page: Page) -> bool:
    """As a hand does: without waiting until the button can be pressed; whether it could."""
    press = "(button) => { const could = !button.disabled; button.click(); return could }"
    return bool(page.locator("[data-results] [formaction]").first.evaluate(press))


def test_the_calendar_fills_the_field_in_also_when_the_page_is_looked_up_again(
    page: Page, fleet: Fleet
) -> None:
    page.goto("/bookings/")
    first, day = page.get_by_label("From day"), tomorrow() + timedelta(days=40)
    first.fill(f"{day:%Y-%m}-01")
    page.get_by_role("button", name="Calendar").first.click()
    page.get_by_role("button", name=f"{day:%A} {day.day} {day:%B %Y}").click()
    expect(first).to_have_value(f"{day:%Y-%m-%d}")

    page.goto(fleet.slots())
    page.get_by_role("button", name="Calendar").first.click()
    with page.expect_response("**/slots/**"):
        page.evaluate("document.body.dispatchEvent(new CustomEvent('berth:resync', { bubbles: true }))")
    page.get_by_label("Hour").select_option("21")
    page.get_by_label("Minute").select_option("45")
    page.keyboard.press("Escape")

    expect(page.get_by_label("From")).to_have_value(f"{tomorrow():%Y-%m-%d} 21:45")
    expect(page.get_by_label("To", exact=True)).to_have_value(f"{tomorrow():%Y-%m-%d} 22:45")
    expect(page.locator("[data-results]")).to_have_attribute("data-stale", "")


def test_the_finder_follows_the_yard_and_asks_before_a_truck_is_in_two_places(
    page: Page, fleet: Fleet
) -> None:
    fleet.book(evse=1)
    evse = fleet.evses[0]
    page.goto(fleet.slots())
    listening(page)
    state = page.locator(f'[data-evse-state="{evse.pk}"]')
    expect(state).to_have_text("Offline")

    now = timezone.now()
    Charger.objects.filter(pk=evse.charger_id).update(
        lease_holder="gateway", lease_until=now + timedelta(hours=1)
    )
    Evse.objects.filter(pk=evse.pk).update(status="faulted")
    evse.refresh_from_db()
    with transaction.atomic():
        evse_status_changed.send(sender=Evse, evse=evse, before="unknown", after="faulted", at=now)
    expect(state).to_have_text("Faulted", timeout=SOON_MS)

    row = page.locator('[data-evse="KAS-1"]')
    expect(page.locator("[data-elsewhere]")).to_contain_text("HH-NF 100 is booked at Kassel Süd, KAS-2")
    row.get_by_role("button", name="Book now").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was booked yet.")
    page.get_by_role("button", name="Book all the same").click()
    expect(page.locator("[data-live-page]")).to_have_attribute("data-status", "confirmed")
    assert Booking.objects.count() == 2


def test_who_may_charge_stays_chosen_while_the_page_of_a_hold_is_looked_up_again(page: Page, fleet: Fleet):
    fleet.truck.tokens.update(group_name="NIGHT")
    held = place_hold(
        fleet=fleet.truck.fleet, option=option_of(fleet.evses[1]), vehicle=fleet.truck,
        actor=Actor.dispatcher("me"), now=timezone.now(),
        period=Period(tomorrow(), tomorrow() + timedelta(hours=1)),
    )  # fmt: skip
    page.goto(f"/bookings/{held.pk}/")
    chosen = page.locator("input[name=group][value=NIGHT]")
    chosen.check()

    with page.expect_response(f"**/bookings/{held.pk}/"):
        page.evaluate("htmx.trigger(document.querySelector('[data-live-page]'), 'again')")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    expect(chosen).to_be_checked()
    page.get_by_role("button", name="Confirm booking").click()
    expect(page.locator("[data-live-page]")).to_have_attribute("data-status", "confirmed")
    page.goto("/bookings/")
    expect(page.locator(f"#row-{held.pk} [data-group-key]")).to_have_text("Any card of the group NIGHT")


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_page_is_accessible_and_fits(page: Page, fleet: Fleet, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    booking, taken = fleet.book(), fleet.book(evse=1)
    operations.cancel_booking(
        booking_id=taken.pk, reason="FULL", by="depot", actor=MANAGER, now=timezone.now()
    )
    token = fleet.truck.tokens.get()
    held = place_hold(
        fleet=fleet.truck.fleet, option=option_of(fleet.evses[1]), vehicle=fleet.truck,
        actor=Actor.dispatcher("me"), now=timezone.now(),
        period=Period(tomorrow(), tomorrow() + timedelta(hours=1)),
    )  # fmt: skip
    urls = [
        "/", fleet.slots(), "/slots/?starts_at=soon", "/bookings/", f"/bookings/{booking.pk}/", f"/bookings/{held.pk}/",
        f"/bookings/{taken.pk}/", f"/bookings/{booking.pk}/change/", f"/bookings/{booking.pk}/cancellation/", "/vehicles/",
        "/vehicles/new/", f"/vehicles/{fleet.truck.pk}/", "/tokens/", f"/tokens/{token.pk}/",
    ]  # fmt: skip
    found = {}
    for url in urls:
        page.goto(url)
        expect(page.locator("body.has-shell")).to_be_attached()
        found[url] = violations(page)
        if page.evaluate("document.documentElement.scrollWidth") > width:
            found[url].append("wider than the screen")

    assert {url: wrong for url, wrong in found.items() if wrong} == {}


def violations(page: Page) -> list[str]:
    """What axe finds wrong, as `rule: where`. Evaluated, as the page's policy allows no injected script."""
    page.evaluate(AXE.read_text() + "; undefined")
    found = page.evaluate("axe.run().then(result => result.violations)")
    return [f"{rule['id']}: {node['html']}" for rule in found for node in rule["nodes"]]
