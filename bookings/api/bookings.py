"""A booking for programs: found by any of its ids, and as the object that commands print."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q

from bookings.errors import BookingUnknown
from bookings.models import (
    Booking,
    Occupancy,
)
from bookings.rules.reservations import reserved_time
from depots.periods import utc_text


def booking_by_any_id(any_id: str) -> Booking:
    """A booking by our id, its reference or a partner's id of it. Raises BookingUnknown."""
    by_id = Q(reference__iexact=any_id) | Q(remote_id__iexact=any_id)
    if any_id.isascii() and any_id.isdigit() and len(any_id) < 19:
        by_id |= Q(pk=int(any_id))
    found = Booking.objects.filter(by_id).select_related(
        "depot__operator", "option", "evse", "fleet", "vehicle"
    )
    first = found.order_by("pk").first()
    if first is None:
        raise BookingUnknown(f"There is no booking {any_id}.")
    return first


def describe_booking(booking: Booking) -> dict[str, Any]:
    """The object that `show_booking`, `book` and `change_booking` print; docs/operators/commands.md shows it.

    Deliveries are roaming's to add: bookings does not know partners.
    """
    return {
        **_identity(booking),
        **_state(booking),
        **_place(booking),
        "tokens": [_token(token) for token in booking.tokens.all()],
        "terms": booking.terms_json,
        "quote": booking.quote or None,
        "cancel_reason": booking.cancel_reason or None,
        "cancelled_by": booking.cancelled_by or None,
        "version": booking.version,
        "requests": [_request(request) for request in booking.requests.all()],
        "events": [_event(event) for event in booking.events.all()],
    }


def _identity(booking: Booking) -> dict[str, Any]:
    return {
        "id": booking.pk,
        "ocpi_id": booking.ocpi_id or None,
        "reference": booking.reference,
        "request_id": booking.request_id,
        "route": booking.route,
        "best_effort": booking.is_best_effort,
        "reserved": reserved_time(booking).as_json() if booking.is_reservation else None,
    }


def _state(booking: Booking) -> dict[str, Any]:
    return {
        "status": booking.status,
        "remote_status": booking.remote_status or None,
        "enforcement": booking.enforcement,
        "enforcement_why": booking.enforcement_why or None,
        "enforcement_text": booking.enforcement_in_full if booking.is_ours else None,
        "enforcement_since": _z(booking.enforcement_at) if booking.enforcement_at else None,
        "interrupted": _interrupted(booking),
        "reservation_id": booking.reservation_id,
    }


def _place(booking: Booking) -> dict[str, Any]:
    rows = Occupancy.objects.filter(holder=booking.pk, kind=Occupancy.Kind.BOOKING)
    occupied = rows.first()
    return {
        "depot": booking.depot.code,
        "option": booking.option.code,
        "evse_uid": booking.evse.uid if booking.evse else None,
        "vehicle": booking.vehicle.plate if booking.vehicle else booking.plate or None,
        "trailer": booking.trailer.plate if booking.trailer else None,
        "fleet": booking.fleet.name,
        "period": booking.period.as_json(),
        "occupied": occupied.span.as_json() if occupied else None,
        "promised_power_kw": booking.promised_power_w / 1000,
        "energy_kwh": booking.energy_wh / 1000 if booking.energy_wh is not None else None,
        "soc_from": booking.soc_from,
        "soc_to": booking.soc_to,
    }


def _interrupted(booking: Booking) -> dict[str, Any] | None:
    if booking.interrupted_at is None:
        return None
    return {
        "at": _z(booking.interrupted_at),
        "why": booking.interrupted_why,
        "metered_wh": booking.metered_wh,
        "expected_wh": booking.expected_wh,
    }


def _token(token: Any) -> dict[str, str]:
    return {
        "country_code": token.country_code,
        "party_id": token.party_id,
        "uid": token.uid,
        "type": token.type,
        "contract_id": token.contract_id,
    }


def _request(request: Any) -> dict[str, Any]:
    return {
        "id": request.pk,
        "kind": request.kind,
        "decision": request.decision,
        "asked": request.asked,
        "asked_by": str(request.asked_by),
        "asked_at": _z(request.asked_at),
        "decided_at": _z(request.decided_at) if request.decided_at else None,
        "reason": request.reason or None,
    }


def _event(event: Any) -> dict[str, Any]:
    return {
        "kind": event.kind,
        "version": event.version,
        "before": event.before or None,
        "after": event.after or None,
        "actor": str(event.actor),
        "at": _z(event.at),
        "detail": event.detail,
    }


def _z(moment: datetime) -> str:
    return utc_text(moment, timespec="milliseconds")
