"""What the simulated peers are told: their chargers' names and passwords, and an invitation to the partner network."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from config.demo_data.demo_depots import SIMULATED, charger_password, depot_file
from depots.models import ChargingSession
from depots.periods import utc_text
from roaming import registration
from roaming.models import Partner, PartnerToken
from roaming.ocpi import handshake

PARTNER = {
    "name": "Simulated Charging Network",
    "country_code": "FR",
    "party_id": "SIM",
    "roles": ["CPO", "EMSP"],
}


def folder() -> Path:
    return Path(settings.BERTH_VAR) / "simulators"


def write_chargers() -> None:
    """`chargers.json`: identity, protocol, password and EVSEs of every charger that is to be simulated.

    An EVSE where a truck charges has `running`: its transaction as the charger knows it, and until when it charges.
    """
    running = {session.evse.uid: session for session in _running() if session.evse}
    rows = [charger for depot in depot_file()["depots"] for charger in depot["chargers"]]
    chargers = [_charger(row, running) for row in rows if row["identity"] in SIMULATED]
    _write(folder() / "chargers.json", {"chargers": chargers})


def invite_partner(now: datetime) -> None:
    """`invitation.json`: where and with which token the simulated partner registers, unless it has."""
    file = folder() / "invitation.json"
    partner = Partner.objects.filter(organisation__name=PARTNER["name"]).first()
    if partner is not None and (partner.is_registered or _is_good(file, partner, now)):
        return
    invitation = registration.invite(
        name=str(PARTNER["name"]), country_code=str(PARTNER["country_code"]), party_id=str(PARTNER["party_id"]),
        roles=list(PARTNER["roles"]), now=now,
    )  # fmt: skip
    _write(file, {"versions_url": invitation.versions_url, "token_a": invitation.token_a})


def _running() -> Iterable[ChargingSession]:
    sessions = ChargingSession.objects.filter(
        ended_at=None, charger__identity__in=SIMULATED, evse__isnull=False
    )
    return sessions.select_related("evse", "booking").order_by("pk")


def _charger(row: dict[str, Any], running: dict[str, ChargingSession]) -> dict[str, Any]:
    return {
        "identity": row["identity"],
        "protocol": row["protocol"],
        "password": charger_password(row["identity"]),
        "evses": [
            {
                "uid": evse["uid"],
                "number": evse["number"],
                "max_power_kw": evse["max_power_kw"],
                "connector_standard": evse["connector_standard"],
                "running": _transaction(running.get(evse["uid"])),
            }
            for evse in row["evses"]
        ],
    }


def _transaction(session: ChargingSession | None) -> dict[str, Any] | None:
    if session is None:
        return None
    booking = getattr(session, "booking", None)
    return {
        "transaction": session.transaction,
        "token": session.token_uid,
        "token_type": session.token_type,
        "reservation_id": session.reservation_id,
        "started_at": utc_text(session.started_at),
        "ends_at": utc_text(booking.ends_at) if booking else None,
        "meter_start_wh": session.meter_start_wh,
        "meter_wh": session.meter_last_wh,
        "power_w": session.power_w,
        "soc_percent": session.soc_percent,
    }


def _is_good(file: Path, partner: Partner, now: datetime) -> bool:
    """Does the file hold the address of now and a token that still serves?"""
    try:
        written = json.loads(file.read_text())
    except (OSError, ValueError):
        return False
    token = partner.tokens.filter(kind=PartnerToken.Kind.REGISTRATION, valid_until__gt=now).first()
    return token is not None and written.get("versions_url") == handshake.our_versions_url()


def _write(file: Path, content: dict[str, Any]) -> None:
    """Whole or not at all, for its owner alone: there are passwords in it. Left alone when it says the same."""
    text = json.dumps(content, indent=2) + "\n"
    if file.exists() and file.read_text() == text:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".new")
    beside.write_text(text)
    beside.chmod(0o600)
    os.replace(beside, file)
