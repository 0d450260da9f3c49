"""The Booking that the JSON API gives, as one organisation may see it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bookings.models import Booking, BookingEvent, BookingStatus
from depots.periods import utc_text


def booking_object(booking: Booking, *, is_fleet: bool) -> dict[str, Any]:
    """Of a fleet's cards its depots see the ending alone. Reads tokens, vehicle, EVSE, option and depot as they were read."""
    return {
        "id": booking.pk,
        "reference": booking.reference,
        "status": booking.status,
        "enforcement": booking.enforcement,
        "interrupted": _interrupted(booking),
        "depot": booking.depot.code,
        "option": booking.option.code,
        "evse": booking.evse.uid if booking.evse else None,
        "vehicle": (booking.vehicle.plate if booking.vehicle else booking.plate) or None,
        "starts_at": utc_text(booking.starts_at),
        "ends_at": utc_text(booking.ends_at),
        "promised_power_kw": booking.promised_power_w / 1000,
        "tokens": [token.uid if is_fleet else token.ending for token in booking.tokens.all()],
        "held_until": _text(booking.held_until),
        "series": booking.series_id,
        "trip": booking.trip_id,
        "created_at": utc_text(booking.created_at, timespec="milliseconds"),
        "updated_at": utc_text(booking.updated_at, timespec="milliseconds"),
    }


def offered_by(event: BookingEvent, status: str) -> dict[str, Any]:
    """What a depot offered instead, of the event that says so, to a booking of that status then."""
    detail, offered = event.detail, event.detail["after"]
    otherwise = "cancelled" if detail.get("cancels") else "stays"
    return {
        "version": event.version,
        "evse": offered["evse"],
        "starts_at": offered["period"]["start"],
        "ends_at": offered["period"]["end"],
        "promised_power_kw": offered["power_w"] / 1000,
        "until": detail["until"],
        "note": detail.get("note"),
        "otherwise": "declined" if status == BookingStatus.REQUESTED else otherwise,
    }


def _interrupted(booking: Booking) -> dict[str, Any] | None:
    if booking.interrupted_at is None:
        return None
    return {
        "at": utc_text(booking.interrupted_at, timespec="milliseconds"),
        "why": booking.interrupted_why,
        "metered_wh": booking.metered_wh,
        "expected_wh": booking.expected_wh,
    }


def _text(moment: datetime | None) -> str | None:
    return utc_text(moment) if moment else None
