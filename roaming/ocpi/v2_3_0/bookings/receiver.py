"""Bookings, Receiver: partners push their offers, calendars and the state of our bookings (Bookings 1.1
mod_bookings, Receiver Interface).

The paths are read by hand, since partners spell them in many ways; what deviates is served and counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Router

from roaming import deviations
from roaming.mirror import partner_places, remote_bookings
from roaming.mirror.kept_objects import BOOKING, BOOKING_LOCATION, find_kept, find_kept_booking
from roaming.models import Partner, PartnerObject
from roaming.ocpi.auth import caller_of, registered, speaks_for
from roaming.ocpi.envelope import Code, RefusalError, ok, read_object
from roaming.ocpi.times import read_time
from roaming.ocpi.v2_3_0 import dialect
from roaming.ocpi.v2_3_0.bookings import reading
from roaming.ocpi.wire_object import UnreadableError
from roaming.outbound import pulls
from roaming.switches import switch

router = Router(auth=registered)
OFFERS = {"booking_locations", "bookinglocations", "booking-locations"}
METHODS = ["GET", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE"]


@dataclass
class Address:
    """What a path names: an offer, one calendar of it, or a booking, of one of the caller's CPO parties."""

    kind: str
    country_code: str
    party_id: str
    id: str
    calendar_id: str = ""
    deviations: list[str] = field(default_factory=list)

    @property
    def owner(self) -> tuple[str, str]:
        return self.country_code, self.party_id


@router.api_operation(METHODS, "")
def receive_nothing(request: HttpRequest) -> HttpResponse:
    return receive(request, "")


@router.api_operation(METHODS, "/{path:rest}")
def receive(request: HttpRequest, rest: str) -> HttpResponse:
    partner, now = caller_of(request).partner, timezone.now()
    address = _read_path(partner, [part for part in rest.split("/") if part])
    if request.method not in ("GET", "PUT", "PATCH", "DELETE"):
        raise _not_offered("This method is not offered here.", address)
    deviations.count(partner, address.deviations)
    answer = _on_booking if address.kind == BOOKING else _on_calendar if address.calendar_id else _on_offer
    with transaction.atomic():  # what is merged into the object we hold is merged under its lock
        return answer(request, partner, address, now)


def _on_booking(request: HttpRequest, partner: Partner, address: Address, now: datetime) -> HttpResponse:
    if request.method == "DELETE":
        raise _not_offered("A booking is cancelled, never deleted.", address)
    kept = find_kept_booking(partner, address.owner, address.id, lock=request.method == "PATCH")
    if request.method == "GET":
        return ok(_held(kept).raw)
    body = read_object(request)
    if request.method == "PUT":
        read = dialect.bookings.read(partner, body)
        told = read.value
        _check_party(address, told.country_code, told.party_id)
        if address.id.upper() not in (told.id.upper(), told.request_id.upper()):
            raise UnreadableError("id", "is not the id in the path")
        if address.id.upper() != told.id.upper():
            deviations.count(partner, ["path.request_id"])
        adopted = remote_bookings.adopt_booking(partner, read, body, now=now)
        return ok(http=201 if adopted.is_new else 200)
    patch = reading.read_patch("booking", body)
    held = _held(kept)
    if _is_old(held, patch.value):
        return ok()
    deviations.count(partner, patch.deviations)
    merged = _patched(held, patch.value, ("id", "request_id", "country_code", "party_id"))
    remote_bookings.adopt_booking(partner, dialect.bookings.read(partner, merged), merged, now=now)
    return ok()


def _on_offer(request: HttpRequest, partner: Partner, address: Address, now: datetime) -> HttpResponse:
    kept = _kept_offer(partner, address, lock=request.method != "GET")
    if request.method == "GET":
        return ok(_held(kept).raw)
    if request.method == "DELETE":
        held = _held(kept)
        deviations.count(partner, ["booking_location.deleted"])
        _keep_offer(partner, address, {**held.raw, "status": "REMOVED"}, now)
        return ok()
    body = read_object(request)
    if request.method == "PUT":
        is_new = _keep_offer(partner, address, body, now)
        return ok(http=201 if is_new else 200)
    patch = reading.read_patch("booking_location", body)
    held = _held(kept)
    if _is_old(held, patch.value):
        return ok()
    deviations.count(partner, patch.deviations)
    _keep_offer(partner, address, _patched(held, patch.value, ("id", "country_code", "party_id")), now)
    return ok()


def _on_calendar(request: HttpRequest, partner: Partner, address: Address, now: datetime) -> HttpResponse:
    """One calendar by itself; its offer must be known, and is as new as it."""
    if request.method == "DELETE":
        raise _not_offered("Put the offer without the calendar instead.", address)
    held = _held(_kept_offer(partner, address, lock=request.method != "GET"))
    calendars = [c for c in _calendars(held.raw) if isinstance(c, dict)]
    known = next((c for c in calendars if str(c.get("id", "")).upper() == address.calendar_id.upper()), None)
    if request.method == "GET":
        if known is None:
            raise RefusalError(Code.CLIENT_ERROR, "There is no such calendar.", http=404)
        return ok(known)
    body = read_object(request)
    if request.method == "PATCH":
        patch = reading.read_patch("calendar", body)
        if known is None:
            raise RefusalError(Code.CLIENT_ERROR, "There is no such calendar: PUT it.", http=404)
        if _is_older(patch.value, known):
            return ok()
        deviations.count(partner, patch.deviations)
        body = {**known, **patch.value}
    told = reading.read_calendar(body, power_unit=str(switch(partner, "timeslot_power_unit"))).value
    if told.id.upper() != address.calendar_id.upper():
        raise UnreadableError("id", "is not the id in the path")
    if known is not None and _is_older(body, known):
        return ok()
    others = [c for c in calendars if c is not known]
    offer = {**held.raw, "calendars": [*others, body], "last_updated": _latest(held, body)}
    _keep_offer(partner, address, offer, now)
    return ok(http=200 if known is not None else 201)


def _keep_offer(partner: Partner, address: Address, raw: dict[str, Any], now: datetime) -> bool:
    """Store an offer and its mirror; True when it is new. An older state than the one we have is dropped."""
    read = dialect.bookings.read_offer(partner, raw)
    told = read.value
    _check_party(address, told.country_code, told.party_id)
    if told.code.upper() != address.id.upper():
        raise UnreadableError("id", "is not the id in the path")
    adopted = remote_bookings.adopt_offer(partner, read, raw, now=now)
    if adopted.is_new and partner_places.is_stub(adopted.option.depot):
        pulls.soon(partner, now=now)  # an offer at a place we have not read yet
    return adopted.is_new


def _kept_offer(partner: Partner, address: Address, *, lock: bool) -> PartnerObject | None:
    return find_kept(partner, BOOKING_LOCATION, address.owner, address.id, lock=lock)


def _read_path(partner: Partner, parts: list[str]) -> Address:
    """The path below the endpoint, strict or in one of the spellings that are out there. Raises RefusalError (404)."""
    parts, odd = _with_party_first(partner, parts)
    if len(parts) < 3 or not speaks_for(partner, parts[0], parts[1], "CPO"):
        raise _nothing_here()
    country_code, party_id, *rest = parts
    if rest[0].lower() in OFFERS:
        if rest[0] != "booking_locations":
            odd.append("path.offers_spelling")
        if len(rest) not in (2, 3):
            raise _nothing_here()
        return Address(BOOKING_LOCATION, country_code, party_id, rest[1], "".join(rest[2:]), odd)
    if rest[0].lower() == "booking" and len(rest) == 2:
        odd.append("path.booking")
        rest = rest[1:]
    if len(rest) != 1:
        raise _nothing_here()
    return Address(BOOKING, country_code, party_id, rest[0], "", odd)


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
        raise _nothing_here()
    return parties.pop()


def _not_offered(message: str, address: Address) -> RefusalError:
    may_go = address.kind == BOOKING_LOCATION and not address.calendar_id
    allowed = "GET, HEAD, PUT, PATCH, DELETE" if may_go else "GET, HEAD, PUT, PATCH"
    return RefusalError(Code.CLIENT_ERROR, message, http=405, headers={"Allow": allowed})


def _nothing_here() -> RefusalError:
    return RefusalError(Code.INVALID, "There is no such object of one of your CPO parties.", http=404)


def _check_party(address: Address, country_code: str, party_id: str) -> None:
    if country_code.upper() != address.country_code.upper():
        raise UnreadableError("country_code", "is not the one in the path")
    if party_id.upper() != address.party_id.upper():
        raise UnreadableError("party_id", "is not the one in the path")


def _held(kept: PartnerObject | None) -> PartnerObject:
    if kept is None:
        raise RefusalError(Code.CLIENT_ERROR, "There is no such object here: PUT it first.", http=404)
    return kept


def _is_old(held: PartnerObject, patch: dict[str, Any]) -> bool:
    return held.last_updated is not None and reading.patched_at(patch) < held.last_updated


def _is_older(told: dict[str, Any], known: dict[str, Any]) -> bool:
    try:
        return read_time(told.get("last_updated")) < read_time(known.get("last_updated"))
    except ValueError:
        return False


def _patched(held: PartnerObject, patch: dict[str, Any], identity: tuple[str, ...]) -> dict[str, Any]:
    """Objects merge, lists replace, calendars merge by id. Raises UnreadableError when a patch renames the object."""
    for name in identity:
        if name in patch and str(patch[name]).upper() != str(held.raw.get(name, "")).upper():
            raise UnreadableError(name, "cannot be changed")
    return _merged(held.raw, patch)


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for name, value in new.items():
        before = merged.get(name)
        if name == "calendars" and isinstance(value, list) and isinstance(before, list):
            merged[name] = _merged_calendars(before, value)
        elif isinstance(value, dict) and isinstance(before, dict):
            merged[name] = _merged(before, value)
        else:
            merged[name] = value
    return merged


def _merged_calendars(old: list[Any], new: list[Any]) -> list[Any]:
    by_id = {str(c.get("id", "")).upper(): c for c in old if isinstance(c, dict)}
    for calendar in new:
        if isinstance(calendar, dict):
            key = str(calendar.get("id", "")).upper()
            by_id[key] = {**by_id.get(key, {}), **calendar}
    return list(by_id.values())


def _calendars(raw: dict[str, Any]) -> list[Any]:
    calendars = raw.get("calendars", raw.get("calenders"))
    return calendars if isinstance(calendars, list) else []


def _latest(held: PartnerObject, body: dict[str, Any]) -> Any:
    """The offer is as new as its newest calendar."""
    known = held.raw.get("last_updated")
    return known if _is_older(body, held.raw) else body.get("last_updated", known)
