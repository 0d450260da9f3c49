"""Bookings 1.1 under 2.2.1, as the core asks for them (roaming/ocpi/modules/bookings.py): the same objects, but for the kinds
of tokens that 2.2.1 has no name for."""

from __future__ import annotations

from typing import Any

from bookings.models import Booking, BookingRequest
from roaming.ocpi.style import Style
from roaming.ocpi.v2_2_1.tokens.token_types import as_2_2_1
from roaming.ocpi.v2_3_0.bookings import dialect as newest
from roaming.ocpi.v2_3_0.bookings.dialect import (
    list_url,
    offer_url,
    offers_url,
    read,
    read_offer,
    read_request,
    request_id_of,
    url,
    write,
    write_offer,
)

__all__ = [
    "list_url",
    "offer_url",
    "offers_url",
    "read",
    "read_offer",
    "read_request",
    "request_id_of",
    "url",
    "write",
    "write_offer",
    "write_request",
]


def write_request(booking: Booking, request: BookingRequest, only_evse: str, style: Style) -> dict[str, Any]:
    told = newest.write_request(booking, request, only_evse, style)
    return {**told, "tokens": [as_2_2_1(token) for token in told["tokens"]]}
