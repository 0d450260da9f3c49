"""The trailers of a fleet: adding, changing and retiring them. The list stands beside the vehicles."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from bookings import operations
from bookings.errors import BookingError, ChangedMeanwhile
from bookings.models import Trailer
from bookings.pages import access
from bookings.pages.forms.vehicles import TrailerForm, add_refusal, fleet_of
from bookings.pages.views.refusals import status_of
from bookings.rules.content_version import look_again, seen_version, version_of
from depots import pages

TO = "/vehicles/#trailers"


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    fleets = access.dispatcher(request.user)
    form = TrailerForm(request.POST if request.method == "POST" else None, fleets=fleets)
    if form.is_valid() and (fleet := fleet_of(form)) is not None:
        try:
            trailer = operations.add_trailer(fleet=fleet, facts=form.facts)
        except BookingError as refusal:
            add_refusal(form, refusal)
        else:
            return pages.done(request, TO, f"{trailer} is added. Choose it when you look for a slot.")
    return pages.respond(request, "bookings/trailer_form", {"form": form}, 422 if form.is_bound else 200)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def trailer(request: HttpRequest, trailer_id: int) -> HttpResponse:
    """Its form, for those who keep it."""
    found = access.own_trailer(request.user, trailer_id)
    given = request.POST if request.method == "POST" else None
    form = TrailerForm(given, instance=found, fleets=access.organisations_booked_for(request.user))
    if not form.is_valid():
        return _page(request, trailer_id, form, 422 if form.is_bound else 200)
    try:
        version = seen_version(request.POST)
        operations.change_trailer(trailer_id=trailer_id, facts=form.facts, seen_version=version)
    except BookingError as refusal:
        add_refusal(form, refusal, Trailer.objects.get(pk=trailer_id))
        return _page(request, trailer_id, form, status_of(refusal))
    return pages.done(request, TO, "Saved.")


@login_required
@require_POST
def retire(request: HttpRequest, trailer_id: int) -> HttpResponse:
    """Book nothing more with it; what is booked stands."""
    return _set_retired(request, access.own_trailer(request.user, trailer_id), True)


@login_required
@require_POST
def bring_back(request: HttpRequest, trailer_id: int) -> HttpResponse:
    return _set_retired(request, access.own_trailer(request.user, trailer_id), False)


def _set_retired(request: HttpRequest, found: Trailer, is_retired: bool) -> HttpResponse:
    try:
        version = seen_version(request.POST)
        operations.set_trailer_retired(trailer_id=found.pk, is_retired=is_retired, seen_version=version)
    except ChangedMeanwhile as refusal:
        messages.error(request, look_again(refusal))
        form = TrailerForm(instance=found, fleets=access.organisations_booked_for(request.user))
        return _page(request, found.pk, form, status_of(refusal))
    words = f"{found} is retired. Its bookings stand." if is_retired else f"{found} is back."
    return pages.done(request, TO, words)


def _page(request: HttpRequest, trailer_id: int, form: TrailerForm, status: int) -> HttpResponse:
    kept = Trailer.objects.get(pk=trailer_id)  # a form that was looked at has written into its own
    context = {"trailer": kept, "plate": kept.plate, "form": form, "version": version_of(kept)}
    return pages.respond(request, "bookings/trailer_form", context, status)
