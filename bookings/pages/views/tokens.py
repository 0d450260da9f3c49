from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bookings import operations
from bookings.errors import BookingError, ChangedMeanwhile
from bookings.models import Token, Vehicle
from bookings.pages import access
from bookings.pages.forms.row_versions import with_versions
from bookings.pages.forms.vehicles import TokenForm, add_refusal, fleet_of
from bookings.pages.views.refusals import status_of
from bookings.rules.content_version import look_again, seen_version, version_of
from depots import pages


@never_cache
@login_required
@require_safe
def tokens(request: HttpRequest) -> HttpResponse:
    return _list(request, 200)


def _list(request: HttpRequest, status: int) -> HttpResponse:
    fleets = access.fleet_member(request.user)
    rows = access.tokens_of(request.user).order_by("is_blocked", "vehicle__plate", "uid")
    context = {
        "tokens": with_versions(rows),
        "may_change": bool(access.fleets_booked_for(request.user)),
        "is_several": len(fleets) > 1,
    }
    return pages.respond(request, "bookings/tokens", context, status)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """A new token; `?vehicle=` says whose it is likely to be."""
    form = _form(request, initial={"vehicle": request.GET.get("vehicle", "")})
    if form.is_valid() and (fleet := fleet_of(form)) is not None:
        try:
            token = operations.add_token(fleet=fleet, facts=form.facts)
        except BookingError as refusal:
            add_refusal(form, refusal)
        else:
            return _done(request, token, f"{token} is added.")
    return pages.respond(request, "bookings/token_form", {"form": form}, 422 if form.is_bound else 200)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def token(request: HttpRequest, token_id: int) -> HttpResponse:
    found = access.own_token(request.user, token_id)
    form = _form(request, instance=found)
    status = 422 if form.is_bound else 200
    if form.is_valid():
        try:
            version = seen_version(request.POST)
            saved = operations.change_token(token_id=found.pk, facts=form.facts, seen_version=version)
        except BookingError as refusal:
            add_refusal(form, refusal, Token.objects.get(pk=found.pk))
            status = status_of(refusal)
        else:
            return _done(request, saved, "Saved.")
    kept = Token.objects.get(pk=found.pk)
    return pages.respond(
        request, "bookings/token_form", {"form": form, "token": kept, "version": version_of(kept)}, status
    )


@login_required
@require_POST
def block(request: HttpRequest, token_id: int) -> HttpResponse:
    """A lost card charges nowhere from now on."""
    found = access.own_token(request.user, token_id)
    return _set_blocked(request, found, True, f"{found} is blocked.")


@login_required
@require_POST
def unblock(request: HttpRequest, token_id: int) -> HttpResponse:
    found = access.own_token(request.user, token_id)
    return _set_blocked(request, found, False, f"{found} works again.")


def _set_blocked(request: HttpRequest, found: Token, is_blocked: bool, words: str) -> HttpResponse:
    try:
        version = seen_version(request.POST)
        operations.set_blocked(token_id=found.pk, is_blocked=is_blocked, seen_version=version)
    except ChangedMeanwhile as refusal:
        messages.error(request, look_again(refusal))
        return _list(request, status_of(refusal))
    return _done(request, found, words)


def _form(request: HttpRequest, **options: Any) -> TokenForm:
    fleets = access.dispatcher(request.user)
    vehicles = list(Vehicle.objects.filter(fleet__in=fleets).select_related("fleet").order_by("plate"))
    given = request.POST if request.method == "POST" else None
    return TokenForm(given, fleets=fleets, vehicles=vehicles, **options)


def _done(request: HttpRequest, token: Any, words: str) -> HttpResponse:
    """Back to the vehicle it belongs to, where it is managed, else to the list."""
    to = f"/vehicles/{token.vehicle_id}/" if token.vehicle_id else "/tokens/"
    return pages.done(request, to, words)
