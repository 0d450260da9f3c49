"""Bookings, Receiver: partners push their offers, calendars and the state of our bookings (Bookings 1.1
mod_bookings, Receiver Interface).

The paths are read by hand, since partners spell them in many ways; what deviates is served and counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from roaming import deviations
from roaming.mirror import partner_places, remote_bookings
from roaming.mirror.kept_objects import BOOKING, BOOKING_LOCATION, find_kept, find_kept_booking
from roaming.mirror.values import ToldBooking, ToldOffer
from roaming.models import Partner
from roaming.ocpi.auth import Caller, caller_of, tells_of
from roaming.ocpi.client_owned import Address, Asked, ClientOwned, Held, Inside, answer, nothing_here
from roaming.ocpi.dialect import Dialect
from roaming.ocpi.envelope import Code, RefusalError
from roaming.ocpi.routes import Routes
from roaming.ocpi.v2_3_0.bookings import reading
from roaming.ocpi.wire_object import Read
from roaming.outbound import pulls
from roaming.switches import switch

routes = Routes()
OFFERS = {"booking_locations", "bookinglocations", "booking-locations"}
METHODS = ["GET", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE"]


class Offers(ClientOwned[ToldOffer]):
    """BookingLocations, with calendars inside."""

    kind = BOOKING_LOCATION
    shape = reading.BOOKING_LOCATION
    inside = Inside("calendars", "id", reading.CALENDAR, old_list_name="calenders")

    def find(self, asked: Asked, *, lock: bool) -> Held | None:
        """To whoever looks, what the partner's whole list left out is not here: a comparison would take it for offered."""
        kept = find_kept(asked.partner, BOOKING_LOCATION, asked.address.owner, asked.address.id, lock=lock)
        if kept is not None and not lock and remote_bookings.was_left_out(asked.partner, kept):
            return None
        return kept

    def read(self, asked: Asked, raw: dict[str, Any]) -> Read[ToldOffer]:
        return asked.dialect.bookings.read_offer(asked.partner, raw)

    def read_inside(self, asked: Asked, depth: int, raw: dict[str, Any]) -> None:
        reading.read_calendar(raw, power_unit=str(switch(asked.partner, "timeslot_power_unit")))

    def names(self, told: ToldOffer) -> tuple[str, ...]:
        return (told.code,)

    def adopt(self, asked: Asked, read: Read[ToldOffer], raw: dict[str, Any]) -> bool:
        adopted = remote_bookings.adopt_offer(asked.partner, read, raw, now=asked.now)
        if adopted.is_new and partner_places.is_stub(adopted.option.depot):
            pulls.soon(asked.partner, now=asked.now)  # an offer at a place we have not read yet
        return adopted.is_new

    def withdraw(self, asked: Asked, held: Held) -> None:
        """No method of the specification, and what some partners withdraw an offer with."""
        deviations.count(asked.partner, ["booking_location.deleted"])
        raw = {**held.raw, "status": "REMOVED"}
        self.adopt(asked, self.read(asked, raw), raw)


class Bookings(ClientOwned[ToldBooking]):
    """Bookings of ours at the partner's depots; their paths carry its id or our request_id."""

    kind = BOOKING
    shape = reading.BOOKING
    identity = ("id", "request_id", "country_code", "party_id")

    def find(self, asked: Asked, *, lock: bool) -> Held | None:
        return find_kept_booking(asked.partner, asked.address.owner, asked.address.id, lock=lock)

    def read(self, asked: Asked, raw: dict[str, Any]) -> Read[ToldBooking]:
        return asked.dialect.bookings.read(asked.partner, raw)

    def names(self, told: ToldBooking) -> tuple[str, ...]:
        return told.id, told.request_id

    def adopt(self, asked: Asked, read: Read[ToldBooking], raw: dict[str, Any]) -> bool:
        return remote_bookings.adopt_booking(asked.partner, read, raw, now=asked.now).is_new


MODULES: dict[str, ClientOwned[Any]] = {BOOKING: Bookings(), BOOKING_LOCATION: Offers()}


@dataclass
class Path:
    """What a path names, and what was odd about it."""

    kind: str
    address: Address
    deviations: list[str]


@routes.operation(METHODS)
def receive_nothing(request: HttpRequest, dialect: Dialect) -> HttpResponse:
    return receive(request, dialect, "")


@routes.operation(METHODS, "/{path:rest}")
def receive(request: HttpRequest, dialect: Dialect, rest: str) -> HttpResponse:
    caller, now = caller_of(request), timezone.now()
    partner = caller.partner
    path = _read_path(caller, [part for part in rest.split("/") if part])
    if request.method not in ("GET", "PUT", "PATCH", "DELETE"):
        raise _not_offered("This method is not offered here.", path)
    if request.method == "DELETE" and path.kind == BOOKING:
        raise _not_offered("A booking is cancelled, never deleted.", path)
    deviations.count(partner, path.deviations)
    return answer(request, MODULES[path.kind], Asked(partner, dialect, path.address, now))


def _read_path(caller: Caller, parts: list[str]) -> Path:
    """The path below the endpoint, strict or in one of the spellings that are out there. Raises RefusalError (404)."""
    parts, odd = _with_party_first(caller.partner, parts)
    if len(parts) < 3 or not tells_of(caller, parts[0], parts[1], "CPO"):
        raise nothing_here("CPO")
    country_code, party_id, *rest = parts
    if rest[0].lower() in OFFERS:
        if rest[0] != "booking_locations":
            odd.append("path.offers_spelling")
        if len(rest) not in (2, 3):
            raise nothing_here("CPO")
        return Path(BOOKING_LOCATION, Address(country_code, party_id, rest[1], tuple(rest[2:])), odd)
    if rest[0].lower() == "booking" and len(rest) == 2:
        odd.append("path.booking")
        rest = rest[1:]
    if len(rest) != 1:
        raise nothing_here("CPO")
    return Path(BOOKING, Address(country_code, party_id, rest[0]), odd)


def _with_party_first(partner: Partner, parts: list[str]) -> tuple[list[str], list[str]]:
    """Country and party before all else, as in the specification, and what was odd about it."""
    odd: list[str] = []
    if parts and parts[0].lower() in OFFERS:
        # /bookinglocations/{cc}/{pid}/{id}: the word at the front
        odd.append("path.offers_first")
        parts = [*parts[1:3], parts[0], *parts[3:]]
    if parts and parts[0].lower() == "booking":
        odd.append("path.booking")
        parts = parts[1:]
    if len(parts) == 1:
        odd.append("path.without_party")
        parts = [*_only_party(partner), parts[0]]
    return parts, odd


def _only_party(partner: Partner) -> tuple[str, str]:
    parties = {(r["country_code"], r["party_id"]) for r in partner.roles if r["role"] == "CPO"}
    if len(parties) != 1:
        raise nothing_here("CPO")
    return parties.pop()


def _not_offered(message: str, path: Path) -> RefusalError:
    may_go = path.kind == BOOKING_LOCATION and not path.address.inside
    allowed = "GET, HEAD, PUT, PATCH, DELETE" if may_go else "GET, HEAD, PUT, PATCH"
    return RefusalError(Code.CLIENT_ERROR, message, http=405, headers={"Allow": allowed})
