"""Bookings at our sites, for others (Sender)."""

from __future__ import annotations

from simulators.partner import simulated_sites
from simulators.partner.booking_desk import BookingDesk
from simulators.partner.ocpi_format import Json, Refusal, read_time
from simulators.partner.other_platform import OtherPlatform
from simulators.partner.requests import Request, RoutedAnswer, page_of
from simulators.partner.site_calendars import SiteCalendars


class BookingsSender:
    identifier, role, side, path = "Booking", "SENDER", "cpo", "bookings"

    def __init__(self, desk: BookingDesk, calendars: SiteCalendars, peer: OtherPlatform) -> None:
        self._desk, self._calendars, self._peer = desk, calendars, peer

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        if request.method == "POST" and not rest:
            booking, is_new, objection = self._desk.receive(request.body, self._peer.parties("EMSP"))
            return RoutedAnswer(booking, 201 if is_new else 200, message=objection)
        if request.method != "GET":
            raise Refusal(2000, "not here", 405)
        if not rest:
            found = sorted(self._desk.bookings().values(), key=lambda one: one["id"])
            return page_of(request, self._peer.own_of(request.sender, found, asked_by))
        if rest[0] == "booking_locations":
            return self._booking_locations(request, rest[1:])
        raise Refusal(2000, "no such booking", 404)

    def _booking_locations(self, request: Request, rest: list[str]) -> RoutedAnswer:
        if not rest:
            found = [self._calendars.booking_location(site) for site in simulated_sites.SITES]
            return page_of(request, [one for one in found if is_free_in(one, request.query)])
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


def asked_by(booking: Json) -> Json:
    """The request that it was made for, which names its party."""
    request: Json = booking["booking_requests"][0]["booking_request"]
    return request


def is_free_in(offer: Json, query: dict[str, str]) -> bool:
    """Whether some of its free time lies between timeslot_from and timeslot_to, as far as they are named. Raises Refusal."""
    if not {"timeslot_from", "timeslot_to"} & query.keys():
        return True
    since = read_time(query["timeslot_from"]) if "timeslot_from" in query else None
    until = read_time(query["timeslot_to"]) if "timeslot_to" in query else None
    slots = [slot for calendar in offer["calendars"] for slot in calendar["available_timeslots"]]
    return any(
        (until is None or read_time(slot["start_date_time"]) < until)
        and (since is None or since < read_time(slot["end_date_time"]))
        for slot in slots
    )
