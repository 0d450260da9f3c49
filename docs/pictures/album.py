"""Which pictures there are, and the way to each."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from playwright.sync_api import Page

from docs.pictures.camera import Picture

DISPATCHER = "dispatcher@nordfracht.example"
MANAGER = "manager@nordfracht.example"
HOST = "manager@ladepark.example"
PHONE = {"width": 390, "height": 844, "scale": 2}


def home(page: Page) -> None:
    page.goto("/")
    page.wait_for_selector("[data-booking]")


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


def booking(page: Page) -> None:
    """One that charges now: the past and the present of its timeline are there."""
    page.goto("/")
    found = page.locator("[data-booking][data-status=charging]").first
    found.wait_for()
    page.goto(f"/bookings/{found.get_attribute('data-booking')}/")
    page.wait_for_selector("h1")


def board(page: Page) -> None:
    page.goto("/depots/LP-VEN/board/")
    page.wait_for_selector("[data-evse]")
    page.wait_for_selector("[data-booking]")


def requests(page: Page) -> None:
    page.goto("/requests/")
    page.wait_for_selector("[data-booking]")


ALBUM = [
    Picture("home", DISPATCHER, home),
    Picture("finder", DISPATCHER, finder),
    Picture("booking", DISPATCHER, booking),
    Picture("board", HOST, board),
    Picture("requests", MANAGER, requests, height=640),
    Picture("phone-home", DISPATCHER, home, **PHONE),
    Picture("phone-booking", DISPATCHER, booking, **PHONE),
]
