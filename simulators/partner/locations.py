"""Locations: our sites for others (Sender), and others' depots as they push them (Receiver)."""

from __future__ import annotations

from simulators.partner import simulated_sites
from simulators.partner.ocpi_format import Refusal
from simulators.partner.received_objects import ReceivedObjects
from simulators.partner.requests import Request, RoutedAnswer, page_of
from simulators.partner.site_calendars import SiteCalendars


class LocationsSender:
    identifier, role, side, path = "locations", "SENDER", "cpo", "locations"

    def __init__(self, calendars: SiteCalendars) -> None:
        self._calendars = calendars

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        if request.method != "GET":
            raise Refusal(2000, "only GET", 405)
        if not rest:
            return page_of(request, [self._calendars.location(site) for site in simulated_sites.SITES])
        site = simulated_sites.find_location(rest[0])
        if site is None:
            raise Refusal(2003, "no such location", 404)
        return RoutedAnswer(self._calendars.location(site))


class LocationsReceiver:
    identifier, role, side, path = "locations", "RECEIVER", "emsp", "locations"

    def __init__(self, received: ReceivedObjects) -> None:
        self._received = received

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        return self._received.answer(request, "locations", rest)
