"""How a board is told that a booking was moved or was not: a page, or for its script, which asks for JSON, what to draw."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils import timezone

from bookings.errors import BookingError
from bookings.models import Booking
from bookings.pages.board import entries_of
from bookings.pages.forms.depot import nearest_words
from bookings.pages.views.refusals import status_of
from depots.models import Depot
from depots.pages import done


def moved(request: HttpRequest, booking: Booking, *, undo: str = "") -> HttpResponse:
    """`undo` is what the button sends that takes it back (bookings/pages/forms/undo_button.py)."""
    if not wants_json(request):
        evse = booking.evse.uid if booking.evse else ""
        told = f"{name(booking)} moved to {evse}. {booking.fleet} is told."
        return done(request, board_url(booking), told, undo=undo)
    [entries] = entries_of([booking], is_for_depot=[True], now=timezone.now())[booking.pk]
    return JsonResponse(
        {
            "booking": booking.pk,
            "message": f"{name(booking)} moved.",
            "undo": undo,
            "entries": [{"evse": uid, "html": html} for uid, html in entries],
        }
    )


def refused(refusal: BookingError, depot: Depot) -> HttpResponse:
    """For the script."""
    body = {"code": refusal.code, "detail": nearest_words(refusal, depot), "field": refusal.field}
    return JsonResponse(body, status=status_of(refusal))


def wants_json(request: HttpRequest) -> bool:
    return request.headers.get("Accept", "").startswith("application/json")


def board_url(booking: Booking) -> str:
    """The board on the day on which the booking starts there."""
    day = booking.starts_at.astimezone(booking.depot.zone).date()
    return f"{reverse('bookings:board', args=[booking.depot.code])}?day={day.isoformat()}"


def name(booking: Booking) -> str:
    return booking.plate or booking.reference
