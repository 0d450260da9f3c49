"""Bookings of a model that is not OCPI's, as some public libraries have them: told apart, so that the answer says what is wrong.

They book with names of their own (`emsp_booking_id`, times at the top, states CONFIRMED and ACTIVE). What such a message means is
anybody's guess, so nothing of it is taken over.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from roaming.ocpi.v2_3_0.bookings.schemas import Booking, BookingRequest
from roaming.ocpi.wire_object import UnreadableError, WireObject

# Without these it is none: every booking of OCPI 2.3.0 has them, in both editions.
_TELLING: dict[type[WireObject], tuple[str, ...]] = {
    BookingRequest: ("request_id",),
    Booking: ("request_id", "reservation_status"),
}
_REQUIRED: dict[type[WireObject], tuple[str, ...]] = {
    BookingRequest: ("country_code", "party_id", "location_id", "period"),
    Booking: ("id", "country_code", "party_id", "location_id", "period", "last_updated"),
}
_NAME = re.compile(r"[A-Za-z_]\w{0,39}", re.ASCII)
MOST_NAMED = 5


def check_model(model: type[WireObject], shaped: Mapping[str, Any]) -> None:
    """Raises UnreadableError that names all that is missing, and what OCPI has not, where an object under the names of 1.1 has
    not what tells a booking of OCPI."""
    missing = [name for name in _TELLING[model] if name not in shaped]
    if not missing:
        return
    field, *others = [*missing, *(name for name in _REQUIRED[model] if name not in shaped)]
    sentence = f"is required, as are {_listed(others)}" if others else "is required"
    unknown = [name for name in shaped if name not in model.model_fields and _NAME.fullmatch(name)]
    if unknown:
        sentence += f"; a {model.__name__} of Bookings 1.1 has no {_listed(unknown[:MOST_NAMED], 'or')}"
    raise UnreadableError(field, sentence)


def _listed(names: Collection[str], last_but: str = "and") -> str:
    *first, last = names
    return f"{', '.join(first)} {last_but} {last}" if first else last
