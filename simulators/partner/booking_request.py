"""A BookingRequest of OCPI Booking 1.1 as it arrives, taken strictly."""

from __future__ import annotations

from typing import Any

from simulators.partner.ocpi_format import Json, Refusal, read_period

_TEXTS = (
    "country_code",
    "party_id",
    "request_id",
    "location_id",
    "booking_location_id",
    "authorization_reference",
)
_TOKEN_FIELDS = {"country_code", "party_id", "uid", "type", "contract_id"}


def check_request(body: Any) -> Json:
    """The request itself. Raises Refusal, naming the field."""
    if not isinstance(body, dict):
        raise Refusal(2001, "the body must be a BookingRequest")
    _check_texts(body)
    _check_period(body)
    tokens = body.get("tokens", [])
    if not isinstance(tokens, list) or not all(
        isinstance(token, dict) and token.keys() >= _TOKEN_FIELDS for token in tokens
    ):
        raise Refusal(2001, f"tokens need {', '.join(sorted(_TOKEN_FIELDS))}")
    return body


def _check_texts(body: Json) -> None:
    for name in _TEXTS:
        if not isinstance(body.get(name), str) or not 0 < len(body[name]) <= 36:
            raise Refusal(2001, f"{name} is required, a text of at most 36 characters")


def _check_period(body: Json) -> None:
    period = body.get("period")
    is_period = isinstance(period, dict) and set(period) == {"start_date_time", "end_date_time"}
    if "evse_uid" in body or not is_period:
        raise Refusal(2001, "period is required, with start_date_time and end_date_time and nothing else")
    start, end = read_period(body)
    if start >= end:
        raise Refusal(2001, "period ends before it starts")
