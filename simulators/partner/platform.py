"""The simulated partner as a whole: its parts, its port, and what it does by itself."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from simulators.partner import simulated_sites
from simulators.partner.booking_desk import BookingDesk
from simulators.partner.bookings import BookingsSender
from simulators.partner.charging import ChargingDesk
from simulators.partner.charging_profiles import ChargingProfilesReceiver, ChargingProfilesSender
from simulators.partner.commands import CommandsReceiver, CommandsSender
from simulators.partner.emsp import Emsp
from simulators.partner.http_listener import listen
from simulators.partner.hub_clients import HubClientsReceiver
from simulators.partner.invoices import MODULE as INVOICES
from simulators.partner.invoices import InvoiceDesk, InvoiceRecordsReceiver, InvoiceRecordsSender
from simulators.partner.locations import LocationsReceiver, LocationsSender
from simulators.partner.ocpi_format import Json, envelope
from simulators.partner.other_platform import OtherPlatform, PlatformError
from simulators.partner.partner_settings import PartnerSettings
from simulators.partner.push_queue import Push, PushQueue
from simulators.partner.received_bookings import BookingsReceiver
from simulators.partner.received_objects import ReceivedObjects
from simulators.partner.registering import Registration
from simulators.partner.requests import Module
from simulators.partner.router import Router
from simulators.partner.sessions import CdrsReceiver, CdrsSender, SessionsReceiver, SessionsSender
from simulators.partner.site_calendars import SiteCalendars
from simulators.partner.state_file import StateFile
from simulators.partner.tariffs import TARIFF_ID, TariffsReceiver, TariffsSender, tariff_of
from simulators.partner.tokens import TokensReceiver, TokensSender

WORK_EVERY_S = 0.25
PAUSE_AFTER_FAILURE = timedelta(seconds=5)


class SimulatedPartner:
    """`desk` keeps the bookings at its sites, `emsp` is its trucks' side, `registration` how it gets to know others.

    Raises OSError where it cannot listen, ValueError for a state file that is none.
    """

    def __init__(self, settings: PartnerSettings) -> None:
        self.settings = settings
        self.state = StateFile(settings.state_file)
        self._listener = listen(settings.listen, self.state.get("port", 0))
        self.port = int(self._listener.server_address[1])
        self.url = (settings.public_url or _url(settings.listen[0], self.port)).rstrip("/")
        self.versions_url = f"{self.url}/ocpi/versions"
        with self.state.changing() as state:
            state["port"] = self.port

        self.peer = OtherPlatform(settings, self.state)
        self.pushes = PushQueue(settings, self.peer, self._render)
        self.registration = Registration(
            settings, self.state, self.peer, self.versions_url, self._on_registered
        )
        self.calendars = SiteCalendars(settings, self.state)
        self.desk = BookingDesk(settings, self.state, self.calendars, self.pushes.add)
        self.charging = ChargingDesk(settings, self.state, self.pushes.add)
        self.emsp = Emsp(settings, self.state, self.peer)
        self.received = ReceivedObjects(self.state, self.peer)
        self.invoices = InvoiceDesk(settings, self.state, self.charging, self.received, self.pushes.add)
        self._commands_to_us = CommandsReceiver(settings, self.desk, self.charging, self.peer)
        self.commands = CommandsSender(self.state, self.peer)
        self.commands.url = f"{self.url}/ocpi/emsp/{settings.version}/commands"
        self.hub_clients = HubClientsReceiver(self.state)
        self._limits_to_us = ChargingProfilesReceiver(settings, self.charging, self.peer)
        self.limits = ChargingProfilesSender(self.state, self.peer)
        self.limits.url = f"{self.url}/ocpi/emsp/{settings.version}/{self.limits.path}"
        self._router = Router(settings, self.url, self.registration, self._modules())
        self._listener.answer = self.answer

        self._reads_lists = self.settings.is_behind_hub
        self._pause_until = datetime.min.replace(tzinfo=UTC)
        self._next_booking = settings.clock() + (settings.book_every or timedelta()) / 4
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._listener.serve_forever, args=(0.05,), name="partner", daemon=True),
            threading.Thread(target=self._work, name="partner at work", daemon=True),
        ]

    def _modules(self) -> list[Module]:
        """Those of our roles."""
        sides = {role.lower() for role in self.settings.roles}
        of_a_hub: list[Module] = [self.hub_clients] if self.settings.is_behind_hub else []
        return [*(module for module in self._all_modules() if module.side in sides), *of_a_hub]

    def _all_modules(self) -> list[Module]:
        return [
            LocationsSender(self.calendars),
            LocationsReceiver(self.received),
            TariffsSender(self.settings),
            TariffsReceiver(self.received),
            BookingsSender(self.desk, self.calendars, self.peer),
            BookingsReceiver(self.received),
            self._commands_to_us,
            self.commands,
            self._limits_to_us,
            self.limits,
            TokensSender(self.settings, self.state),
            TokensReceiver(self.received),
            SessionsSender(self.charging, self.peer),
            SessionsReceiver(self.received),
            CdrsSender(self.charging, self.peer),
            CdrsReceiver(self.received),
            InvoiceRecordsSender(self.invoices),
            InvoiceRecordsReceiver(self.received),
        ]

    def start(self) -> SimulatedPartner:
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        self._stopping.set()
        self.pushes.has_news.set()
        self._listener.shutdown()
        for thread in self._threads:
            thread.join(timeout=20)
        self._listener.server_close()

    def __enter__(self) -> SimulatedPartner:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def tick(self) -> None:
        """Whatever is due: decisions, trucks that arrive, pushes, a booking with the others. Raises PlatformError."""
        self.desk.do_what_is_due()
        self.charging.do_what_is_due(self.desk.bookings())
        now = self.settings.clock()
        if not self.peer.is_registered or now < self._pause_until:
            return
        if self._reads_lists:
            self._read_lists()
            self._reads_lists = False
        self._commands_to_us.tell_results()
        self._limits_to_us.tell_results()
        self.pushes.push_all()
        may_book = "EMSP" in self.settings.roles and self.settings.book_every
        if may_book and now >= self._next_booking:
            self._next_booking = now + may_book
            self.emsp.book()

    def answer(
        self, method: str, target: str, headers: dict[str, str], raw: bytes
    ) -> tuple[int, Json, dict[str, str]]:
        """One request: HTTP status, envelope, further headers."""
        try:
            return self._router.answer(method, target, headers, raw)
        except Exception as fault:
            self.settings.say(f"{method} {target}: {fault!r}")
            return 500, envelope(None, self.settings.clock(), status_code=3000), {}

    def _work(self) -> None:
        while not self._stopping.is_set():
            self.pushes.has_news.wait(WORK_EVERY_S)
            self.pushes.has_news.clear()
            if self._stopping.is_set():
                return
            try:
                self.tick()
            except PlatformError as failure:
                self.settings.say(str(failure))
                self._pause_until = self.settings.clock() + PAUSE_AFTER_FAILURE

    def _read_lists(self) -> None:
        """What a hub's parties were told while we were away. Raises PlatformError."""
        if "EMSP" not in self.settings.roles:
            return
        offers = f"{self.peer.endpoint('booking', 'SENDER')}/booking_locations"
        self.received.read_all("tariffs", self.peer.endpoint("tariffs", "SENDER"))
        self.received.read_all("locations", self.peer.endpoint("locations", "SENDER"))
        self.received.read_all("booking_locations", offers)

    def _on_registered(self) -> None:
        self.settings.say(f"Registered with {self.peer.known()['versions_url']}")
        if "CPO" not in self.settings.roles:
            return
        self.pushes.add("tariff", TARIFF_ID)
        for site in simulated_sites.SITES:
            self.pushes.add("location", site.location_id)
            self.pushes.add("booking_location", site.booking_location_id)

    def _render(self, kind: str, key: str) -> Push | None:
        if kind == "booking":
            booking = self.desk.bookings()[key]
            asked_by = booking["booking_requests"][0]["booking_request"]
            return Push("booking", key, booking, (asked_by["country_code"], asked_by["party_id"]))
        if kind in ("session", "cdr"):
            return self._render_charging(kind, key)
        if kind == "invoice_record":
            record = self.invoices.records()[key]
            return Push(INVOICES, "", record, self.invoices.customer(record), method="POST")
        if kind == "tariff":
            return Push("tariffs", key, tariff_of(self.settings))
        if kind == "location":
            place = simulated_sites.find_location(key)
            return Push("locations", key, self.calendars.location(place)) if place else None
        site = simulated_sites.find_booking_location(key)
        if site is None:
            return None
        return Push("booking", f"booking_locations/{key}", self.calendars.booking_location(site))

    def _render_charging(self, kind: str, key: str) -> Push:
        found = (self.charging.sessions() if kind == "session" else self.charging.cdrs())[key]
        token = found["cdr_token"]
        to_party = (token["country_code"], token["party_id"])
        if kind == "session":
            return Push("sessions", key, found, to_party)
        return Push("cdrs", "", found, to_party, method="POST")


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
