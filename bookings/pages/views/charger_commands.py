"""What a manager has a charger do: looked at in a form that says who is in the way, then asked."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bookings.errors import BookingError
from bookings.maintenance import next_gap, running_sessions
from bookings.maintenance.charger_requests import in_the_way, mend_settings
from bookings.pages import access
from bookings.pages.charger_verbs import INSTALLING, VERBS, Asked, Verb, installing, refusal_of
from bookings.pages.forms.charger import ChargerForm, FirmwareForm
from bookings.pages.views.charger import charger_page, charger_url
from bookings.pages.views.refusals import status_of, words_of
from bookings.rules.content_version import seen_version
from depots.commissioning import family_of
from depots.models import Charger, ChargerUpload, SettingsCheck
from depots.pages import done, respond


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def command(request: HttpRequest, code: str, identity: str, verb: str) -> HttpResponse:
    """GET shows the form with who is in the way; POST asks the charger, which answers on its page."""
    charger = access.run_charger(request.user, code, identity)
    if verb not in VERBS:
        raise Http404
    wanted, now = VERBS[verb], timezone.now()
    form = _form(wanted, charger, request.POST if request.method == "POST" else None, now)
    if request.method != "POST":
        return _shown(request, charger, wanted, form, now=now)
    try:
        version = seen_version(request.POST)
        if form.is_valid():
            asked = Asked(charger, form.cleaned_data, version, access.as_manager(request.user), now)
            wanted.do(asked)
            return done(request, _next(asked, wanted), f"{charger} is asked.")
    except BookingError as refusal:
        told = words_of(refusal)
        return _shown(request, charger, wanted, form, now=now, refusal=told, status=status_of(refusal))
    return _shown(request, charger, wanted, form, now=now, status=422)


@login_required
@require_POST
def settings(request: HttpRequest, code: str, identity: str) -> HttpResponse:
    """Look through its settings now; `mend` sets what differs."""
    charger = access.run_charger(request.user, code, identity)
    mends = "mend" in request.POST
    try:
        mend_settings(
            charger=charger, does_apply=mends, seen_version=seen_version(request.POST),
            actor=access.as_manager(request.user), now=timezone.now(),
        )  # fmt: skip
    except BookingError as refusal:
        return charger_page(request, charger, refusal)
    told = "What differs of its settings is being set." if mends else "Its settings are being read."
    return done(request, charger_url(charger), told)


@never_cache
@login_required
@require_safe
def inventory(request: HttpRequest, code: str, identity: str) -> HttpResponse:
    """All settings it told when it was asked for them last."""
    charger = access.charger(request.user, code, identity)
    check = SettingsCheck.objects.filter(charger=charger).first()
    context = {
        "charger": charger,
        "depot": charger.depot,
        "told_at": check.inventory_at if check is not None else None,
        "rows": sorted((key, *entry) for key, entry in check.inventory.items()) if check is not None else [],
    }
    return respond(request, "bookings/yard/inventory", context)


@never_cache
@login_required
@require_safe
def log_file(request: HttpRequest, code: str, identity: str, command_id: int) -> HttpResponse:
    """A log that the charger sent here; never shown in the browser, whatever it says it is."""
    charger = access.run_charger(request.user, code, identity)
    found = ChargerUpload.objects.filter(command=command_id, command__charger=charger).first()
    if found is None or found.received_at is None:
        raise Http404
    answer = HttpResponse(bytes(found.content), content_type="application/octet-stream")
    answer["Content-Disposition"] = f'attachment; filename="{found.name}"'
    return answer


def _form(wanted: Verb, charger: Charger, data: Any, now: datetime) -> ChargerForm:
    form = wanted.form(
        data, charger=charger, evses=charger.evses.filter(is_withdrawn=False).order_by("number"),
        sessions=running_sessions(charger), family=family_of(charger), now=now,
    )  # fmt: skip
    if isinstance(form, FirmwareForm) and data is None:
        form.suggest(next_gap(charger, INSTALLING, now=now) or now)
    return form


def _shown(
    request: HttpRequest, charger: Charger, wanted: Verb, form: ChargerForm, *, now: datetime, refusal: str = "",
    status: int = 200,
) -> HttpResponse:  # fmt: skip
    at = form.meant_at if isinstance(form, FirmwareForm) else None
    found = in_the_way(charger, now=now, period=installing(at) if at else None)
    cannot = refusal_of(charger, wanted, now=now)
    context = {
        "charger": charger,
        "depot": charger.depot,
        "verb": wanted,
        "form": form,
        "why_not": refusal or cannot,
        "is_off": bool(cannot),
        "sessions": found.sessions if wanted.harms else [],
        "bookings": found.bookings if wanted.harms else [],
        "version": found.version,
    }
    return respond(request, "bookings/yard/command", context, status)


def _next(asked: Asked, wanted: Verb) -> str:
    """Back to the charger; of what is out of service to its closure, so that nobody books it."""
    depot, evse = asked.charger.depot, asked.given.get("evse")
    if wanted.name == "availability" and asked.given["service"] == "inoperative":
        place = f"?evse={evse.uid}" if evse is not None else ""
        return reverse("bookings:close", args=[depot.code]) + place
    return charger_url(asked.charger)
