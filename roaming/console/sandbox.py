"""A network to try things out with, for a click: the simulated partner of a demo begins a second one (simulators/partner)."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

from django.conf import settings

from roaming import deviations, registration
from roaming.models import Partner, PartnerEvent

NAME, COUNTRY_CODE, PARTY_ID, ROLES = "Sandbox Network", "FR", "SBX", ("CPO", "EMSP")


def is_offered() -> bool:
    """In a demo, which runs a simulated partner; elsewhere `manage.py simulate_partner` is one, on any machine."""
    return (
        settings.DEMO_SIGN.exists()
        and not Partner.objects.filter(organisation__name=NAME, state=Partner.State.REGISTERED).exists()
    )


def start(*, by: str, now: datetime) -> Partner:
    """Invite it; it registers by itself within seconds. Asked for again before that it gets another token A. Raises
    RegistrationError."""
    invitation = registration.invite(
        name=NAME, country_code=COUNTRY_CODE, party_id=PARTY_ID, roles=ROLES, now=now
    )
    PartnerEvent.objects.create(partner=invitation.partner, at=now, kind=PartnerEvent.Kind.SANDBOX, by=by)
    deviations.tell_of(invitation.partner.pk)
    _write(
        settings.BERTH_VAR / "simulators" / "sandbox.json",
        {
            "versions_url": invitation.versions_url,
            "token_a": invitation.token_a,
            "country_code": COUNTRY_CODE,
            "party_id": PARTY_ID,
            "name": NAME,
        },
    )
    return invitation.partner


def _write(file: Path, content: dict[str, str]) -> None:
    """Whole or not at all, and for nobody else's eyes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".new")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        json.dump(content, opened)
    beside.replace(file)
