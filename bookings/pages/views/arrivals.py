"""Trucks that stand at a depot, as its manager sees them come; a gate tells the same over the JSON API."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from bookings import operations
from bookings.errors import BookingError
from bookings.models import Booking
from bookings.pages import access
from bookings.pages.views.bookings import booking_page
from bookings.pages.views.refusals import status_of
from bookings.rules.content_version import seen_version
from depots.pages import done


@login_required
@require_POST
def arrival(request: HttpRequest, booking_id: int) -> HttpResponse:
    """Its vehicle is here."""
    return _tell(request, booking_id, operations.mark_arrived, "is here")


@login_required
@require_POST
def withdraw(request: HttpRequest, booking_id: int) -> HttpResponse:
    """It is not, after all."""
    return _tell(request, booking_id, operations.withdraw_arrival, "is not here")


def _tell(request: HttpRequest, booking_id: int, tell: Callable[..., Booking], words: str) -> HttpResponse:
    found = access.depot_booking(request.user, booking_id)
    try:
        tell(
            booking_id=found.pk,
            seen_version=seen_version(request.POST),
            actor=access.as_manager(request.user),
            now=timezone.now(),
        )
    except BookingError as refusal:
        return booking_page(request, access.booking(request.user, found.pk), status_of(refusal), str(refusal))
    return done(request, _next(request, found), f"{found.plate or found.reference} {words}.")


def _next(request: HttpRequest, found: Booking) -> str:
    if request.GET.get("from") == "yard":
        return reverse("bookings:yard", args=[found.depot.code])
    if request.GET.get("from") == "board":
        day = found.starts_at.astimezone(found.depot.zone).date().isoformat()
        return f"{reverse('bookings:board', args=[found.depot.code])}?{urlencode({'day': day})}"
    return found.get_absolute_url()
