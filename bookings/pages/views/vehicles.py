from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bookings import operations
from bookings.errors import BookingError, ChangedMeanwhile
from bookings.models import LIVE, Vehicle
from bookings.pages import access, day
from bookings.pages.forms.row_versions import with_versions
from bookings.pages.forms.vehicles import VehicleForm, add_refusal, fleet_of
from bookings.pages.views.refusals import status_of
from bookings.rules.content_version import look_again, seen_version, version_of
from bookings.rules.vehicle_library import model_called
from depots import pages

SHOWN_BOOKINGS = 10


@never_cache
@login_required
@require_safe
def vehicles(request: HttpRequest) -> HttpResponse:
    fleets = access.fleet_member(request.user)
    rows = access.vehicles_of(request.user).annotate(token_count=Count("tokens", Q(tokens__is_blocked=False)))
    context = {
        "vehicles": rows.order_by("is_retired", "plate"),
        "trailers": access.trailers_of(request.user).order_by("is_retired", "plate"),
        "may_change": bool(access.fleets_booked_for(request.user)),
        "is_several": len(fleets) > 1,
    }
    return pages.respond(request, "bookings/vehicles", context)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    fleets = access.dispatcher(request.user)
    form = _filled_in(request, fleets=fleets) or VehicleForm(
        request.POST if request.method == "POST" else None, fleets=fleets
    )
    if form.is_valid() and (fleet := fleet_of(form)) is not None:
        try:
            vehicle = operations.add_vehicle(fleet=fleet, facts=form.facts)
        except BookingError as refusal:
            add_refusal(form, refusal)
        else:
            return pages.done(
                request, f"/vehicles/{vehicle.pk}/", f"{vehicle} is added. Give it a card next."
            )
    return pages.respond(request, "bookings/vehicle_form", {"form": form}, 422 if form.is_bound else 200)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def vehicle(request: HttpRequest, vehicle_id: int) -> HttpResponse:
    """A vehicle's facts, its tokens and what is booked for it; for its dispatchers a form."""
    if request.method == "POST":
        access.own_vehicle(request.user, vehicle_id)
    found = access.vehicle(request.user, vehicle_id)
    form = _form(request, found)
    if not form.is_valid():
        return _page(request, found, form, 422 if form.is_bound else 200)
    try:
        version = seen_version(request.POST)
        operations.change_vehicle(vehicle_id=found.pk, facts=form.facts, seen_version=version)
    except BookingError as refusal:
        add_refusal(form, refusal, Vehicle.objects.get(pk=found.pk))
        return _page(request, access.vehicle(request.user, vehicle_id), form, status_of(refusal))
    return pages.done(request, f"/vehicles/{found.pk}/", "Saved.")


def _form(request: HttpRequest, found: Vehicle) -> VehicleForm:
    options: dict[str, Any] = {"instance": found, "fleets": access.organisations_booked_for(request.user)}
    given = request.POST if request.method == "POST" else None
    return _filled_in(request, **options) or VehicleForm(given, **options)


def _filled_in(request: HttpRequest, **options: Any) -> VehicleForm | None:
    """The form with what its model settles, where that was asked for; nothing is saved by it."""
    if request.method != "POST" or "fill" not in request.POST:
        return None
    model = model_called(request.POST.get("model_name", ""))
    if model is None:
        messages.warning(
            request, "No model of that name is known. Pick one of the list, or fill in the rest by hand."
        )
    return VehicleForm.filled_in(request.POST, model, **options)


def _page(request: HttpRequest, found: Vehicle, form: VehicleForm, status: int) -> HttpResponse:
    now = timezone.now()
    coming = (
        access.booking_rows().filter(vehicle=found, status__in=LIVE, ends_at__gt=now).order_by("starts_at")
    )
    kept = Vehicle.objects.get(pk=found.pk)  # a form that was looked at has written into its own
    context = {
        "vehicle": kept, "plate": kept.plate, "form": form, "version": version_of(kept),
        "may_change": found.fleet_id in access.fleets_booked_for(request.user), "tokens": with_versions(found.tokens.all()),
        "entries": day.entries(coming[:SHOWN_BOOKINGS], now),
    }  # fmt: skip
    return pages.respond(request, "bookings/vehicle", context, status)


@login_required
@require_POST
def retire(request: HttpRequest, vehicle_id: int) -> HttpResponse:
    """Book nothing more for it; what is booked stands."""
    return _set_retired(request, access.own_vehicle(request.user, vehicle_id), True)


@login_required
@require_POST
def bring_back(request: HttpRequest, vehicle_id: int) -> HttpResponse:
    return _set_retired(request, access.own_vehicle(request.user, vehicle_id), False)


def _set_retired(request: HttpRequest, found: Vehicle, is_retired: bool) -> HttpResponse:
    try:
        version = seen_version(request.POST)
        operations.set_retired(vehicle_id=found.pk, is_retired=is_retired, seen_version=version)
    except ChangedMeanwhile as refusal:
        messages.error(request, look_again(refusal))
        form = VehicleForm(instance=found, fleets=access.organisations_booked_for(request.user))
        return _page(request, found, form, status_of(refusal))
    words = f"{found} is retired. Its bookings stand." if is_retired else f"{found} is back."
    return pages.done(request, f"/vehicles/{found.pk}/", words)
