from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bookings import access
from bookings.forms.vehicles import TokenForm, save
from bookings.models import Token, Vehicle
from depots import pages


@never_cache
@login_required
@require_safe
def tokens(request: HttpRequest) -> HttpResponse:
    fleets = access.fleet_member(request.user)
    context = {
        "tokens": access.tokens_of(request.user).order_by("is_blocked", "vehicle__plate", "uid"),
        "may_change": bool(access.fleets_booked_for(request.user)),
        "is_several": len(fleets) > 1,
    }
    return pages.respond(request, "bookings/tokens", context)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """A new token; `?vehicle=` says whose it is likely to be."""
    form = _form(request, initial={"vehicle": request.GET.get("vehicle", "")})
    if form.is_valid() and (token := save(form)):
        return _done(request, token, f"{token} is added.")
    return pages.respond(request, "bookings/token_form", {"form": form}, 422 if form.is_bound else 200)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def token(request: HttpRequest, token_id: int) -> HttpResponse:
    found = access.own_token(request.user, token_id)
    form = _form(request, instance=found)
    if form.is_valid() and save(form):
        return _done(request, found, "Saved.")
    context = {"form": form, "token": Token.objects.get(pk=found.pk)}
    return pages.respond(request, "bookings/token_form", context, 422 if form.is_bound else 200)


@login_required
@require_POST
def block(request: HttpRequest, token_id: int) -> HttpResponse:
    """A lost card charges nowhere from now on."""
    found = access.own_token(request.user, token_id)
    Token.objects.filter(pk=found.pk).update(is_blocked=True)
    return _done(request, found, f"{found} is blocked.")


@login_required
@require_POST
def unblock(request: HttpRequest, token_id: int) -> HttpResponse:
    found = access.own_token(request.user, token_id)
    Token.objects.filter(pk=found.pk).update(is_blocked=False)
    return _done(request, found, f"{found} works again.")


def _form(request: HttpRequest, **options: Any) -> TokenForm:
    fleets = access.dispatcher(request.user)
    vehicles = list(Vehicle.objects.filter(fleet__in=fleets).select_related("fleet").order_by("plate"))
    given = request.POST if request.method == "POST" else None
    return TokenForm(given, fleets=fleets, vehicles=vehicles, **options)


def _done(request: HttpRequest, token: Any, words: str) -> HttpResponse:
    """Back to the vehicle it belongs to, where it is managed, else to the list."""
    to = f"/vehicles/{token.vehicle_id}/" if token.vehicle_id else "/tokens/"
    return pages.done(request, to, words)
