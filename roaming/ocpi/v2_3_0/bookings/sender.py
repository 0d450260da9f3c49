"""Bookings, Sender: a partner reads what it may book, and books it (Bookings 1.1 mod_bookings, Sender Interface)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from bookings.core import at_hand
from bookings.models import Booking, BookingOption
from roaming import access, deviations, published
from roaming.inbound import partner_requests
from roaming.inbound.partner_requests import PartnerRequest, receive_request
from roaming.ocpi import wire_object
from roaming.ocpi.auth import Caller, caller_of, own_party, tells_of
from roaming.ocpi.dialect import Dialect
from roaming.ocpi.envelope import Code, RefusalError, ok, read_object
from roaming.ocpi.paging import Page, span
from roaming.ocpi.routes import Routes
from roaming.ocpi.style import style_of
from roaming.ocpi.v2_3_0.bookings import dialect as wire
from roaming.ocpi.v2_3_0.bookings import mapping, reading, request_mapping, schemas
from roaming.switches import switch

routes = Routes()
MOST_TOKENS = 36
# An ask is kept as it came and goes back with every state of its booking. With all its tokens it has some 6 kB.
LARGEST_REQUEST = 16 * 1024
REFERENCE_MISSING = "booking_request.authorization_reference_missing"

ANSWERS: dict[type[partner_requests.PartnerRequestError], Code] = {
    partner_requests.PlaceUnknown: Code.UNKNOWN_LOCATION,
    partner_requests.OfferUnclear: Code.NOT_ENOUGH,
    partner_requests.Malformed: Code.INVALID,
    partner_requests.Over: Code.INVALID,
    partner_requests.AskedTooOften: Code.INVALID,
}


@routes.get("/booking_locations")
def booking_locations(request: HttpRequest, dialect: Dialect) -> HttpResponse:
    """S1. With `timeslot_from`/`timeslot_to` only offers that have free time in that span."""
    now, caller, page = timezone.now(), caller_of(request), Page.of(request)
    wanted, style = span(request, "timeslot_from", "timeslot_to"), style_of(caller.partner)
    rows = access.options(caller.partner, operator=own_party(caller, "CPO"), now=now)
    if page.asks_for_changes:
        rows = page.changed_in(rows, access.offer_changed_at(now=now))
    if wanted is not None:
        free = published.offers_free_in(caller.partner, list(rows), wanted, now=now)
        return page.answer_list([wire.write_offer(offer, style) for offer in free])

    def write(options: Sequence[BookingOption]) -> Sequence[dict[str, Any]]:
        return [
            wire.write_offer(offer, style) for offer in published.offers(caller.partner, options, now=now)
        ]

    return page.answer(rows, write)


@routes.get("/booking_locations/{booking_location_id}")
def booking_location(request: HttpRequest, dialect: Dialect, booking_location_id: str) -> HttpResponse:
    """S2."""
    return ok(_booking_location(request, booking_location_id))


@routes.get("/booking_locations/{booking_location_id}/{calendar_id}")
def calendar(
    request: HttpRequest, dialect: Dialect, booking_location_id: str, calendar_id: str
) -> HttpResponse:
    """S3."""
    for found in _booking_location(request, booking_location_id)["calendars"]:
        if found["id"].upper() == calendar_id.upper():
            return ok(found)
    raise RefusalError(Code.UNKNOWN_LOCATION, "There is no such calendar; nothing may be free.", http=404)


@routes.get()
def bookings(request: HttpRequest, dialect: Dialect) -> HttpResponse:
    """S4: the caller's own, of the party that it speaks for."""
    caller, page = caller_of(request), Page.of(request)
    rows, style = _own(caller), style_of(caller.partner)
    rows = page.changed_in(rows, F("updated_at"))

    def write(found: Sequence[Booking]) -> Sequence[dict[str, Any]]:
        return [wire.write(booking, style) for booking in found]

    return page.answer(rows, write)


@routes.get("/{booking_id}")
def booking(request: HttpRequest, dialect: Dialect, booking_id: str) -> HttpResponse:
    """S6, which the specification does not have."""
    caller = caller_of(request)
    found = _own(caller).filter(reference__iexact=booking_id).first()
    if found is None:
        raise RefusalError(Code.CLIENT_ERROR, "There is no such booking of yours.", http=404)
    return ok(wire.write(found, style_of(caller.partner)))


@routes.operation(["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"], "/{booking_id}")
def not_offered(request: HttpRequest, dialect: Dialect, booking_id: str) -> HttpResponse:
    """Some libraries cancel by DELETE."""
    sentence = "A booking is changed, and cancelled, by a POST of its BookingRequest with the same request_id to the list."
    raise RefusalError(Code.CLIENT_ERROR, sentence, http=405, headers={"Allow": "GET, HEAD"})


@routes.post()
def post_booking_request(request: HttpRequest, dialect: Dialect) -> HttpResponse:
    """S5: create, change and cancel. What a rule of ours refuses is a success that says REJECTED or DECLINED."""
    caller, now = caller_of(request), timezone.now()
    received = read_object(request)
    if len(request.body) > LARGEST_REQUEST:
        raise RefusalError(Code.INVALID, f"A BookingRequest has at most {LARGEST_REQUEST} bytes.")
    unit = str(switch(caller.partner, "timeslot_power_unit"))
    told = reading.read_booking_request(received, power_unit=unit)
    asked = told.value
    if not tells_of(caller, asked.country_code, asked.party_id, "EMSP"):
        raise RefusalError(Code.INVALID, "party_id: not one of the eMSP parties of your credentials")
    operator = own_party(caller, "CPO")
    try:
        outcome = receive_request(
            caller.partner, _partner_request(told, received), operator=operator, now=now
        )
    except partner_requests.PartnerRequestError as error:
        raise RefusalError(ANSWERS[type(error)], f"{error.field}: {error}") from error
    finally:
        deviations.count(caller.partner, told.deviations)
    if outcome.is_new:
        made = at_hand.fetch(outcome.booking, "tokens", "requests")
        told_back = wire.write(made, style_of(caller.partner), newest=asked)
        return ok(told_back, http=201, message=mapping.refusal_of(made))
    fresh = access.bookings(caller.partner).get(pk=outcome.booking.pk)
    return ok(wire.write(fresh, style_of(caller.partner)), message=mapping.refusal_of(fresh))


def fingerprint(received: dict[str, Any]) -> str:
    """The same for the same content, whatever the order of its keys."""
    canonical = json.dumps(received, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _partner_request(
    told: wire_object.Read[schemas.BookingRequest], received: dict[str, Any]
) -> PartnerRequest:
    asked = told.value
    party = (asked.country_code, asked.party_id)
    mark = fingerprint(received)
    if asked.canceled is not None:
        reason = str(asked.canceled.cancellation_reason)
        return PartnerRequest(party, asked.request_id, received, mark, cancel_reason=reason)
    if len(asked.tokens) > MOST_TOKENS:
        raise wire_object.UnreadableError("tokens", f"must be at most {MOST_TOKENS}")
    option = asked.booking_option
    return PartnerRequest(
        party,
        asked.request_id,
        received,
        mark,
        location_id=asked.location_id or "",
        option_code=asked.booking_location_id or "",
        evse_uid=(option.evse_uid or "") if option else "",
        period=request_mapping.period_in(asked.period) if asked.period else None,
        needs=request_mapping.needs_in(option),
        tokens=tuple(request_mapping.tokens_in(asked.tokens)),
        power_w=request_mapping.power_in(asked),
        plate=request_mapping.plate_in(asked),
        # Missing, it was read as the request_id; to an edit that would be a new reference.
        authorization_reference="" if REFERENCE_MISSING in told.deviations else asked.authorization_reference,
    )


def _own(caller: Caller) -> Any:
    return access.bookings(caller.partner, party=caller.from_party, operator=own_party(caller, "CPO"))


def _booking_location(request: HttpRequest, booking_location_id: str) -> dict[str, Any]:
    now, caller = timezone.now(), caller_of(request)
    rows = access.options(caller.partner, operator=own_party(caller, "CPO"), now=now)
    found = rows.filter(code__iexact=booking_location_id).first()
    if found is None:
        raise RefusalError(Code.UNKNOWN_LOCATION, "There is no such booking location for you.", http=404)
    return wire.write_offer(published.offers(caller.partner, [found], now=now)[0], style_of(caller.partner))
