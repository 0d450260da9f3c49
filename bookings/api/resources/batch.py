"""/batch: many bookings in one request, planned together: all or nothing, or what fits, and a dry run of either."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Literal

from django.db.models import prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from ninja import Router
from pydantic import Field

from bookings import operations
from bookings.api.authentication import caller_of
from bookings.api.booking_objects import booking_object
from bookings.api.booking_requests import NewBooking
from bookings.api.fields import Body
from bookings.api.many_requests import wishes_of
from bookings.api.problems import ApiResponse, refused, told
from bookings.api.schemas import BatchAnswer
from bookings.errors import Conflicts
from bookings.models import Booking
from bookings.operations import MOST_AT_ONCE, ManyOutcome

router = Router()


class Batch(Body):
    dry_run: bool = Field(False, description="says what would become of each, and books nothing")
    mode: Literal["all", "what_fits"] = "all"
    bookings: list[NewBooking] = Field(min_length=1, max_length=MOST_AT_ONCE)


@router.post("", response={200: BatchAnswer, 201: BatchAnswer})
def batch(request: HttpRequest, body: Batch) -> HttpResponse:
    """Book them together so that most find a place. An item a row, in their order: the booking, or why there is none. Of a dry
    run the booking has no id. Where all is meant and something is refused nothing is booked: 409 `conflicts`, with `items`."""
    caller = caller_of(request)
    try:
        outcomes = operations.book_many(
            wishes_of(caller, body.bookings), what_fits=body.mode == "what_fits", dry_run=body.dry_run,
            actor=caller.actor, now=caller.now,
        )  # fmt: skip
    except Conflicts as conflicts:
        return refused(conflicts, items=batch_items(conflicts.outcomes, _nothing))
    if body.dry_run:
        return _answer(batch_items(outcomes, _proposed), status=200)
    prefetch_related_objects([one.booking for one in outcomes if one.booking is not None], "tokens")
    response = _answer(batch_items(outcomes, booking_object), status=201)
    response["Location"] = "/api/v1/bookings"
    return response


def batch_items(
    outcomes: Sequence[ManyOutcome], shown: Callable[[Booking], dict[str, Any] | None]
) -> list[dict[str, Any]]:
    """What became of each, with its booking as it is `shown`."""
    return [_item(outcome, shown) for outcome in outcomes]


def _item(outcome: ManyOutcome, shown: Callable[[Booking], dict[str, Any] | None]) -> dict[str, Any]:
    known = told(outcome.refusal) if outcome.refusal is not None else {}
    return {
        "booking": shown(outcome.booking) if outcome.booking is not None else None,
        "code": known.get("code"),
        "detail": known.get("detail"),
        "nearest": known.get("nearest"),
    }


def _proposed(booking: Booking) -> dict[str, Any]:
    """One that was taken back: nothing answers to its id or reference."""
    return {**booking_object(booking), "id": None, "reference": None}


def _nothing(booking: Booking) -> None:
    return None


def _answer(items: list[dict[str, Any]], *, status: int) -> HttpResponse:
    return ApiResponse(json.dumps({"items": items}, ensure_ascii=False), status=status)
