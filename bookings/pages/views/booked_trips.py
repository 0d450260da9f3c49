"""Trips: their list, booking one out of a plan, its page, and giving it up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bookings import operations
from bookings.errors import BookingError, Conflicts
from bookings.models import Booking, Trip
from bookings.operations.trips import MOST_STOPS
from bookings.pages import access
from bookings.pages.booked_trips import BookedTrip, booked_trips
from bookings.pages.forms.slots import ReserveForm
from bookings.pages.views import trips
from bookings.pages.views.refusals import status_of, words_of
from bookings.rules.content_version import seen_version
from depots import pages

A_PAGE = 50


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def booked(request: HttpRequest) -> HttpResponse:
    """The list; sending the stops of a plan here books them, all or none."""
    if request.method == "POST":
        return _book(request)
    access.fleet_member(request.user)
    page = Paginator(access.trips_of(request.user), A_PAGE).get_page(request.GET.get("page"))
    found = booked_trips(page.object_list, timezone.now())
    context = {"trips": found, "page": page, "may_book": bool(access.fleets_booked_for(request.user))}
    return pages.respond(request, "bookings/trips/list", context)


@never_cache
@login_required
@require_safe
def trip(request: HttpRequest, trip_id: int) -> HttpResponse:
    return _trip_page(request, access.trip(request.user, trip_id), 200)


@login_required
@require_POST
def cancel(request: HttpRequest, trip_id: int) -> HttpResponse:
    """Give up all stops that can be."""
    found = access.fleet_trip(request.user, trip_id)
    try:
        operations.cancel_trip(
            trip_id=found.pk, seen_version=seen_version(request.POST),
            actor=access.as_dispatcher(request.user), now=timezone.now(),
        )  # fmt: skip
    except BookingError as refusal:
        return _trip_page(request, access.trip(request.user, trip_id), status_of(refusal), words_of(refusal))
    stays = BookedTrip.of(access.trip(request.user, trip_id), timezone.now()).stays
    words = (
        f"Cancelled, but for what stands at {', '.join(stop.depot.name for stop in stays)}." if stays else ""
    )
    return pages.done(request, found.get_absolute_url(), words or "The trip is cancelled.")


def _book(request: HttpRequest) -> HttpResponse:
    fleets, now = access.dispatcher(request.user), timezone.now()
    vehicles = trips.vehicles_of(fleets)
    sent = [QueryDict(text) for text in request.POST.getlist("stop")]
    forms = [ReserveForm(one, fleets=fleets, vehicles=vehicles, now=now) for one in sent[:MOST_STOPS]]
    if not 0 < len(sent) <= MOST_STOPS or not all(form.is_valid() for form in forms):
        return _replanned(request, "These stops cannot be read. Plan the trip again.", 422)
    if len({form.cleaned_data["fleet"].pk for form in forms}) > 1:
        return _replanned(request, "A trip is of one fleet.", 422)
    ids = [_request_id(form) for form in forms]
    if (known := _booked_before(forms, ids)) is not None:
        return pages.done(request, known.get_absolute_url())
    asked = [form.slot_request(request_id) for form, request_id in zip(forms, ids, strict=True)]
    try:
        made = operations.book_trip(asked, actor=access.as_dispatcher(request.user), now=now)
    except BookingError as refusal:
        if (known := _booked_before(forms, ids)) is not None:  # sent twice, and the first was quicker
            return pages.done(request, known.get_absolute_url())
        return _replanned(request, _sentence(refusal, forms), status_of(refusal))
    words = (
        "Asked for. What waits for nobody is held meanwhile." if made.is_asking else "All stops are booked."
    )
    return pages.done(request, made.get_absolute_url(), words)


def _request_id(form: ReserveForm) -> str:
    """The first under which this stop is not booked, or is live."""
    mine = Booking.objects.filter(fleet=form.cleaned_data["fleet"])
    for request_id in form.request_ids("trip"):
        made = mine.filter(request_id=request_id).first()
        if made is None or made.is_live:
            return request_id
    return ""


def _booked_before(forms: Sequence[ReserveForm], request_ids: Sequence[str]) -> Trip | None:
    """The trip that has each of these stops; one that has only some of them is another."""
    fleet = forms[0].cleaned_data["fleet"]
    made = Booking.objects.filter(fleet=fleet, request_id__in=request_ids).exclude(trip=None)
    trips = {stop.request_id: stop.trip for stop in made.select_related("trip")}
    [first, *others] = [trips.get(request_id) for request_id in request_ids]
    return first if all(other == first for other in others) else None


def _sentence(refusal: BookingError, forms: Sequence[ReserveForm]) -> str:
    """Which stop was refused, and why."""
    if not isinstance(refusal, Conflicts):
        return str(refusal)
    told = [
        f"{form.cleaned_data['option'].depot.name}: {outcome.detail}"
        for form, outcome in zip(forms, refusal.outcomes, strict=True)
        if outcome.refusal is not None
    ]
    return f"Nothing was booked. {' '.join(told)}"


def _replanned(request: HttpRequest, refused: str, status: int) -> HttpResponse:
    """The plan as it is by now, under what was refused."""
    return trips.plan_page(request, QueryDict(request.POST.get("question", "")[:2000]), status, refused)


def _trip_page(request: HttpRequest, found: Trip, status: int, refusal: str = "") -> HttpResponse:
    now: datetime = timezone.now()
    may_cancel = found.fleet_id in access.fleets_booked_for(request.user)
    context: dict[str, Any] = {
        "shown": BookedTrip.of(found, now),
        "may_cancel": may_cancel,
        "refusal": refusal,
    }
    return pages.respond(request, "bookings/trips/trip", context, status)
