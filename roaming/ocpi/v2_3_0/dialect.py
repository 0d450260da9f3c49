"""OCPI 2.3.0 with Bookings 1.1, as the core asks for it (roaming/ocpi/dialect.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bookings.models import Booking, BookingOption, BookingRequest, ChargeDetailRecord
from bookings.pricing.tariff_content import TariffContent
from roaming.mirror.values import ToldBooking, ToldOffer, ToldPlace
from roaming.models import Partner
from roaming.ocpi.client import joined
from roaming.ocpi.v2_3_0.bookings import emsp_mapping, mapping, offer_mapping, reading
from roaming.ocpi.v2_3_0.cdrs.mapping import cdr_out
from roaming.ocpi.v2_3_0.credentials.mapping import read_credentials, write_credentials
from roaming.ocpi.v2_3_0.locations.mapping import place_in
from roaming.ocpi.v2_3_0.locations.reading import read_location
from roaming.ocpi.v2_3_0.versions.mapping import VERSION, endpoints, read_endpoints, write_endpoints
from roaming.ocpi.wire_object import Read
from roaming.published import PublishedOffer, owner_of
from roaming.switches import switch

__all__ = [
    "VERSION",
    "booking_url",
    "bookings_url",
    "endpoints",
    "offer_url",
    "offers_url",
    "places_url",
    "read_booking",
    "read_credentials",
    "read_endpoints",
    "read_offer",
    "read_place",
    "read_request",
    "request_id_of",
    "write_booking",
    "write_cdr",
    "write_credentials",
    "write_endpoints",
    "write_offer",
    "write_request",
]

read_request = emsp_mapping.request_in


def booking_url(partner: Partner, booking: Booking) -> str:
    base = partner.endpoint("bookings", "RECEIVER")
    by_request = switch(partner, "booking_path_id") == "request_id"
    name = booking.request_id if by_request else booking.reference
    return joined(base, *owner_of(booking.depot), name) if base else ""


def write_booking(booking: Booking) -> dict[str, Any]:
    return mapping.booking_out(booking).wire()


def write_cdr(cdr: ChargeDetailRecord, contents: Mapping[int, TariffContent]) -> dict[str, Any]:
    return cdr_out(cdr, contents).wire()


def offer_url(partner: Partner, option: BookingOption) -> str:
    base = partner.endpoint("bookings", "RECEIVER")
    return joined(base, *owner_of(option.depot), "booking_locations", option.code) if base else ""


def write_offer(offer: PublishedOffer) -> dict[str, Any]:
    return offer_mapping.booking_location_out(offer).wire()


def places_url(partner: Partner) -> str:
    return partner.endpoint("locations", "SENDER")


def offers_url(partner: Partner, code: str = "") -> str:
    base = bookings_url(partner).partition("?")[0] if code else bookings_url(partner)
    return joined(base, "booking_locations", *([code] if code else [])) if base else ""


def bookings_url(partner: Partner) -> str:
    return partner.endpoint("bookings", "SENDER")


def write_request(booking: Booking, request: BookingRequest, only_evse: str) -> dict[str, Any]:
    return emsp_mapping.request_out(booking, request, only_evse).wire()


def request_id_of(raw: Any) -> str:
    return str(raw.get("request_id", "")) if isinstance(raw, dict) else ""


def read_place(raw: Any) -> Read[ToldPlace]:
    read = read_location(raw)
    is_partial = "evse.unreadable" in read.deviations
    return Read(place_in(read.value, is_partial=is_partial), read.deviations)


def read_offer(partner: Partner, raw: Any) -> Read[ToldOffer]:
    read = reading.read_booking_location(raw, power_unit=_power_unit(partner))
    return Read(emsp_mapping.offer_in(read.value), read.deviations)


def read_booking(partner: Partner, raw: Any) -> Read[ToldBooking]:
    read = reading.read_booking(raw, power_unit=_power_unit(partner))
    return Read(emsp_mapping.booking_in(read.value), read.deviations)


def _power_unit(partner: Partner) -> str:
    return str(switch(partner, "timeslot_power_unit"))
