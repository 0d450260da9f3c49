"""Trucks that charge in their slots, and what becomes of that."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bookings.models import Booking
from depots import operations as depots
from depots.models import ChargingSession, Evse
from tests.bookings.enforcement.online_chargers import (
    armed,
    book,
    evse_online,
    start,
)
from tests.factories import at


def stop(session: ChargingSession, now: datetime, wh: int | None, reason: str = "Local") -> None:
    """`wh` charged since the start, by the register; None without a meter value."""
    meter = None if wh is None else 1000 + wh
    end = depots.Stop(transaction=session.transaction, at=now, meter_wh=meter, reason=reason)
    depots.stop_session(charger_id=session.charger_id, stop=end, now=now)


def charging(
    evse: Evse | None = None, *, expected_wh: int = 267_000, now: datetime = at(10), **wishes: Any
) -> Booking:
    booking = armed(book(evse or evse_online(), **wishes))
    Booking.objects.filter(pk=booking.pk).update(quote={"energy_wh": expected_wh})
    assert booking.evse is not None
    start(booking.evse, booking.tokens.get().uid, now)
    return fresh(booking)


def fresh(booking: Booking) -> Booking:
    return Booking.objects.select_related("session", "evse").get(pk=booking.pk)


def happened(booking: Booking, kind: str) -> list[dict[str, Any]]:
    return [event.detail for event in booking.events.filter(kind=kind)]
