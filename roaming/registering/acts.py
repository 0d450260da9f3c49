"""What a person does about a registration. Each leaves an event; one that was made from an old page changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bookings.errors import ChangedMeanwhile
from bookings.rules.content_version import version_of
from roaming import registration, suspension, token_rotation
from roaming.models import Partner, PartnerEvent
from roaming.ocpi.call_failures import CallFailed
from roaming.registration import Invitation

Kind = PartnerEvent.Kind


@dataclass(frozen=True)
class Act:
    """Who does it, to which partner, when, and the version of what was shown to them."""

    partner: Partner
    by: str
    seen_version: int
    now: datetime

    def check(self) -> None:
        """Raises ChangedMeanwhile. What follows looks again under the partner's lock whether it can be done."""
        if registration_version(self.partner) != self.seen_version:
            raise ChangedMeanwhile("This registration has been changed meanwhile.")


def registration_version(partner: Partner) -> int:
    return version_of(["registration", partner.pk, partner.state, partner.registered_at, partner.version])


def invite(party: dict[str, Any], *, by: str, now: datetime) -> Invitation:
    """Raises RegistrationError."""
    invitation = registration.invite(**party, now=now)
    _note(invitation.partner, Kind.INVITED, by, now)
    return invitation


def connect(party: dict[str, Any], *, versions_url: str, token_a: str, by: str, now: datetime) -> Partner:
    """Raises RegistrationError, CannotAgree or CallFailed."""
    partner = registration.connect(**party, versions_url=versions_url, token_a=token_a, now=now)
    _note(partner, Kind.CONNECTED, by, now, f"OCPI {partner.version}")
    return partner


def invite_again(act: Act) -> Invitation:
    """A new token A in the place of the old one. Raises ChangedMeanwhile and RegistrationError."""
    act.check()
    organisation = act.partner.organisation
    party = {
        "name": organisation.name,
        "country_code": organisation.country_code,
        "party_id": organisation.cpo_party_id or organisation.emsp_party_id,
        "roles": act.partner.expected_roles,
    }
    return invite(party, by=act.by, now=act.now)


def change_tokens(act: Act, version: str = "") -> Partner:
    """Raises ChangedMeanwhile, RegistrationError, CannotAgree or CallFailed."""
    act.check()
    partner = token_rotation.rotate(partner=act.partner, version=version, now=act.now)
    _note(partner, Kind.ROTATED, act.by, act.now, f"OCPI {partner.version}")
    return partner


def suspend(act: Act) -> Partner:
    """Raises ChangedMeanwhile and RegistrationError."""
    act.check()
    partner = suspension.suspend(partner=act.partner)
    _note(partner, Kind.SUSPENDED, act.by, act.now)
    return partner


def lift_suspension(act: Act) -> Partner:
    """Raises ChangedMeanwhile and RegistrationError."""
    act.check()
    partner = suspension.lift_suspension(partner=act.partner, now=act.now)
    _note(partner, Kind.LIFTED, act.by, act.now)
    return partner


def leave(act: Act) -> str:
    """Ended here whatever the partner says; gives why it could not be told, empty if it was. Raises ChangedMeanwhile and
    RegistrationError."""
    act.check()
    unheard = ""
    try:
        registration.leave(partner=act.partner, now=act.now)
    except CallFailed as failure:
        unheard = str(failure)
    _note(act.partner, Kind.LEFT, act.by, act.now, unheard)
    return unheard


def _note(partner: Partner, kind: PartnerEvent.Kind, by: str, now: datetime, told: str = "") -> None:
    PartnerEvent.objects.create(partner=partner, at=now, kind=kind, by=by[:120], told=told[:500])
