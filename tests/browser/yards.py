"""A depot before its manager's eyes: the rows, and the way into a page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page

from bookings.actors import Actor
from bookings.models import Booking
from depots.models import Agreement, Depot, Evse, Membership, Organisation, User
from depots.periods import Period
from tests import factories
from tests.serving import BerthServer

BERLIN = ZoneInfo("Europe/Berlin")


@dataclass
class Yard:
    """A depot with three EVSEs and the people who meet on its board."""

    depot: Depot
    evses: list[Evse]
    fleet: Organisation
    manager: User

    @property
    def board(self) -> str:
        return f"/depots/{self.depot.code}/board/?day={tomorrow(0):%Y-%m-%d}"

    def book(self, evse: Evse, hour: float, hours: float = 1, fleet: Organisation | None = None) -> Booking:
        fleet = fleet or self.fleet
        starts_at = tomorrow(hour)
        return factories.book_slot(
            fleet=fleet, option=factories.option_of(evse), evse=evse,
            period=Period(starts_at, starts_at + timedelta(hours=hours)),
            vehicle=factories.make_vehicle(fleet), actor=Actor.dispatcher("dispatcher@fleet.example"), now=timezone.now(),
        )  # fmt: skip


def tomorrow(hour: float) -> datetime:
    day = timezone.now().astimezone(BERLIN).date() + timedelta(days=1)
    return datetime.combine(day, time(), BERLIN) + timedelta(hours=hour)


def make_yard(**terms: object) -> Yard:
    operator = factories.make_operator("Ladepark")
    depot = factories.make_depot(operator, code="LP-1", name="Venlo", open_to_all=False, terms=terms)
    Agreement.objects.create(depot=depot, starts_at=timezone.now() - timedelta(days=1))
    charger = factories.make_charger(
        depot, identity="CP-1", lease_holder="gateway", lease_until=timezone.now() + timedelta(hours=1)
    )
    evses = [factories.make_evse(charger=charger, status="available") for _ in range(3)]
    manager = factories.make_user(operator, Membership.Role.DEPOT_MANAGER, email="manager@ladepark.example")
    return Yard(depot, evses, factories.make_fleet("Alpentrans"), manager)


def sign_in(page: Page, user: User, server: BerthServer) -> None:
    """By session: the server's cookies are named after its address, as the one of its sign-in page tells."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    page.goto(server.url)
    name = next(cookie["name"] for cookie in page.context.cookies() if "csrf" in cookie.get("name", ""))
    page.context.add_cookies([{"name": name.replace("csrf", "session"), "value": session, "url": server.url}])
