"""What a depot does itself at a charger that may not keep its slots: tries a reservation, and opens what was closed."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_POST

from bookings import enforcement
from bookings.errors import BookingError
from bookings.operations import kept_evses
from bookings.pages import access
from bookings.pages.views.charger import charger_page, charger_url
from bookings.rules.content_version import seen_version
from depots.pages import done


@login_required
@require_POST
def try_reservation(request: HttpRequest, code: str, uid: str) -> HttpResponse:
    evse = access.charger_evse(access.run_depot(request.user, code), uid)
    assert evse.charger is not None
    try:
        enforcement.try_reservation(evse=evse, actor=access.as_manager(request.user), now=timezone.now())
    except BookingError as refusal:
        return charger_page(request, evse.charger, refusal)
    told = f"{evse.uid} is reserved for nobody for half a minute; what came of it stands below in a moment."
    return done(request, charger_url(evse.charger), told)


@login_required
@require_POST
def give_back(request: HttpRequest, code: str, kept_id: int) -> HttpResponse:
    kept = access.kept_evse(access.run_depot(request.user, code), kept_id)
    try:
        kept_evses.give_back_by_hand(
            kept_id=kept.pk,
            seen_version=seen_version(request.POST),
            actor=access.as_manager(request.user),
            now=timezone.now(),
        )
    except BookingError as refusal:
        return charger_page(request, kept.charger, refusal)
    told = f"{kept.evse.uid} is given back; Berth itself turns other cards away in the slot."
    return done(request, charger_url(kept.charger), told)
