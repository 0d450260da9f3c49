"""What others ask of the platform, by module and role (OCPI 2.3.0: Versions, Credentials, Locations, Booking)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx

from simulators.partner import simulated_sites
from simulators.partner.booking_desk import BookingDesk
from simulators.partner.emsp import Emsp
from simulators.partner.ocpi_format import VERSION, Json, Refusal, envelope, read_body, routing_back
from simulators.partner.other_platform import OtherPlatform
from simulators.partner.partner_settings import PartnerSettings
from simulators.partner.registering import Registration
from simulators.partner.site_calendars import SiteCalendars

PAGE = 50


@dataclass(frozen=True)
class Request:
    """Of an authenticated caller: "peer", "pending", or the token A it holds."""

    method: str
    path: list[str]
    query: dict[str, str]
    body: Any
    caller: str


class RoutedAnswer(NamedTuple):
    data: Any
    http_status: int = 200
    headers: dict[str, str] = {}


@dataclass(frozen=True)
class Router:
    settings: PartnerSettings
    url: str
    peer: OtherPlatform
    registration: Registration
    calendars: SiteCalendars
    desk: BookingDesk
    emsp: Emsp

    def answer(
        self, method: str, target: str, headers: dict[str, str], raw: bytes
    ) -> tuple[int, Json, dict[str, str]]:
        """One request: HTTP status, envelope, further headers."""
        parts = urlsplit(target)
        path = [unquote(part) for part in parts.path.strip("/").split("/")]
        now = self.settings.clock()
        try:
            caller = self.registration.caller(headers.get("authorization", ""))
            body = read_body(raw) if method in ("POST", "PUT", "PATCH") else None
            answer = self._route(Request(method, path, dict(parse_qsl(parts.query)), body, caller))
        except Refusal as refusal:
            refused = envelope(None, now, status_code=refusal.status_code, message=str(refusal))
            return refusal.http_status, refused, {}
        return answer.http_status, envelope(answer.data, now), {**answer.headers, **routing_back(headers)}

    def _route(self, request: Request) -> RoutedAnswer:
        match request.path:
            case ["ocpi", "versions"] if request.method == "GET":
                return RoutedAnswer([{"version": VERSION, "url": f"{self.url}/ocpi/{VERSION}"}])
            case ["ocpi", version] if version == VERSION and request.method == "GET":
                return RoutedAnswer({"version": VERSION, "endpoints": self._endpoints()})
            case ["ocpi", version, "credentials"] if version == VERSION:
                return RoutedAnswer(self.registration.answer(request.method, request.caller, request.body))
        if request.caller != "peer":
            raise Refusal(2000, "this token is for registration only", 401)
        match request.path:
            case ["ocpi", "cpo", version, "locations", *rest] if version == VERSION:
                return self._locations(request, rest)
            case ["ocpi", "cpo", version, "bookings", *rest] if version == VERSION:
                return self._bookings_as_cpo(request, rest)
            case ["ocpi", "emsp", version, "bookings", *rest] if version == VERSION:
                return self._bookings_as_emsp(request, rest)
        raise Refusal(2000, "there is nothing here", 404)

    def _endpoints(self) -> list[Json]:
        return [
            {"identifier": identifier, "role": role, "url": f"{self.url}/ocpi/{path}"}
            for identifier, role, path in (
                ("credentials", "SENDER", f"{VERSION}/credentials"),
                ("locations", "SENDER", f"cpo/{VERSION}/locations"),
                ("Booking", "SENDER", f"cpo/{VERSION}/bookings"),
                ("Booking", "RECEIVER", f"emsp/{VERSION}/bookings"),
            )
        ]

    def _locations(self, request: Request, rest: list[str]) -> RoutedAnswer:
        if request.method != "GET":
            raise Refusal(2000, "only GET", 405)
        if not rest:
            return self._page(
                request, [self.calendars.location(site) for site in simulated_sites.SITES], "locations"
            )
        site = simulated_sites.find_location(rest[0])
        if site is None:
            raise Refusal(2003, "no such location", 404)
        return RoutedAnswer(self.calendars.location(site))

    def _bookings_as_cpo(self, request: Request, rest: list[str]) -> RoutedAnswer:
        if request.method == "POST" and not rest:
            booking, is_new = self.desk.receive(request.body, self.peer.parties("EMSP"))
            return RoutedAnswer(booking, 201 if is_new else 200)
        if request.method != "GET":
            raise Refusal(2000, "not here", 405)
        if not rest:
            bookings = sorted(self.desk.bookings().values(), key=lambda booking: booking["id"])
            return self._page(request, bookings, "bookings")
        if rest[0] == "booking_locations":
            return self._booking_locations(request, rest[1:])
        raise Refusal(2000, "no such booking", 404)

    def _booking_locations(self, request: Request, rest: list[str]) -> RoutedAnswer:
        if not rest:
            found = [self.calendars.booking_location(site) for site in simulated_sites.SITES]
            return self._page(request, found, "bookings/booking_locations")
        site = simulated_sites.find_booking_location(rest[0])
        if site is None:
            raise Refusal(2003, "no such booking location", 404)
        location = self.calendars.booking_location(site)
        if len(rest) == 1:
            return RoutedAnswer(location)
        calendar = next((c for c in location["calendars"] if c["id"].upper() == rest[1].upper()), None)
        if calendar is None:
            raise Refusal(2000, "no such calendar", 404)
        return RoutedAnswer(calendar)

    def _bookings_as_emsp(self, request: Request, rest: list[str]) -> RoutedAnswer:
        kind, key = "bookings", rest
        if len(rest) > 2 and rest[2] == "booking_locations":
            kind, key = "booking_locations", [*rest[:2], *rest[3:]]
        if len(key) != 3 or [part.upper() for part in key[:2]] not in self.peer.parties("CPO"):
            raise Refusal(2000, "no such object", 404)
        if request.method == "GET":
            return RoutedAnswer(self.emsp.find(kind, key))
        if request.method != "PUT":
            raise Refusal(2000, "only GET and PUT of whole objects", 405)
        return RoutedAnswer(None, 201 if self.emsp.keep(kind, key, request.body) else 200)

    def _page(self, request: Request, found: list[Json], path: str) -> RoutedAnswer:
        """A page of a list, by offset and limit, of what was updated from date_from until before date_to."""
        offset, limit = _window(request.query)
        since, until = request.query.get("date_from"), request.query.get("date_to")
        found = [
            each
            for each in found
            if (not since or each["last_updated"] >= since) and (not until or each["last_updated"] < until)
        ]
        headers = {"X-Total-Count": str(len(found)), "X-Limit": str(PAGE)}
        if offset + limit < len(found):
            query = {**request.query, "offset": str(offset + limit), "limit": str(limit)}
            url = httpx.URL(f"{self.url}/ocpi/cpo/{VERSION}/{path}", params=query)
            headers["Link"] = f'<{url}>; rel="next"'
        return RoutedAnswer(found[offset : offset + limit], 200, headers)


def _window(query: dict[str, str]) -> tuple[int, int]:
    """Offset and limit. Raises Refusal."""
    try:
        offset, limit = int(query.get("offset", 0)), min(int(query.get("limit", PAGE)), PAGE)
    except ValueError:
        raise Refusal(2001, "offset and limit are numbers") from None
    if offset < 0 or limit < 1:
        raise Refusal(2001, "offset and limit are not negative")
    return offset, limit
