"""A dispatcher limits the power of a session at a partner's depot, lifts that, asks what is in force, and unlocks its plug."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from bookings import operations
from bookings.errors import BookingError
from bookings.models import Booking, PartnerCommand
from bookings.pages import access
from bookings.pages.forms.partner_session import LimitForm
from bookings.pages.views.bookings import booking_page
from bookings.pages.views.refusals import status_of
from bookings.partner_control import offered
from bookings.rules.content_version import seen_version

Kind = PartnerCommand.Kind


@login_required
@require_POST
def limit(request: HttpRequest, booking_id: int) -> HttpResponse:
    form = LimitForm(request.POST)
    if not form.is_valid():
        found = _booking(request, booking_id, Kind.LIMIT)
        return booking_page(request, found, 422, str(form.errors["power_kw"][0]))
    watts = form.cleaned_data["power_kw"] * 1000
    return _ask(request, booking_id, Kind.LIMIT, partial(operations.limit_at_partner, watts=watts))


@login_required
@require_POST
def lift(request: HttpRequest, booking_id: int) -> HttpResponse:
    return _ask(request, booking_id, Kind.LIFT_LIMIT, operations.lift_limit_at_partner)


@login_required
@require_POST
def show(request: HttpRequest, booking_id: int) -> HttpResponse:
    return _ask(request, booking_id, Kind.SHOW_LIMIT, operations.show_limit_at_partner)


@login_required
@require_POST
def unlock(request: HttpRequest, booking_id: int) -> HttpResponse:
    return _ask(request, booking_id, Kind.UNLOCK, operations.unlock_at_partner)


def _ask(
    request: HttpRequest, booking_id: int, kind: str, operation: Callable[..., PartnerCommand]
) -> HttpResponse:
    """The page shows what the partner answers."""
    found = _booking(request, booking_id, kind)
    try:
        operation(
            booking_id=found.pk, seen_version=seen_version(request.POST), actor=access.as_dispatcher(request.user),
            now=timezone.now(),
        )  # fmt: skip
    except BookingError as refusal:
        return booking_page(request, access.booking(request.user, found.pk), status_of(refusal), str(refusal))
    return redirect(found)


def _booking(request: HttpRequest, booking_id: int, kind: str) -> Booking:
    """One whose partner does this. Raises Http404."""
    found = access.fleet_booking(request.user, booking_id)
    if found.is_ours or kind not in offered(found):
        raise Http404
    return found
