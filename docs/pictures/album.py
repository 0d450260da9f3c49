"""Which pictures there are, and the way to each."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from playwright.sync_api import Page

from docs.pictures.camera import Picture

DISPATCHER = "dispatcher@nordfracht.example"
MANAGER = "manager@nordfracht.example"
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


def requests(page: Page) -> None:
    page.goto("/requests/")
    page.wait_for_selector("[data-booking]:visible")


ALBUM = [
    Picture("home", DISPATCHER, home),
    Picture("finder", DISPATCHER, finder),
    Picture("hold", DISPATCHER, hold, height=760),
    Picture("booking", DISPATCHER, booking, height=760),
    Picture("board", MANAGER, board),
    Picture("requests", MANAGER, requests, height=480),
    Picture("closure", MANAGER, closure, height=640),
    Picture("phone-home", DISPATCHER, home, **PHONE),
    Picture("phone-booking", DISPATCHER, booking, **PHONE),
    Picture("phone-board", MANAGER, board, **PHONE),
]
