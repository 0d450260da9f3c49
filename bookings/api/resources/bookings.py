"""/bookings: made, listed, changed, cancelled, started and stopped."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Literal

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from bookings import operations
from bookings.api.authentication import Caller, caller_of
from bookings.api.booking_objects import booking_object, bookings_of, offer_object, told_whole
from bookings.api.booking_requests import (
    BookingChange,
    NewBooking,
    Tokens,
    TokenUid,
    change_request,
    slot_request,
    tokens_called,
)
from bookings.api.fields import Body, Moment, Name, Plate, whole_number
from bookings.api.named_vehicles import vehicle_called
from bookings.api.paging import Page, paged
from bookings.api.preconditions import SeenOffer, seen_offer, seen_version
from bookings.api.problems import ApiResponse, Invalid
from bookings.api.schemas import BookingObject, List, OfferedInstead, WholeBooking
from bookings.core import booking_rows
from bookings.errors import TokenUnusable
from bookings.models import Booking, BookingStatus
from bookings.rules.entitlement import TokenName
from depots.token_numbers import is_same

router = Router()

Status = Literal[
    "held", "requested", "confirmed", "charging", "completed", "cancelled", "declined", "no_show", "failed", "expired"
]  # fmt: skip


class BookingsPage(Page):
    changed_since: Moment | None = Field(None, description="also those that changed at this very moment")
    status: Status | None = None
    depot: Name | None = None
    vehicle: Plate | None = None


class Cancellation(Body):
    reason: str = Field(max_length=20, description="one of OCPI's CanceledReason, as TRAFFIC")


class Delay(Body):
    minutes: int = Field(ge=1, le=24 * 60, description="how much later the truck comes than is booked now")


class Swap(Body):
    vehicle: Plate | None = None
    tokens: Tokens | None = Field(None, description="without them those of the vehicle")


class Start(Body):
    token: TokenUid | None = Field(None, description="one of the booking's; without it any that fits")


@router.post("", response={201: WholeBooking})
def book(request: HttpRequest, body: NewBooking) -> HttpResponse:
    """Book a slot, or ask for it where the depot or a partner decides: `confirmed` or `requested`."""
    caller = caller_of(request)
    made = operations.request_booking(slot_request(caller, body), actor=caller.actor, now=caller.now)
    return told_whole(made, status=201)


@router.get("", response=List[BookingObject])
def bookings(request: HttpRequest, query: Query[BookingsPage]) -> HttpResponse:
    """The fleet's bookings, those that changed last at the end."""
    rows = _filtered(bookings_of(caller_of(request).organisation), query).prefetch_related("tokens")
    return ApiResponse(
        json.dumps(paged(rows, query, ["updated_at", "pk"], booking_object), ensure_ascii=False)
    )


@router.get("/{booking_id}", response=WholeBooking)
def booking(request: HttpRequest, booking_id: str) -> HttpResponse:
    """With its terms, its price and its history. `ETag` is its version."""
    return told_whole(own_booking(caller_of(request), booking_id))


@router.patch("/{booking_id}", response=WholeBooking)
def change(request: HttpRequest, booking_id: str, body: BookingChange) -> HttpResponse:
    """Ask for another time, option, EVSE, power, vehicle or tokens. With `If-Match` only of the version that is named."""
    caller = caller_of(request)
    found = own_booking(caller, booking_id)
    seen = seen_version(request, found.version, of="booking")
    changed = operations.change_booking(
        found.pk, change_request(caller, found.depot, found.option, body), seen_version=seen, seen_exactly=True,
        actor=caller.actor, now=caller.now,
    )  # fmt: skip
    return told_whole(changed)


@router.post("/{booking_id}/cancellation", response=WholeBooking)
def cancel(request: HttpRequest, booking_id: str, body: Cancellation) -> HttpResponse:
    """Give it up. At a partner's depot the partner is asked, and it stays what it is until the answer comes."""
    caller = caller_of(request)
    found = own_booking(caller, booking_id)
    cancelled = operations.cancel_booking(
        booking_id=found.pk, reason=body.reason, by=Booking.Side.FLEET, actor=caller.actor, now=caller.now
    )
    return told_whole(cancelled)


@router.post("/{booking_id}/delay", response=WholeBooking)
def delay(request: HttpRequest, booking_id: str, body: Delay) -> HttpResponse:
    """A truck that comes later, until the no-show time: start and end move, the end as far as the next booking leaves room.
    Where the depot or a partner decides it is asked."""
    caller = caller_of(request)
    found = own_booking(caller, booking_id)
    late = timedelta(minutes=body.minutes)
    return told_whole(operations.delay_booking(found.pk, late, actor=caller.actor, now=caller.now))


@router.post("/{booking_id}/swap", response=WholeBooking)
def swap(request: HttpRequest, booking_id: str, body: Swap) -> HttpResponse:
    """Another vehicle, or other tokens, in the slot as it is; until the no-show time."""
    caller = caller_of(request)
    found = own_booking(caller, booking_id)
    if body.vehicle is None and body.tokens is None:
        raise Invalid([("vehicle", "Name a vehicle, tokens, or both.")])
    fleet = caller.organisation
    swapped = operations.swap_vehicle(
        found.pk, vehicle=vehicle_called(fleet, body.vehicle) if body.vehicle is not None else None,
        tokens=tokens_called(fleet, body.tokens), actor=caller.actor, now=caller.now,
    )  # fmt: skip
    return told_whole(swapped)


@router.get("/{booking_id}/offer", response=OfferedInstead)
def offer(request: HttpRequest, booking_id: str) -> HttpResponse:
    """What the depot offers instead of what is asked for or booked; 404 where it offers nothing (any more). `ETag` is the
    version of the booking with it."""
    found = own_booking(caller_of(request), booking_id)
    told = offer_object(found)
    if told is None:
        raise Http404
    response = ApiResponse(json.dumps(told, ensure_ascii=False))
    response["ETag"] = f'"{found.version}"'
    return response


@router.post("/{booking_id}/offer/acceptance", response=WholeBooking)
def accept_counter_offer(
    request: HttpRequest, booking_id: str, body: SeenOffer | None = None
) -> HttpResponse:
    """Take what the depot offers instead: the booking becomes that, at the price it has, and is confirmed. With `If-Match`, or
    `version`, only the offer that was seen."""
    caller = caller_of(request)
    found = own_booking(caller, booking_id)
    answered = operations.accept_counter_offer(
        booking_id=found.pk, seen_version=seen_offer(request, body, found.version), actor=caller.actor, now=caller.now
    )  # fmt: skip
    return told_whole(answered)


@router.post("/{booking_id}/offer/refusal", response=WholeBooking)
def decline_counter_offer(
    request: HttpRequest, booking_id: str, body: SeenOffer | None = None
) -> HttpResponse:
    """Decline what the depot offers instead; `otherwise` said what becomes of the booking. With `If-Match`, or `version`, only
    the offer that was seen."""
    caller = caller_of(request)
    found = own_booking(caller, booking_id)
    answered = operations.decline_counter_offer(
        booking_id=found.pk, seen_version=seen_offer(request, body, found.version), actor=caller.actor, now=caller.now
    )  # fmt: skip
    return told_whole(answered)


@router.post("/{booking_id}/start", response=WholeBooking)
def start(request: HttpRequest, booking_id: str, body: Start | None = None) -> HttpResponse:
    """Have the charger begin; its answer comes later, in the booking's events."""
    caller = caller_of(request)
    found = own_booking(caller, booking_id)
    if not found.is_ours:
        operations.start_at_partner(booking_id=found.pk, actor=caller.actor, now=caller.now)
    else:
        token = _own_token(found, body.token) if body is not None and body.token is not None else None
        operations.start_remotely(booking_id=found.pk, with_token=token, actor=caller.actor, now=caller.now)
    return told_whole(own_booking(caller, booking_id))


@router.post("/{booking_id}/stop", response=WholeBooking)
def stop(request: HttpRequest, booking_id: str) -> HttpResponse:
    """Have the charger end the session; its answer comes later, in the booking's events."""
    caller = caller_of(request)
    found = own_booking(caller, booking_id)
    operation = operations.stop_remotely if found.is_ours else operations.stop_at_partner
    operation(booking_id=found.pk, actor=caller.actor, now=caller.now)
    return told_whole(own_booking(caller, booking_id))


def own_booking(caller: Caller, booking_id: str) -> Booking:
    """With what belongs to it. 404 for what is not the caller's."""
    pk = whole_number(booking_id)
    try:
        found = booking_rows.with_all(pk) if pk is not None else None
    except Booking.DoesNotExist:
        found = None
    if found is None or found.fleet_id != caller.organisation.pk:
        raise Http404
    return found


def _filtered(rows: QuerySet[Booking], query: BookingsPage) -> QuerySet[Booking]:
    asked: dict[str, str | datetime | None] = {
        "updated_at__gte": query.changed_since,
        "status": BookingStatus(query.status) if query.status else None,
        "depot__code__iexact": query.depot,
        "plate__iexact": query.vehicle,
    }
    return rows.filter(**{name: value for name, value in asked.items() if value is not None})


def _own_token(booking: Booking, uid: str) -> TokenName:
    """As the booking carries it. Raises TokenUnusable."""
    for token in booking.tokens.all():
        if is_same(uid, token.type, token.uid, token.type):
            return TokenName(token.uid, token.type, token.country_code, token.party_id, token.contract_id)
    raise TokenUnusable(f"The booking has no token {uid}.")
