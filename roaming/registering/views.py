"""Inviting a network, connecting to one, and what becomes of its registration: for who looks after the platform."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from bookings.errors import ChangedMeanwhile
from bookings.rules.content_version import look_again, seen_version
from depots import secrets
from depots.pages import done, respond
from roaming import access
from roaming.connection_check import Step, check_address, check_partner
from roaming.models import Partner, PartnerToken
from roaming.ocpi.call_failures import CallFailed
from roaming.ocpi.dialect import DIALECTS
from roaming.ocpi.handshake import CannotAgree, our_versions_url
from roaming.party_roles import RegistrationError
from roaming.registering import acts
from roaming.registering.acts import Act
from roaming.registering.forms import ConnectForm, InviteForm, LeaveForm
from roaming.token_rotation import is_in_doubt

REFUSALS = (RegistrationError, CannotAgree, CallFailed)


@never_cache
@login_required
@require_safe
def new(request: HttpRequest) -> HttpResponse:
    """Two ways in: we invite it, or it has invited us."""
    access.require_platform_administrator(request.user)
    return _new(request)


def _new(request: HttpRequest, status: int = 200, **instead: Any) -> HttpResponse:
    context = {"invite_form": InviteForm(prefix="invite"), "connect_form": ConnectForm(prefix="connect")}
    return respond(request, "roaming/registering/new", {**context, **instead}, status=status)


@login_required
@require_POST
def invite(request: HttpRequest) -> HttpResponse:
    access.require_platform_administrator(request.user)
    form = InviteForm(request.POST, prefix="invite")
    if not form.is_valid():
        return _new(request, 422, invite_form=form)
    try:
        invitation = acts.invite(form.party, by=_who(request), now=timezone.now())
    except RegistrationError as refusal:
        form.add_error(None, str(refusal))
        return _new(request, 422, invite_form=form)
    return done(request, _address(invitation.partner), f"{invitation.partner} can register now.")


@login_required
@require_POST
def connect(request: HttpRequest) -> HttpResponse:
    """With the button "Try it first" nothing is registered: its versions are looked up with its token A."""
    access.require_platform_administrator(request.user)
    form = ConnectForm(request.POST, prefix="connect")
    if not form.is_valid():
        return _new(request, 422, connect_form=form)
    url, token_a = form.cleaned_data["versions_url"], form.cleaned_data["token_a"]
    if "try" in request.POST:
        return _new(request, connect_form=form, steps=check_address(url, token_a, now=timezone.now()))
    try:
        partner = acts.connect(
            form.party, versions_url=url, token_a=token_a, by=_who(request), now=timezone.now()
        )
    except REFUSALS as refusal:
        form.add_error(None, str(refusal))
        return _new(request, 422, connect_form=form)
    return done(request, _address(partner), f"{partner} is connected, with OCPI {partner.version}.")


@never_cache
@login_required
@require_safe
def registration(request: HttpRequest, partner_id: int) -> HttpResponse:
    """Where it stands: what the partner needs to register, or what was agreed and what can be done about it."""
    return _shown(request, access.run_partner(request.user, partner_id))


def _shown(
    request: HttpRequest,
    partner: Partner,
    status: int = 200,
    *,
    refusal: str = "",
    steps: list[Step] | None = None,
) -> HttpResponse:
    token_a = partner.tokens.filter(
        kind=PartnerToken.Kind.REGISTRATION, valid_until__gt=timezone.now()
    ).first()
    context = {
        "partner": partner,
        "version": acts.registration_version(partner),
        "versions_url": our_versions_url(),
        "token_a": secrets.decrypt(token_a.token_encrypted) if token_a else "",
        "token_a_until": token_a.valid_until if token_a else None,
        "is_in_doubt": partner.is_registered and is_in_doubt(partner),
        "other_versions": [version for version in DIALECTS if version != partner.version],
        "leave_form": LeaveForm(),
        "steps": steps,
        "refusal": refusal,
    }
    return respond(request, "roaming/registering/registration", context, status=status)


@login_required
@require_POST
def check(request: HttpRequest, partner_id: int) -> HttpResponse:
    """It changes nothing, so it needs no version."""
    partner = access.run_partner(request.user, partner_id)
    if not (partner.is_registered or partner.is_suspended):
        return _shown(request, partner, 409, refusal=f"{partner} is not registered.")
    return _shown(request, partner, steps=check_partner(partner, now=timezone.now()))


@login_required
@require_POST
def invite_again(request: HttpRequest, partner_id: int) -> HttpResponse:
    return _done(request, partner_id, acts.invite_again, "{partner} can register with a new token A.")


@login_required
@require_POST
def change_tokens(request: HttpRequest, partner_id: int) -> HttpResponse:
    version = request.POST.get("to", "")
    wanted = version if version in DIALECTS else ""
    return _done(
        request, partner_id, lambda act: acts.change_tokens(act, wanted), "{partner} and we have new tokens."
    )


@login_required
@require_POST
def suspend(request: HttpRequest, partner_id: int) -> HttpResponse:
    return _done(request, partner_id, acts.suspend, "{partner} is suspended.")


@login_required
@require_POST
def lift_suspension(request: HttpRequest, partner_id: int) -> HttpResponse:
    return _done(request, partner_id, acts.lift_suspension, "{partner} goes on: all is told and read again.")


@login_required
@require_POST
def leave(request: HttpRequest, partner_id: int) -> HttpResponse:
    partner = access.run_partner(request.user, partner_id)
    if not LeaveForm(request.POST).is_valid():
        return _shown(request, partner, 422, refusal="Say that you are sure to end the registration.")
    return _done(request, partner_id, acts.leave, "The registration of {partner} is ended.")


def _done(
    request: HttpRequest, partner_id: int, carry_out: Callable[[Act], object], words: str
) -> HttpResponse:
    """One change, and back to the registration; what was refused is said there."""
    partner = access.run_partner(request.user, partner_id)
    try:
        carry_out(Act(partner, _who(request), seen_version(request.POST), timezone.now()))
    except ChangedMeanwhile as refusal:
        return _shown(request, access.run_partner(request.user, partner_id), 409, refusal=look_again(refusal))
    except REFUSALS as refusal:
        partner = access.run_partner(request.user, partner_id)
        return _shown(request, partner, 422, refusal=str(refusal))
    return done(request, _address(partner), words.format(partner=partner))


def _who(request: HttpRequest) -> str:
    return request.user.get_username()


def _address(partner: Partner) -> str:
    return reverse("registering:registration", args=[partner.pk])
