"""/trips: several stops that are booked all or none."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Router
from pydantic import BaseModel, Field

from bookings import operations
from bookings.api.authentication import Caller, caller_of
from bookings.api.booking_objects import booking_object, bookings_of
from bookings.api.booking_requests import NewBooking, slot_request
from bookings.api.fields import Body, whole_number
from bookings.api.problems import inside, refused, single
from bookings.api.resources.batch import batch_items
from bookings.api.schemas import BookingObject
from bookings.errors import Conflicts
from bookings.models import Trip
from bookings.operations import SlotRequest
from bookings.operations.trips import MOST_STOPS
from depots.periods import utc_text

router = Router()


class NewTrip(Body):
    stops: list[NewBooking] = Field(min_length=1, max_length=MOST_STOPS)


class TripObject(BaseModel):
    id: int
    status: str = Field(
        description="asking (some wait for an answer, the others are held), booked, failed or cancelled"
    )
    answers_until: str | None = Field(description="when it fails, if answers are missing then")
    failure: str | None = Field(description="why it came to nothing, for a person")
    bookings: list[BookingObject] = Field(description="by their start")


@router.post("", response={201: TripObject})
def make(request: HttpRequest, body: NewTrip) -> HttpResponse:
    """Book all stops or none. Where a depot or a partner has to answer first, those that wait for nobody are `held` until all
    answers are there; then all are confirmed, or all given back."""
    caller = caller_of(request)
    try:
        trip = operations.book_trip(list(_stops(caller, body.stops)), actor=caller.actor, now=caller.now)
    except Conflicts as conflicts:
        return refused(conflicts, items=batch_items(conflicts.outcomes, lambda _: None))
    response = single(trip_object(trip), status=201)
    response["Location"] = f"/api/v1/trips/{trip.pk}"
    return response


@router.get("/{trip_id}", response=TripObject)
def trip(request: HttpRequest, trip_id: str) -> HttpResponse:
    return single(trip_object(_own_trip(caller_of(request), trip_id)))


@router.delete("/{trip_id}", response={204: None})
def cancel(request: HttpRequest, trip_id: str) -> HttpResponse:
    """Give up every stop that can still be given up free of charge; the others stay booked."""
    caller = caller_of(request)
    found = _own_trip(caller, trip_id)
    operations.cancel_trip(trip_id=found.pk, actor=caller.actor, now=caller.now)
    return HttpResponse(status=204)


def trip_object(trip: Trip) -> dict[str, object]:
    stops = bookings_of(trip.fleet).filter(trip=trip).prefetch_related("tokens").order_by("starts_at", "pk")
    return {
        "id": trip.pk,
        "status": trip.status,
        "answers_until": utc_text(trip.answers_until) if trip.answers_until else None,
        "failure": trip.failure or None,
        "bookings": [booking_object(stop) for stop in stops],
    }


def _stops(caller: Caller, stops: list[NewBooking]) -> Iterator[SlotRequest]:
    """Raises what `slot_request` does, with the stop before the name of the field."""
    for number, stop in enumerate(stops):
        with inside(f"stops.{number}"):
            yield slot_request(caller, stop)


def _own_trip(caller: Caller, trip_id: str) -> Trip:
    """404 for what is not the caller's."""
    return get_object_or_404(
        Trip.objects.select_related("fleet"), pk=whole_number(trip_id), fleet=caller.organisation
    )
