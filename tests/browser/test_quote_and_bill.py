"""From the price in the finder to the bill, over a charger's own socket: what was shown, what is billed, and why they differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from bookings import enforcement, scheduler
from bookings.models import Booking, ChargeDetailRecord
from depots.models import Charger, ChargerCommand, Evse, User
from depots.periods import Period
from tests import factories
from tests.bookings.enforcement.online_chargers import TERMS
from tests.money_factories import make_prices
from tests.scenarios.bed import Bed, ScriptedCharger, eventually, running_bed

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MINUTE = timedelta(minutes=1)


@dataclass
class Site:
    """A priced EVSE whose charger is connected, a truck, and its dispatcher. Slots begin in the minute after next."""

    bed: Bed
    evse: Evse
    charger: ScriptedCharger
    token: str
    dispatcher: User

    @property
    def slot(self) -> Period:
        first = self.bed.clock().replace(second=0, microsecond=0) + 2 * MINUTE
        return Period(first, first + 60 * MINUTE)

    def finder(self) -> str:
        zone = ZoneInfo(self.evse.depot.time_zone)
        times = {
            "starts_at": f"{self.slot.starts_at.astimezone(zone):%Y-%m-%dT%H:%M}",
            "ends_at": f"{self.slot.ends_at.astimezone(zone):%Y-%m-%dT%H:%M}",
        }
        return f"/slots/?{urlencode({'depot': self.evse.depot.code, 'vehicle': 'HH-NF 100', **times})}"

    def arm(self) -> None:
        """The charger has the reservation and has said so."""
        enforcement.arm_due(now=self.bed.clock())
        eventually(lambda: ChargerCommand.objects.filter(action="reserve", state="answered").exists())


@pytest.fixture
def site(transactional_db: None) -> Iterator[Site]:
    depot = factories.make_depot(code="NF-KAS", name="Kassel Süd", terms={**TERMS, "slot_step_min": 1})
    depot.agreements.update(starts_at=timezone.now() - timedelta(days=1))
    make_prices(depot, energy_per_kwh=0.4, booking_fee=5, no_show_fee=30, vat_percent=19)
    evse = factories.make_evse(charger=factories.make_charger(depot), uid="KAS-1")
    vehicle = factories.make_vehicle(plate="HH-NF 100", token="04AABBCCDD10")
    dispatcher = factories.make_user(vehicle.fleet, email="dispatcher@nordfracht.example")
    with running_bed() as bed:
        bed.clock.now = timezone.now()
        charger = bed.charger(evse.charger, "ocpp1.6", evses=1)
        charger.come_online()
        yield Site(bed, evse, charger, "04AABBCCDD10", dispatcher)


def test_what_the_finder_quotes_stands_beside_what_is_billed_with_the_reasons(
    site: Site, opened: Callable[..., Page]
) -> None:
    slot = site.slot
    page = opened(site.dispatcher, site.finder())
    offer = page.locator('[data-evse="KAS-1"]')
    expect(offer).to_contain_text("€172.55")
    expect(offer.get_by_text("350 kWh × €0.40")).to_be_hidden()
    offer.get_by_text("about, VAT included").click()
    expect(offer.get_by_text("350 kWh × €0.40")).to_be_visible()
    offer.get_by_role("button", name="Reserve").click()
    hold = page.locator(".hold")
    expect(hold).to_contain_text("350 kWh × €0.40")
    expect(hold).to_contain_text("Not coming costs €35.70.")
    page.get_by_role("button", name="Confirm booking").click()
    expect(page.locator("[data-live-page]")).to_have_attribute("data-status", "confirmed")

    site.bed.clock.now = slot.starts_at
    site.arm()
    site.charger.tap(1, site.token)
    site.bed.clock.advance(minutes=30)
    site.charger.charge(1, 30 * MINUTE, power_w=120_000)
    site.bed.clock.advance(minutes=5)
    site.charger.stop(1)
    cdr = eventually(ChargeDetailRecord.objects.first)

    page.reload()
    bills = page.locator("[data-bills]")
    expect(bills).to_contain_text("Quoted were €172.55.")
    expect(bills.locator("[data-compared] tfoot")).to_have_text("Total€172.55€34.51−€138.04")
    expect(bills.locator("[data-reasons]")).to_have_text(
        "Energy: 60.0 kWh instead of 350.0 kWh: €116.00 less."
    )
    bills.get_by_role("link", name=cdr.code).click()
    record = page.locator("#record")
    expect(record).to_contain_text("60 kWh as metered × €0.40")
    expect(record.locator(".price tfoot")).to_contain_text("€34.51")


def test_a_no_show_at_a_dead_charger_costs_nothing_and_the_page_says_why(
    site: Site, opened: Callable[..., Page]
) -> None:
    slot = site.slot
    booking = book(site, slot)
    site.arm()
    site.charger.drop()
    eventually(lambda: not Charger.objects.get().lease_holder)
    site.bed.clock.now = slot.starts_at + 15 * MINUTE

    scheduler.run_tick(site.bed.clock.advance(seconds=1))

    page = opened(site.dispatcher, booking.get_absolute_url())
    shown = page.locator("[data-live-page]")
    expect(shown).to_have_attribute("data-status", "no_show")
    expect(shown).to_contain_text("No fee: the charger was at fault")
    expect(shown).to_contain_text("The charger is not connected (")
    page.goto(page.url.split("/bookings/")[0] + "/costs/")
    expect(page.locator("#month")).to_contain_text("Nothing was billed in this month")


def book(site: Site, slot: Period) -> Booking:
    vehicle = site.dispatcher.memberships.get().organisation.vehicles.get()
    return factories.book_slot(
        fleet=vehicle.fleet, vehicle=vehicle, option=factories.option_of(site.evse), period=slot, now=timezone.now()
    )  # fmt: skip
