"""Bookings: at our sites (Sender), and those of our trucks as the other platform pushes them (Receiver)."""

from __future__ import annotations

from simulators.partner import simulated_sites
from simulators.partner.booking_desk import BookingDesk
from simulators.partner.ocpi_format import Refusal
from simulators.partner.other_platform import OtherPlatform
from simulators.partner.received_objects import ReceivedObjects
from simulators.partner.requests import Request, RoutedAnswer, page_of
from simulators.partner.site_calendars import SiteCalendars


class BookingsSender:
    identifier, role, side, path = "Booking", "SENDER", "cpo", "bookings"

    def __init__(self, desk: BookingDesk, calendars: SiteCalendars, peer: OtherPlatform) -> None:
        self._desk, self._calendars, self._peer = desk, calendars, peer

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        if request.method == "POST" and not rest:
            booking, is_new = self._desk.receive(request.body, self._peer.parties("EMSP"))
            return RoutedAnswer(booking, 201 if is_new else 200)
        if request.method != "GET":
            raise Refusal(2000, "not here", 405)
        if not rest:
            return page_of(request, sorted(self._desk.bookings().values(), key=lambda one: one["id"]))
        if rest[0] == "booking_locations":
            return self._booking_locations(request, rest[1:])
        raise Refusal(2000, "no such booking", 404)

    def _booking_locations(self, request: Request, rest: list[str]) -> RoutedAnswer:
        if not rest:
            found = [self._calendars.booking_location(site) for site in simulated_sites.SITES]
            return page_of(request, found)
        site = simulated_sites.find_booking_location(rest[0])
        if site is None:
            raise Refusal(2003, "no such booking location", 404)
        location = self._calendars.booking_location(site)
        if len(rest) == 1:
            return RoutedAnswer(location)
        calendar = next((c for c in location["calendars"] if c["id"].upper() == rest[1].upper()), None)
        if calendar is None:
            raise Refusal(2000, "no such calendar", 404)
        return RoutedAnswer(calendar)


class BookingsReceiver:
    identifier, role, side, path = "Booking", "RECEIVER", "emsp", "bookings"

    def __init__(self, received: ReceivedObjects) -> None:
        self._received = received

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        if len(rest) > 2 and rest[2] == "booking_locations":
            return self._received.answer(request, "booking_locations", [*rest[:2], *rest[3:]])
        return self._received.answer(request, "bookings", rest)
