"""May this be done now, what would it cost, and what else would be allowed? One answer, by the operation itself.

It is carried out and taken back, so that no rule can be forgotten and none said in other words; for that long it holds the locks
of what it would take. A search over many places asks `bookings.search.offers`, which reads the same rules and locks nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bookings.actors import Actor
from bookings.core.taken_back import taken_back
from bookings.errors import BookingError
from bookings.models import Booking
from bookings.operations.book import request_booking
from bookings.operations.change import change_booking
from bookings.operations.change_request import ChangeRequest
from bookings.operations.slot_request import SlotRequest
from depots.periods import Period


@dataclass(frozen=True)
class Answer:
    """`quote` is the price (bookings/rules/quotes.py), empty without one; `waits`: the depot decides, or something is paid first.
    Of
    what is not allowed `code` and `sentence` say why, and `nearest` is the nearest period that would be, where one is known."""

    is_allowed: bool
    waits: bool = False
    quote: dict[str, Any] = field(default_factory=dict)
    code: str = ""
    sentence: str = ""
    nearest: Period | None = None


def answer_to_booking(request: SlotRequest, *, actor: Actor, now: datetime) -> Answer:
    """Whether this slot can be booked."""
    return _answer(lambda: request_booking(request, actor=actor, now=now))


def answer_to_change(
    booking_id: int, request: ChangeRequest, *, by: str = Booking.Side.FLEET, actor: Actor, now: datetime
) -> Answer:
    """Whether the booking can be changed so."""
    return _answer(lambda: change_booking(booking_id, request, by=by, actor=actor, now=now))


def _answer(act: Callable[[], Booking]) -> Answer:
    try:
        with taken_back():
            answer = _of(act())
    except BookingError as refusal:
        return Answer(False, code=refusal.code, sentence=str(refusal), nearest=refusal.nearest)
    return answer


def _of(booking: Booking) -> Answer:
    waiting = booking.pending_request
    asked = waiting.asked if waiting is not None else {}
    return Answer(True, waits=waiting is not None, quote=asked.get("quote", booking.quote))
