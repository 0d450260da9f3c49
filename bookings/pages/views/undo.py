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
from bookings.errors import BookingError, LowerPower
from bookings.models import Booking, BookingStatus
from bookings.operations.undo import Act, Undo
from bookings.pages import access
from bookings.pages.board.reading import evses_of
from bookings.pages.forms import undo_button
from bookings.pages.forms.depot import MoveForm, nearest_words
from bookings.pages.views import board, board_answers, bookings
from bookings.pages.views.refusals import status_of
from depots.wall_clock import local_text

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
    """Take back what the button of a message names: a dispatcher's click, or a move on a depot's board."""
    access.acting(request.user)
    try:
        wanted = undo_button.read(request.POST.get("undo", ""))
    except BadSignature as forged:
        raise BadRequest("This is no button of ours.") from forged
    return _of_depot(request, wanted) if wanted.by == Booking.Side.DEPOT else _of_fleet(request, wanted)


def _of_fleet(request: HttpRequest, wanted: Undo) -> HttpResponse:
    found = access.fleet_booking(request.user, wanted.booking_id)
    try:
        again = operations.undo(wanted, actor=access.as_dispatcher(request.user), now=timezone.now())
    except BookingError as refusal:
        found = access.fleet_booking(request.user, found.pk)
        return bookings.booking_page(request, found, status_of(refusal), f"It was not undone. {refusal}")
    is_asked = wanted.act == Act.CANCELLED and again.status == BookingStatus.REQUESTED
    messages.success(request, ASKED_AGAIN if is_asked else WORDS[wanted.act])
    return redirect(again)


def _of_depot(request: HttpRequest, wanted: Undo) -> HttpResponse:
    """The answer of a move, in a page or in JSON; the one way back has no button of its own.

    A page asks about lower power as it does of a move: by the form that leads there.
    """
    found = access.depot_booking(request.user, wanted.booking_id)
    try:
        moved = operations.undo(
            wanted,
            accepts_lower_power="accept_lower_power" in request.POST,
            actor=access.as_manager(request.user),
            now=timezone.now(),
        )
    except BookingError as refusal:
        if board_answers.wants_json(request):
            return board_answers.refused(refusal, found.depot)
        messages.error(request, f"It was not undone. {nearest_words(refusal, found.depot)}")
        asks_power = isinstance(refusal, LowerPower) and found.status != BookingStatus.CHARGING
        return board.panel(
            request,
            found,
            move_form=_way_back(wanted, found) if asks_power else None,
            asks_power=asks_power,
            status=status_of(refusal),
        )
    return board_answers.moved(request, moved)


def _way_back(wanted: Undo, found: Booking) -> MoveForm:
    """Filled in with where the booking stood before."""
    evses, zone, period = evses_of(found.depot), found.depot.zone, wanted.period or found.period
    place = {
        "evse": evses.filter(pk=wanted.evse_id or 0).values_list("uid", flat=True).first() or "",
        "starts_at": local_text(period.starts_at, zone),
        "ends_at": local_text(period.ends_at, zone),
    }
    return MoveForm(place, booking=found, evses=evses)
