"""What a depot does itself at a charger that may not keep its slots: tries a reservation, and opens what was closed."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from bookings import enforcement
from bookings.errors import BookingError, ChangedMeanwhile
from bookings.models import KeptEvse
from bookings.operations import kept_evses
from bookings.pages import access
from bookings.pages.forms.row_versions import look_again, seen_version
from bookings.pages.views.charger import charger_page
from bookings.pages.views.refusals import status_of
from depots.models import Charger, Evse
from depots.pages import done


@login_required
@require_POST
def try_reservation(request: HttpRequest, code: str, uid: str) -> HttpResponse:
    depot = access.run_depot(request.user, code)
    evse = (
        Evse.objects.filter(depot=depot, uid__iexact=uid, charger__isnull=False)
        .select_related("charger__depot__operator")
        .first()
    )
    if evse is None or evse.charger is None:
        raise Http404
    try:
        enforcement.try_reservation(evse=evse, actor=access.as_manager(request.user), now=timezone.now())
    except BookingError as refusal:
        told = str(refusal)
    else:
        told = (
            f"{evse.uid} is reserved for nobody for half a minute; what came of it stands below in a moment."
        )
    return done(request, _page(evse.charger), told)


@login_required
@require_POST
def give_back(request: HttpRequest, code: str, kept_id: int) -> HttpResponse:
    depot = access.run_depot(request.user, code)
    kept = (
        KeptEvse.objects.filter(pk=kept_id, evse__depot=depot)
        .select_related("charger__depot__operator", "evse")
        .first()
    )
    if kept is None:
        raise Http404
    try:
        kept_evses.give_back_by_hand(
            kept_id=kept.pk,
            seen_version=seen_version(request.POST),
            actor=access.as_manager(request.user),
            now=timezone.now(),
        )
    except BookingError as refusal:
        return _refused(request, kept.charger, refusal)
    else:
        told = f"{kept.evse.uid} is given back; Berth itself turns other cards away in the slot."
    return done(request, _page(kept.charger), told)


def _refused(request: HttpRequest, charger: Charger, refusal: BookingError) -> HttpResponse:
    told = look_again(refusal) if isinstance(refusal, ChangedMeanwhile) else str(refusal)
    return charger_page(request, charger, refusal=told, status=status_of(refusal))


def _page(charger: Charger) -> str:
    return reverse("bookings:charger", args=[charger.depot.code, charger.identity])
