"""A charger's password: replaced over OCPP, or by one to enter there by hand."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from bookings.errors import ChangedMeanwhile, ChargerCannot
from bookings.pages import access
from bookings.pages.charger_security import HIGHEST_PROFILE, password_version
from bookings.pages.views.charger import charger_page, charger_url
from bookings.rules.content_version import seen_version
from depots.models import Charger
from depots.operations.charger_passwords import (
    PasswordChangedError,
    give_new_password,
    rotate_charger_password,
)
from depots.pages import done, respond


@login_required
@require_POST
def rotate(request: HttpRequest, code: str, identity: str) -> HttpResponse:
    """Give it another password over OCPP; nobody needs to know which."""
    charger = access.run_charger(request.user, code, identity)
    if refused := _refusal(request, charger):
        return refused
    actor = access.as_manager(request.user)
    rotate_charger_password(charger_id=charger.pk, asked_by=actor.name, now=timezone.now())
    return done(request, charger_url(charger), f"{charger} is told another password.")


@never_cache
@login_required
@require_POST
def give(request: HttpRequest, code: str, identity: str) -> HttpResponse:
    """Show a new password once, for somebody to enter it at the charger."""
    charger = access.run_charger(request.user, code, identity)
    if refused := _refusal(request, charger):
        return refused
    try:
        password = give_new_password(charger_id=charger.pk, was=charger.password_hash, now=timezone.now())
    except PasswordChangedError:
        return _changed(request, charger)
    context = {
        "depot": charger.depot,
        "charger": charger,
        "password": password,
        "hex": password.encode().hex(),
    }
    return respond(request, "bookings/new_chargers/password", context)


def _refusal(request: HttpRequest, charger: Charger) -> HttpResponse | None:
    if charger.security_profile == HIGHEST_PROFILE:
        return charger_page(
            request, charger, ChargerCannot(f"{charger} comes with a certificate: no password opens.")
        )
    try:
        if seen_version(request.POST) != password_version(charger):
            return _changed(request, charger)
    except ChangedMeanwhile as refusal:
        return _shown(request, charger, refusal)
    return None


def _changed(request: HttpRequest, charger: Charger) -> HttpResponse:
    return _shown(request, charger, ChangedMeanwhile("Its password was changed meanwhile."))


def _shown(request: HttpRequest, charger: Charger, refusal: ChangedMeanwhile) -> HttpResponse:
    charger.refresh_from_db(fields=["password_hash", "next_password_hash"])
    return charger_page(request, charger, refusal)
