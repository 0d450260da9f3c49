"""Starting and stopping a booking's charging from its page, for its dispatcher and for who runs the depot."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from bookings import operations
from bookings.errors import BookingError
from bookings.pages import access, remote_control
from bookings.pages.views.bookings import booking_page
from bookings.pages.views.refusals import status_of
from bookings.rules.content_version import seen_version


@login_required
@require_POST
def start(request: HttpRequest, booking_id: int) -> HttpResponse:
    """Ask the charger to begin. The page shows what it answers."""
    return _ask(request, booking_id, operations.start_remotely, operations.start_at_partner)


@login_required
@require_POST
def stop(request: HttpRequest, booking_id: int) -> HttpResponse:
    """Ask the charger to end the session."""
    return _ask(request, booking_id, operations.stop_remotely, operations.stop_at_partner)


def _ask(
    request: HttpRequest, booking_id: int, here: Callable[..., object], at_partner: Callable[..., object]
) -> HttpResponse:
    found = access.booking(request.user, booking_id)
    if not remote_control.may_control(request.user, found):
        raise Http404
    operation = here if found.is_ours else at_partner
    try:
        operation(
            booking_id=found.pk, seen_version=seen_version(request.POST), actor=access.as_either(request.user, found),
            now=timezone.now(),
        )  # fmt: skip
    except BookingError as refusal:
        return booking_page(request, access.booking(request.user, found.pk), status_of(refusal), str(refusal))
    return redirect(found)
