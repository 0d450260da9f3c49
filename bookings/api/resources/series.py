"""/series: bookings that come again by a rule, seen first, booked, changed and given up together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Router
from pydantic import BeforeValidator, Field, WithJsonSchema

from bookings import operations
from bookings.api.authentication import Caller, caller_of
from bookings.api.booking_objects import booking_object, bookings_of
from bookings.api.booking_requests import BookingChange, NewBooking, change_request, slot_request
from bookings.api.fields import LARGEST_ID, Body, whole_number
from bookings.api.preconditions import seen_version
from bookings.api.problems import ApiResponse, Invalid, inside, refused, told
from bookings.api.schemas import SeriesObject, SeriesPreview
from bookings.errors import Conflicts, RuleUnclear
from bookings.models import LIVE, Booking, BookingSeries
from bookings.operations import OccurrenceOutcome, Scope, SeriesChange, SeriesRequest
from bookings.operations.series_plan import version_of
from bookings.rules.recurrence import MOST_CHARACTERS, MOST_OCCURRENCES
from depots.periods import utc_text

router = Router()


def _read_date(given: Any) -> Any:
    """Raises ValueError."""
    if not isinstance(given, str) or len(given) != len("2026-12-01"):
        raise ValueError("a day is written as 2026-12-01")
    return date.fromisoformat(given)


Day = Annotated[date, BeforeValidator(_read_date), WithJsonSchema({"type": "string", "format": "date"})]


class NewSeries(Body):
    """`first` is the slot of the rule's first day: all others ask for the same at the same local time."""

    rrule: str = Field(
        min_length=1, max_length=MOST_CHARACTERS,
        description="of RFC 5545, with COUNT or UNTIL and at most one slot a day, as FREQ=WEEKLY;BYDAY=MO,TH;COUNT=20",
    )  # fmt: skip
    first: NewBooking
    exceptions: list[Day] = Field(
        default_factory=list, max_length=MOST_OCCURRENCES, description="days of the depot's calendar"
    )


class BookedSeries(NewSeries):
    mode: Literal["all", "what_fits"] = Field(
        "all",
        description="what_fits: days beyond the depot's horizon wait for it, those refused become exceptions",
    )


class SeriesPatch(BookingChange):
    """Times are those of `booking`, with `all` those of the first: the others move by as much on the depot's clock."""

    scope: Literal["one", "following", "all"]
    booking: int | None = Field(None, ge=1, lt=LARGEST_ID, description="not with all")


@router.post("/preview", response=SeriesPreview)
def preview(request: HttpRequest, body: NewSeries) -> HttpResponse:
    """What would become of each day, in their order; `code` is null where it can be booked."""
    caller = caller_of(request)
    with _by_field():
        outcomes = operations.preview_series(_asked(caller, body), actor=caller.actor, now=caller.now)
    return _answer({"items": _items(outcomes)})


@router.post("", response={201: SeriesObject})
def book(request: HttpRequest, body: BookedSeries) -> HttpResponse:
    """Book every day of it, or what fits. Where all is meant and something is refused, or nothing fits, nothing is booked: 409
    `conflicts`, with `items` as in a preview."""
    caller = caller_of(request)
    try:
        with _by_field():
            made = operations.book_series(
                _asked(caller, body), what_fits=body.mode == "what_fits", actor=caller.actor, now=caller.now
            )
    except Conflicts as conflicts:
        return _conflicts(conflicts)
    return _answer_with(caller, made.pk, status=201)


@router.get("/{series_id}", response=SeriesObject)
def series(request: HttpRequest, series_id: str) -> HttpResponse:
    """`ETag` is another one whenever something happened to it or to one of its bookings."""
    caller = caller_of(request)
    return _answer_with(caller, _own(caller, series_id).pk)


@router.patch("/{series_id}", response=SeriesObject)
def change(request: HttpRequest, series_id: str, body: SeriesPatch) -> HttpResponse:
    """Change one of its bookings, that one and those that follow, or all: those that are live and have not begun, all or none
    (409 `conflicts`, with `items`). What waits for the horizon follows."""
    caller = caller_of(request)
    found = _own(caller, series_id)
    seen = seen_version(request, _version(found), of="series")
    asked = SeriesChange(
        scope=Scope(body.scope),
        booking_id=_named(found, body),
        request=change_request(caller, found.option.depot, found.option, body),
    )
    try:
        operations.change_series(found.pk, asked, seen_version=seen, actor=caller.actor, now=caller.now)
    except Conflicts as conflicts:
        return _conflicts(conflicts)
    return _answer_with(caller, found.pk)


@router.delete("/{series_id}", response={200: SeriesObject, 204: None})
def cancel(request: HttpRequest, series_id: str) -> HttpResponse:
    """Give up all that can be without a fee, and what waits, whose days become exceptions. Where something stays (past its
    deadline, or a partner has not answered) 200 with the series, else 204; where nothing can be given up: `cancel_too_late` or
    `wrong_status`."""
    caller = caller_of(request)
    found = _own(caller, series_id)
    operations.cancel_series(found.pk, reason="NO_CANCELED", actor=caller.actor, now=caller.now)
    if found.bookings.filter(status__in=LIVE).exists():
        return _answer_with(caller, found.pk)
    return HttpResponse(status=204)


def _asked(caller: Caller, body: NewSeries) -> SeriesRequest:
    """Raises a BookingError or Invalid, whose fields stand below `first`."""
    with inside("first"):
        first = slot_request(caller, body.first)
    return SeriesRequest(rrule=body.rrule, first=first, exceptions=frozenset(body.exceptions))


@contextmanager
def _by_field() -> Iterator[None]:
    """A rule that is not understood is a wrong field like any other."""
    try:
        yield
    except RuleUnclear as refusal:
        raise Invalid([(refusal.field, str(refusal))]) from None


def _own(caller: Caller, series_id: str) -> BookingSeries:
    """404 for what is not the caller's."""
    rows = BookingSeries.objects.select_related("option")
    return get_object_or_404(rows, fleet=caller.organisation, pk=whole_number(series_id))


def _named(found: BookingSeries, body: SeriesPatch) -> int | None:
    """Raises Invalid."""
    if Scope(body.scope) == Scope.ALL:
        if body.booking is not None:
            raise Invalid([("booking", "With all none is named.")])
        return None
    if body.booking is None:
        raise Invalid([("booking", "Say which one is meant.")])
    if not found.bookings.filter(pk=body.booking).exists():
        raise Invalid([("booking", "This is no booking of the series.")])
    return body.booking


def _version(found: BookingSeries) -> int:
    return version_of(found, found.bookings.values_list("version", flat=True))


def _answer_with(caller: Caller, series_id: int, *, status: int = 200) -> HttpResponse:
    found = BookingSeries.objects.get(pk=series_id)
    rows = bookings_of(caller.organisation).filter(series=found).prefetch_related("tokens")
    bookings = list(rows.order_by("series_date"))
    response = _answer(_object(found, bookings), status=status)
    response["ETag"] = f'"{version_of(found, [booking.version for booking in bookings])}"'
    if status == 201:
        response["Location"] = f"/api/v1/series/{series_id}"
    return response


def _object(found: BookingSeries, bookings: Sequence[Booking]) -> dict[str, Any]:
    return {
        "id": found.pk,
        "rrule": found.rrule,
        "exceptions": [day.isoformat() for day in found.exceptions],
        "bookings": [booking_object(booking) for booking in bookings],
    }


def _items(outcomes: Sequence[OccurrenceOutcome]) -> list[dict[str, Any]]:
    return [_item(outcome) for outcome in outcomes]


def _item(outcome: OccurrenceOutcome) -> dict[str, Any]:
    known = told(outcome.refusal) if outcome.refusal is not None else {}
    return {
        "starts_at": utc_text(outcome.starts_at) if outcome.starts_at is not None else None,
        "ends_at": utc_text(outcome.ends_at) if outcome.ends_at is not None else None,
        "code": known.get("code"),
        "detail": known.get("detail"),
        "nearest": known.get("nearest"),
    }


def _conflicts(conflicts: Conflicts) -> HttpResponse:
    return refused(
        conflicts, items=[_item(one) for one in conflicts.outcomes if isinstance(one, OccurrenceOutcome)]
    )


def _answer(content: dict[str, Any], *, status: int = 200) -> ApiResponse:
    return ApiResponse(json.dumps(content, ensure_ascii=False), status=status)
