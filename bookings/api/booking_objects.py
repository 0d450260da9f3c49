"""A booking as the API sends it: in a list, and whole."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse

from bookings.actors import Actor, ActorKind
from bookings.api.problems import ApiResponse
from bookings.core import at_hand
from bookings.core.occupancy import power_kept_beside
from bookings.models import Booking, BookingEvent
from bookings.notifications.booking_object import booking_object as for_organisation
from bookings.operations.counter_offer import offered_period, open_counter_offer, otherwise
from depots.models import Organisation
from depots.periods import utc_text

AT_HAND = ("depot__operator", "option", "evse", "vehicle")


def bookings_of(organisation: Organisation) -> QuerySet[Booking]:
    """All that is an organisation's own: what its fleet has booked, here and at partners' depots."""
    return Booking.objects.filter(fleet=organisation).select_related(*AT_HAND)


def booking_object(booking: Booking) -> dict[str, Any]:
    """As in a list; its tokens are read already there. The same is told in events."""
    return for_organisation(booking, is_fleet=True)


def whole_booking(booking: Booking) -> dict[str, Any]:
    return {
        **booking_object(booking),
        "terms": booking.terms_json,
        "quote": booking.quote or None,
        "offer": _open_offer(booking),
        "events": [_event(event, booking) for event in booking.events.all()],
    }


def told_whole(booking: Booking, *, status: int = 200) -> HttpResponse:
    """The whole booking as it was left by an operation, or read. `ETag` is its version, `Location` where a new one is."""
    at_hand.fetch(booking, "tokens", "events")
    response = ApiResponse(json.dumps(whole_booking(booking), ensure_ascii=False), status=status)
    response["ETag"] = f'"{booking.version}"'
    if status == 201:
        response["Location"] = f"/api/v1/bookings/{booking.pk}"
    return response


def offer_object(booking: Booking) -> dict[str, Any] | None:
    """What the depot offers instead, until when it can be accepted, and what becomes of the booking otherwise."""
    offered = open_counter_offer(booking)
    if offered is None or booking.decide_until is None:
        return None
    period = offered_period(offered)
    power_w = power_kept_beside(booking)
    return {
        "version": booking.version,
        "evse": offered.asked["evse"],
        "starts_at": utc_text(period.starts_at),
        "ends_at": utc_text(period.ends_at),
        "promised_power_kw": power_w / 1000 if power_w is not None else None,
        "until": utc_text(booking.decide_until),
        "note": offered.asked.get("reason"),
        "otherwise": otherwise(booking, offered),
    }


def _open_offer(booking: Booking) -> dict[str, Any] | None:
    """Asks for it only where its events say that there was one."""
    was_offered = any(event.kind == "offered" for event in booking.events.all())
    return offer_object(booking) if was_offered else None


def _event(event: BookingEvent, booking: Booking) -> dict[str, Any]:
    return {
        "kind": event.kind,
        "version": event.version,
        "before": event.before or None,
        "after": event.after or None,
        "actor": _named(event.actor, booking),
        "at": utc_text(event.at, timespec="milliseconds"),
        "detail": event.detail,
    }


def _named(actor: Actor, booking: Booking) -> str:
    """Of people only colleagues are told the name: of the depot's, who they act for."""
    is_colleague = booking.depot.operator_id == booking.fleet_id or actor.kind == ActorKind.DISPATCHER
    return str(actor) if is_colleague or not actor.is_person else booking.depot.operator.name
