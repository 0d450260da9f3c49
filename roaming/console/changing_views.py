"""What a platform's administrator does on the pages about partners."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from bookings.errors import ChangedMeanwhile
from bookings.rules.content_version import look_again, seen_version
from depots.pages import done
from roaming import access
from roaming.console import comparing, operations, resyncing, sandbox
from roaming.console.forms import NotesForm, SwitchesForm
from roaming.console.operations import Act
from roaming.console.views import comparison_page, deliveries_page, partner_shown
from roaming.models import Partner
from roaming.outbound import pulls
from roaming.party_roles import RegistrationError

# Lists in which we look for who of us is meant.
MATCHED = ("booking", "session", "cdr")


def _changes(change: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    return login_required(require_POST(change))


@_changes
def start_sandbox(request: HttpRequest) -> HttpResponse:
    access.require_platform_administrator(request.user)
    if not sandbox.is_offered():
        raise Http404
    try:
        found = sandbox.start(by=request.user.get_username(), now=timezone.now())
    except RegistrationError as refusal:
        messages.error(request, str(refusal))
        return redirect("roaming:partners")
    return done(request, _address(found), "The sandbox registers with us now: it takes some seconds.")


@_changes
def pause(request: HttpRequest, partner_id: int) -> HttpResponse:
    return _carried_out(
        request, partner_id, operations.pause, "Nothing is sent to {partner} until you resume."
    )


@_changes
def resume(request: HttpRequest, partner_id: int) -> HttpResponse:
    return _carried_out(
        request, partner_id, operations.resume_sending, "What waited for {partner} is sent now."
    )


@_changes
def try_now(request: HttpRequest, partner_id: int) -> HttpResponse:
    return _carried_out(request, partner_id, operations.try_now, "What waits for {partner} is tried now.")


@_changes
def resync(request: HttpRequest, partner_id: int) -> HttpResponse:
    words = "All {partner} is to have is sent to it again, and all its lists are read."
    return _carried_out(request, partner_id, resyncing.resync_all, words)


@_changes
def compare(request: HttpRequest, partner_id: int) -> HttpResponse:
    words = "{partner} is asked for what it has: this page shows how far that is."
    return _of_comparison(request, partner_id, comparing.ask, words)


@_changes
def repair(request: HttpRequest, partner_id: int) -> HttpResponse:
    words = "What differed is sent and read again. Compare once more when nothing waits any longer."
    return _of_comparison(request, partner_id, comparing.repair, words)


@_changes
def clear_deviations(request: HttpRequest, partner_id: int) -> HttpResponse:
    words = "What {partner} sends otherwise is counted anew."
    return _carried_out(request, partner_id, operations.clear_deviations, words)


@_changes
def match_again(request: HttpRequest, partner_id: int) -> HttpResponse:
    """Its lists of our bookings and charging are read whole: what they hold by now decides what is unmatched."""
    found = access.run_partner(request.user, partner_id)
    pulls.soon(found, lists=MATCHED, now=timezone.now())
    return done(request, _address(found), f"The bookings and the charging of {found} are read again.")


@_changes
def set_aside(request: HttpRequest, partner_id: int, object_id: int) -> HttpResponse:
    found = access.run_partner(request.user, partner_id)
    row = get_object_or_404(found.objects_received, pk=object_id, is_unmatched=True)
    words = f"{row.key} alarms nobody until " + "{partner} tells it anew."
    return _carried_out(request, partner_id, lambda act: operations.set_aside(act, row.pk), words)


@_changes
def switches(request: HttpRequest, partner_id: int) -> HttpResponse:
    found = access.run_partner(request.user, partner_id)
    form = SwitchesForm(request.POST)
    if not form.is_valid():
        return partner_shown(request, found, status=422, switches_form=form)
    words = "From now on {partner} gets it so."
    return _carried_out(
        request, partner_id, lambda act: operations.set_switches(act, form.cleaned_data), words
    )


@_changes
def notes(request: HttpRequest, partner_id: int) -> HttpResponse:
    found = access.run_partner(request.user, partner_id)
    form = NotesForm(request.POST)
    if not form.is_valid():
        return partner_shown(request, found, status=422, notes_form=form)
    text = form.cleaned_data["notes"]
    return _carried_out(
        request, partner_id, lambda act: operations.write_notes(act, text), "The notes on {partner} are kept."
    )


@_changes
def try_delivery_now(request: HttpRequest, partner_id: int, delivery_id: int) -> HttpResponse:
    return _of_delivery(request, partner_id, delivery_id, operations.try_delivery_now, "It is tried now.")


@_changes
def send_again(request: HttpRequest, partner_id: int, delivery_id: int) -> HttpResponse:
    words = "It is sent again, as it is now."
    return _of_delivery(request, partner_id, delivery_id, operations.send_again, words)


def _carried_out(
    request: HttpRequest, partner_id: int, carry_out: Callable[[Act], object], words: str
) -> HttpResponse:
    """One change, and back to the partner's page; what was refused is said there."""
    found = access.run_partner(request.user, partner_id)
    try:
        carry_out(_act(request, found))
    except ChangedMeanwhile as refusal:
        return partner_shown(request, found, status=409, refusal=look_again(refusal))
    return done(request, _address(found), words.format(partner=found))


def _of_delivery(
    request: HttpRequest,
    partner_id: int,
    delivery_id: int,
    carry_out: Callable[[Act, int], object],
    words: str,
) -> HttpResponse:
    found = access.run_partner(request.user, partner_id)
    row = get_object_or_404(found.deliveries, pk=delivery_id)
    try:
        carry_out(_act(request, found), row.pk)
    except ChangedMeanwhile as refusal:
        return deliveries_page(request, found, refusal=look_again(refusal), status=409)
    return done(request, reverse("roaming:deliveries", args=[found.pk]), words)


def _of_comparison(
    request: HttpRequest, partner_id: int, carry_out: Callable[[Act], None], words: str
) -> HttpResponse:
    found = access.run_partner(request.user, partner_id)
    try:
        carry_out(_act(request, found))
    except ChangedMeanwhile as refusal:
        return comparison_page(request, found, refusal=look_again(refusal), status=409)
    return done(request, reverse("roaming:comparison", args=[found.pk]), words.format(partner=found))


def _act(request: HttpRequest, found: Partner) -> Act:
    """Raises ChangedMeanwhile where the form does not say what it showed."""
    return Act(found.pk, request.user.get_username(), seen_version(request.POST), timezone.now())


def _address(found: Partner) -> str:
    return reverse("roaming:partner", args=[found.pk])
