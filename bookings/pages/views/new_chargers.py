"""Chargers that were refused and are not known yet: who is waited for, and how they are let in."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bookings.errors import BookingError, ChangedMeanwhile
from bookings.operations.commission_charger import (
    commission_charger,
    expect_charger,
    refused_connection_version,
    stop_expecting,
)
from bookings.pages import access
from bookings.pages.charger_security import handshake_words
from bookings.pages.forms.depot import add_refusal
from bookings.pages.forms.new_chargers import ExpectedChargerForm, NewChargerForm
from bookings.pages.forms.row_versions import with_versions
from bookings.pages.views.refusals import status_of
from bookings.rules.content_version import look_again, seen_version
from depots.models import Charger, Depot, ExpectedCharger, FailedHandshake, RefusedConnection
from depots.pages import done, respond

MOST_SHOWN = 100
MOST_HANDSHAKES_SHOWN = 20


@never_cache
@login_required
@require_safe
def new_chargers(request: HttpRequest, code: str) -> HttpResponse:
    return _list(request, access.run_depot(request.user, code), ExpectedChargerForm())


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def commission(request: HttpRequest, code: str, refused_id: int) -> HttpResponse:
    """GET asks what the charger is; POST lets it in, and shows its new password if it was given one."""
    depot = access.run_depot(request.user, code)
    refused = access.refused_connection(request.user, depot, refused_id)
    if request.method != "POST":
        return _form(request, depot, refused, NewChargerForm(refused=refused))
    form = NewChargerForm(request.POST, refused=refused)
    if not form.is_valid() or form.row is None:
        return _form(request, depot, refused, form, status=422)
    try:
        made = commission_charger(
            refused_id=refused.pk,
            depot=depot,
            row=form.row,
            keeps_password=form.keeps_password,
            seen_version=seen_version(request.POST),
            now=timezone.now(),
        )
    except BookingError as refusal:
        add_refusal(form, refusal, depot)
        return _form(request, depot, refused, form, status=status_of(refusal))
    if not made.password:
        told = f"{made.charger} is let in with its next try."
        return done(request, reverse("bookings:charger", args=[depot.code, made.charger.identity]), told)
    context = {
        "depot": depot,
        "charger": made.charger,
        "password": made.password,
        "hex": made.password.encode().hex(),
    }
    return respond(request, "bookings/new_chargers/password", context)


@login_required
@require_POST
def expected(request: HttpRequest, code: str) -> HttpResponse:
    """Wait for an identity: its refused connections are shown from then on."""
    depot = access.run_depot(request.user, code)
    form = ExpectedChargerForm(request.POST)
    if not form.is_valid():
        return _list(request, depot, form, status=422)
    identity = form.cleaned_data["identity"]
    expect_charger(operator=depot.operator, identity=identity, now=timezone.now())
    return done(request, reverse("bookings:new_chargers", args=[depot.code]), f"{identity} is waited for.")


@login_required
@require_POST
def unexpected(request: HttpRequest, code: str, expected_id: int) -> HttpResponse:
    """Wait for an identity no longer."""
    depot = access.run_depot(request.user, code)
    access.expected_charger(depot, expected_id)
    try:
        row = stop_expecting(
            expected_id=expected_id, operator=depot.operator, seen_version=seen_version(request.POST)
        )
    except ChangedMeanwhile as refusal:
        messages.warning(request, look_again(refusal))
        return _list(request, depot, ExpectedChargerForm(), status=status_of(refusal))
    told = f"{row} is not waited for any more."
    return done(request, reverse("bookings:new_chargers", args=[depot.code]), told)


def _list(
    request: HttpRequest, depot: Depot, form: ExpectedChargerForm, *, status: int = 200
) -> HttpResponse:
    rows = ExpectedCharger.objects.filter(operator=depot.operator_id).order_by("identity")
    sees_all = access.sees_every_refused_connection(request.user)
    failed = (
        FailedHandshake.objects.order_by("-last_at", "-pk") if sees_all else FailedHandshake.objects.none()
    )
    context = {
        "depot": depot,
        "refused_connections": access.refused_connections(request.user, depot)[:MOST_SHOWN],
        "sees_all": sees_all,
        "failed_handshakes": [
            {"row": row, "words": handshake_words(row.reason)} for row in failed[:MOST_HANDSHAKES_SHOWN]
        ],
        "expected": with_versions(rows),
        "form": form,
    }
    return respond(request, "bookings/new_chargers/new_chargers", context, status)


def _form(
    request: HttpRequest, depot: Depot, refused: RefusedConnection, form: NewChargerForm, *, status: int = 200
) -> HttpResponse:
    context: dict[str, Any] = {
        "depot": depot,
        "refused": refused,
        "form": form,
        "version": refused_connection_version(refused),
        # One that the depot file has already only lacks a password.
        "is_known": Charger.objects.filter(identity__iexact=refused.identity, is_withdrawn=False).exists(),
    }
    return respond(request, "bookings/new_chargers/commission", context, status)
