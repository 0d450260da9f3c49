"""Bookings 1.1, as the core asks for them (roaming/ocpi/modules/bookings.py)."""

from __future__ import annotations

from typing import Any

from bookings.models import Booking, BookingOption, BookingRequest
from roaming.mirror.values import ToldBooking, ToldOffer
from roaming.models import Partner
from roaming.ocpi.client import joined
from roaming.ocpi.style import Style
from roaming.ocpi.v2_3_0.bookings import edition_1_0, emsp_mapping, mapping, offer_mapping, reading, schemas
from roaming.ocpi.wire_object import Read
from roaming.published import PublishedOffer, owner_of
from roaming.switches import switch

read_request = emsp_mapping.request_in


def url(partner: Partner, booking: Booking) -> str:
    base = partner.endpoint("bookings", "RECEIVER")
    by_request = switch(partner, "booking_path_id") == "request_id"
    name = booking.request_id if by_request else booking.reference
    return joined(base, *owner_of(booking.depot), name) if base else ""


def write(booking: Booking, style: Style, *, newest: schemas.BookingRequest | None = None) -> dict[str, Any]:
    """`newest` is the partner's last message where it was read already."""
    told = mapping.booking_out(booking, newest=newest).wire()
    return edition_1_0.booking_out(told) if style.bookings_edition == "1.0" else told


def offer_url(partner: Partner, option: BookingOption) -> str:
    base = partner.endpoint("bookings", "RECEIVER")
    return joined(base, *owner_of(option.depot), "booking_locations", option.code) if base else ""


def write_offer(offer: PublishedOffer, style: Style) -> dict[str, Any]:
    told = offer_mapping.booking_location_out(offer).wire()
    return edition_1_0.booking_location_out(told) if style.bookings_edition == "1.0" else told


def list_url(partner: Partner) -> str:
    return partner.endpoint("bookings", "SENDER")


def offers_url(partner: Partner, code: str = "") -> str:
    base = list_url(partner).partition("?")[0] if code else list_url(partner)
    return joined(base, "booking_locations", *([code] if code else [])) if base else ""


def write_request(booking: Booking, request: BookingRequest, only_evse: str, style: Style) -> dict[str, Any]:
    told = emsp_mapping.request_out(booking, request, only_evse).wire()
    return edition_1_0.booking_request_out(told) if style.bookings_edition == "1.0" else told


def request_id_of(raw: Any) -> str:
    return str(raw.get("request_id", "")) if isinstance(raw, dict) else ""


def read_offer(partner: Partner, raw: Any) -> Read[ToldOffer]:
    told = reading.read_booking_location(raw, power_unit=_power_unit(partner))
    return Read(emsp_mapping.offer_in(told.value), told.deviations)


def read(partner: Partner, raw: Any) -> Read[ToldBooking]:
    told = reading.read_booking(raw, power_unit=_power_unit(partner))
    return Read(emsp_mapping.booking_in(told.value, reading.terms_told(raw)), told.deviations)


def _power_unit(partner: Partner) -> str:
    return str(switch(partner, "timeslot_power_unit"))
