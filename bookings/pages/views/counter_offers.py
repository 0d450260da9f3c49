"""The depot offers something else instead, and the fleet answers."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from bookings import operations
from bookings.errors import BookingError
from bookings.models import Booking
from bookings.pages import access
from bookings.pages.board.reading import evses_of
from bookings.pages.forms.depot import OfferForm, add_refusal
from bookings.pages.views.bookings import booking_page
from bookings.pages.views.refusals import status_of
from bookings.rules.content_version import seen_version
from depots.pages import done, respond


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def offer(request: HttpRequest, booking_id: int) -> HttpResponse:
    """Another time, EVSE or power, for a request that waits or a booking that is confirmed."""
    found = access.depot_booking(request.user, booking_id)
    form = OfferForm(
        request.POST if request.method == "POST" else None, booking=found, evses=evses_of(found.depot)
    )
    if not form.is_valid():
        return _form(request, found, form, 422 if form.is_bound else 200)
    try:
        operations.offer_instead(
            booking_id=found.pk, offer=form.offer, seen_version=seen_version(request.POST),
            actor=access.as_manager(request.user), now=timezone.now(),
        )  # fmt: skip
    except BookingError as refusal:
        add_refusal(form, refusal, found.depot)
        return _form(request, access.depot_booking(request.user, booking_id), form, status_of(refusal))
    to = f"/depots/{found.depot.code}/board/bookings/{found.pk}/"
    return done(request, to, f"Offered. {found.fleet} is told, and the place is kept until it answers.")


@login_required
@require_POST
def accept(request: HttpRequest, booking_id: int) -> HttpResponse:
    return _answer(request, booking_id, operations.accept_counter_offer, "The offer is accepted.")


@login_required
@require_POST
def decline(request: HttpRequest, booking_id: int) -> HttpResponse:
    return _answer(request, booking_id, operations.decline_counter_offer, "The offer is declined.")


def _answer(
    request: HttpRequest, booking_id: int, answer: Callable[..., Booking], words: str
) -> HttpResponse:
    found = access.fleet_booking(request.user, booking_id)
    try:
        answer(
            booking_id=found.pk, seen_version=seen_version(request.POST),
            actor=access.as_dispatcher(request.user), now=timezone.now(),
        )  # fmt: skip
    except BookingError as refusal:
        again = access.booking(request.user, found.pk)
        return booking_page(request, again, status_of(refusal), str(refusal))
    return done(request, found.get_absolute_url(), words)


def _form(request: HttpRequest, found: Booking, form: OfferForm, status: int) -> HttpResponse:
    return respond(request, "bookings/requests/offer", {"booking": found, "form": form}, status)
