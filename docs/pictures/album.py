"""Which pictures there are, and the way to each."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from playwright.sync_api import Page

from docs.pictures.camera import Picture
from docs.pictures.visitors import STRANGER, TELLING

DISPATCHER = "dispatcher@nordfracht.example"
MANAGER = "manager@nordfracht.example"
ACCOUNTANT = "accountant@ladepark.example"
FLEET_ACCOUNTANT = "accountant@nordfracht.example"
# The pages of chargers renew themselves meanwhile.
SETTLED_MS = 90_000
PHONE = {"width": 390, "height": 760}


def home(page: Page) -> None:
    page.goto("/")
    page.wait_for_selector("[data-booking]:visible")


def finder(page: Page) -> None:
    """Tomorrow from ten to eleven, when nothing is closed and much is free."""
    tomorrow = datetime.now(ZoneInfo("Europe/Berlin")).date() + timedelta(days=1)
    wish = {
        "vehicle": "HH-NF 310",
        "starts_at": f"{tomorrow}T10:00",
        "ends_at": f"{tomorrow}T11:00",
    }
    page.goto(f"/slots/?{urlencode(wish)}")
    page.wait_for_selector("[data-free]")


def hold(page: Page) -> None:
    """The step between finding and booking."""
    finder(page)
    page.locator("[data-depot]", has_text="Hamburg").locator("[data-free]").first.locator(
        "button.btn-primary"
    ).click()
    page.wait_for_selector(".hold")
    page.evaluate("document.getElementById('toasts').replaceChildren()")


def booking(page: Page) -> None:
    """One that charges now: the past and the present of its timeline are there."""
    page.goto("/")
    found = page.locator("[data-booking][data-status=charging]").first
    found.wait_for()
    page.goto(f"/bookings/{found.get_attribute('data-booking')}/")
    page.wait_for_selector("h1")


def board(page: Page) -> None:
    page.goto("/depots/NF-HAM/board/")
    page.wait_for_selector("[data-booking]:visible")


def closure(page: Page) -> None:
    """What closing an EVSE for two days would do to who has booked it, before it is done."""
    first = datetime.now(ZoneInfo("Europe/Berlin")).date() + timedelta(days=1)
    wish = {
        "evse": "HAM-1-1",
        "starts_at": f"{first}T00:00",
        "ends_at": f"{first + timedelta(days=2)}T00:00",
        "reason": "The cable is damaged",
    }
    page.goto(f"/depots/NF-HAM/closures/new/?{urlencode(wish)}")
    page.wait_for_selector(".proposals")


def yard(page: Page) -> None:
    """Chargers as they are now, and where the power goes."""
    page.goto("/depots/NF-HAM/")
    page.wait_for_selector("#availability svg")
    read = page.locator("tr", has_text="HAM-2").locator("[data-label=Settings]:not(:has-text('Not read'))")
    read.wait_for(timeout=SETTLED_MS)


def charger(page: Page) -> None:
    """One that charges a truck."""
    page.goto("/depots/NF-HAM/chargers/HAM-2/")
    wait_until_set(page)


def wait_until_set(page: Page) -> None:
    """A charger's settings are read, and set, as it comes."""
    set_as_wanted = page.locator("[aria-labelledby=settings-head] .reserving-success")
    set_as_wanted.wait_for(timeout=SETTLED_MS)


def reports(page: Page) -> None:
    """What a charger tells of its parts."""
    page.goto(f"/depots/NF-HAM/chargers/{TELLING}/")
    page.wait_for_selector("[data-alert] >> nth=1")
    wait_until_set(page)
    page.locator("#alerts-head").evaluate("head => scrollTo(0, head.getBoundingClientRect().top - 100)")


def security(page: Page) -> None:
    """What a charger has to show, and what it reported."""
    page.goto(f"/depots/NF-HAM/chargers/{TELLING}/")
    page.locator("[aria-labelledby=security-head]", has_text="TamperDetectionActivated").wait_for()
    page.locator("#security-head").evaluate("head => scrollTo(0, head.getBoundingClientRect().top - 100)")


def new_chargers(page: Page) -> None:
    """One that has tried to connect, and that its operator waits for."""
    page.goto("/depots/NF-HAM/new-chargers/")
    page.fill("[name=identity]", STRANGER)
    page.get_by_role("button", name="Wait for it").click()
    page.wait_for_selector("#refused-connections tbody tr")
    page.evaluate("document.getElementById('toasts').replaceChildren()")


def charger_settings(page: Page) -> None:
    page.goto("/charger-settings/")


def requests(page: Page) -> None:
    page.goto("/requests/")
    page.wait_for_selector("[data-booking]:visible")


def bill(page: Page) -> None:
    """A booking of last month that cost another amount than it was quoted, each part beside the other."""
    page.goto(f"/costs/?month={last_month()}")
    for path in page.eval_on_selector_all("tr[data-record] a", "links => links.map((a) => a.pathname)"):
        page.goto(path)
        booking_link = page.locator("#record a[href^='/bookings/']")
        if booking_link.count():
            booking_link.click()
            page.wait_for_selector("[data-bills]")
            if page.locator("[data-compared]").count():
                return


def bill_alone(page: Page) -> None:
    """On a phone it stands below what is booked."""
    bill(page)
    page.locator("[data-bills]").evaluate("panel => scrollTo(0, panel.getBoundingClientRect().top - 80)")


def tariff_editor(page: Page) -> None:
    """What a tariff with night and day and a price for parking means, beside its cards."""
    page.goto("/tariffs/")
    page.get_by_role("link", name="Day and night").first.click()
    page.get_by_role("link", name="New version").click()
    page.wait_for_selector("#tariff-preview")


def costs(page: Page) -> None:
    page.goto(f"/costs/?month={last_month()}")


def revenue(page: Page) -> None:
    page.goto(f"/revenue/?month={last_month()}")


def invoices(page: Page) -> None:
    page.goto("/invoices/")


def invoice(page: Page) -> None:
    """The newest one, still open."""
    invoices(page)
    page.locator("tr[data-invoice] a").first.click()
    page.wait_for_selector("article[data-invoice]")


def reconciliation(page: Page) -> None:
    """From the side of who pays."""
    page.goto("/reconciliation/")
    page.get_by_role("link", name="What we owe").click()
    page.wait_for_selector("#books[data-side]")
    page.goto(f"{page.url}{'&' if '?' in page.url else '?'}month={last_month()}")


def last_month() -> str:
    first_day = datetime.now(ZoneInfo("Europe/Berlin")).date().replace(day=1)
    return f"{first_day - timedelta(days=1):%Y-%m}"


ALBUM = [
    Picture("home", DISPATCHER, home),
    Picture("finder", DISPATCHER, finder),
    Picture("hold", DISPATCHER, hold, height=760),
    Picture("booking", DISPATCHER, booking, height=760),
    Picture("board", MANAGER, board),
    Picture("yard", MANAGER, yard, height=980),
    Picture("charger", MANAGER, charger, height=980),
    Picture("charger-reports", MANAGER, reports, height=520),
    Picture("charger-security", MANAGER, security, height=520),
    Picture("new-chargers", MANAGER, new_chargers, height=520),
    Picture("charger-settings", MANAGER, charger_settings, height=760),
    Picture("requests", MANAGER, requests, height=480),
    Picture("closure", MANAGER, closure, height=640),
    Picture("bill", DISPATCHER, bill, height=980),
    Picture("tariff-editor", MANAGER, tariff_editor, height=980),
    Picture("costs", DISPATCHER, costs, height=980),
    Picture("revenue", MANAGER, revenue, height=980),
    Picture("invoices", ACCOUNTANT, invoices, height=1020),
    Picture("invoice", ACCOUNTANT, invoice, height=920),
    Picture("reconciliation", FLEET_ACCOUNTANT, reconciliation, height=900),
    Picture("phone-home", DISPATCHER, home, **PHONE),
    Picture("phone-booking", DISPATCHER, booking, **PHONE),
    Picture("phone-board", MANAGER, board, **PHONE),
    Picture("phone-charger", MANAGER, charger, **PHONE),
    Picture("phone-bill", DISPATCHER, bill_alone, **PHONE),
]
