"""What waits for a depot's answer."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from bookings import operations
from bookings.errors import BookingError, NothingToDecide
from bookings.models import Booking
from bookings.pages import access, waiting_asks
from bookings.pages.forms.depot import DecisionForm, add_refusal
from bookings.pages.views.refusals import status_of
from bookings.rules.content_version import seen_version
from depots.pages import done, respond, wants_part

QUEUE = "/requests/"


@never_cache
@login_required
@require_safe
def requests(request: HttpRequest) -> HttpResponse:
    depots = access.depots_seen(request.user)
    if not depots:
        raise Http404
    deciding = access.operators_decided_for(request.user)
    waiting = waiting_asks.waiting(depots, now=timezone.now())
    return respond(request, "bookings/requests/requests", {"waiting": waiting, "deciding": deciding})


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def decision(request: HttpRequest, booking_id: int) -> HttpResponse:
    """The answer to an ask; a GET shows the form that wants a reason for a refusal."""
    found = access.depot_booking(request.user, booking_id)
    if request.method == "POST":
        return _decide(request, found)
    if found.pending_request is None:
        messages.warning(request, waiting_asks.decided_by_another(found))
        return redirect("bookings:requests")
    return _form(request, found, DecisionForm(initial={"decision": "decline"}), 200)


def _decide(request: HttpRequest, found: Booking) -> HttpResponse:
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _form(request, found, form, 422)
    accept = form.cleaned_data["decision"] == "accept"
    try:
        operations.decide(
            booking_id=found.pk,
            accept=accept,
            reason=form.cleaned_data["reason"],
            seen_version=seen_version(request.POST),
            actor=access.as_manager(request.user),
            now=timezone.now(),
        )
    except NothingToDecide:
        return _too_late(request, found)
    except BookingError as refusal:
        add_refusal(form, refusal, found.depot)
        found = access.depot_booking(request.user, found.pk)  # as it is now, to be answered anew
        return _form(request, found, form, status_of(refusal))
    return done(
        request,
        _next(request, found),
        f"{found.plate or found.reference} {'accepted' if accept else 'declined'}.",
    )


def _too_late(request: HttpRequest, found: Booking) -> HttpResponse:
    """Two managers at once: the second is told what the first has said."""
    messages.warning(request, waiting_asks.decided_by_another(found))
    if wants_part(request):
        return done(request, _next(request, found))
    return redirect(_next(request, found))


def _form(request: HttpRequest, found: Booking, form: DecisionForm, status: int) -> HttpResponse:
    return respond(
        request,
        "bookings/requests/decision",
        {"booking": found, "form": form, "from_board": request.GET.get("from") == "board"},
        status,
    )


def _next(request: HttpRequest, found: Booking) -> str:
    if request.GET.get("from") != "board":
        return QUEUE
    day = found.starts_at.astimezone(found.depot.zone).date().isoformat()
    return f"/depots/{found.depot.code}/board/?day={day}"
