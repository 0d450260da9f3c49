from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from bookings import operations
from bookings.errors import BookingError
from bookings.models import BookingStatus
from bookings.operations.undo import Act
from bookings.pages import access
from bookings.pages.forms import undo_button
from bookings.pages.views import bookings
from bookings.pages.views.refusals import status_of

WORDS = {
    Act.MADE: "Undone: it is not booked.",
    Act.CHANGED: "Undone: it is as it was.",
    Act.CANCELLED: "Undone: it is booked again.",
    Act.RELEASED: "Undone: it is held again.",
}
ASKED_AGAIN = "Undone: it is asked for again. The depot decides."


@login_required
@require_POST
def undo(request: HttpRequest) -> HttpResponse:
    """Take back what the button of a message names."""
    access.dispatcher(request.user)
    try:
        wanted = undo_button.read(request.POST.get("undo", ""))
    except BadSignature as forged:
        raise BadRequest("This is no button of ours.") from forged
    found = access.fleet_booking(request.user, wanted.booking_id)
    try:
        again = operations.undo(wanted, actor=access.as_dispatcher(request.user), now=timezone.now())
    except BookingError as refusal:
        found = access.fleet_booking(request.user, found.pk)
        return bookings.booking_page(request, found, status_of(refusal), f"It was not undone. {refusal}")
    is_asked = wanted.act == Act.CANCELLED and again.status == BookingStatus.REQUESTED
    messages.success(request, ASKED_AGAIN if is_asked else WORDS[wanted.act])
    return redirect(again)
