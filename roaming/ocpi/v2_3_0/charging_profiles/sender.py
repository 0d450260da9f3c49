"""ChargingProfiles, Sender: partners tell what became of limits of ours, and what sessions of our trucks may take (OCPI 2.3.0
mod_charging_profiles)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from bookings import operations
from roaming import deviations
from roaming.commands import sent
from roaming.commands.told import ToldActiveProfile
from roaming.ocpi.auth import caller_of
from roaming.ocpi.dialect import Dialect
from roaming.ocpi.envelope import Code, RefusalError, ok, read_json
from roaming.ocpi.routes import Routes
from roaming.ocpi.times import time_out
from roaming.ocpi.v2_3_0.charging_profiles.dialect import NAME

routes = Routes()


@routes.post("/{name}/{key}")
def result(request: HttpRequest, dialect: Dialect, name: str, key: str) -> HttpResponse:
    """Whoever knows the address was given it; what comes too late is taken, and changes nothing."""
    partner = caller_of(request).partner
    command = sent.find(partner, key)
    if command is None or NAME.get(command.kind) != name:  # type: ignore[call-overload]
        raise RefusalError(Code.CLIENT_ERROR, "There is no such request of ours.", http=404)
    read = dialect.charging_profiles.read_result(read_json(request), command.kind)
    deviations.count(partner, read.deviations)
    told = read.value
    allowed = _allowed(told.active) if told.active is not None else None
    operations.take_result(
        command_id=command.pk, is_done=told.is_done, text=told.text, allowed=allowed, now=timezone.now()
    )
    return ok()


@routes.put("/{session_id}")
def active_profile(request: HttpRequest, dialect: Dialect, session_id: str) -> HttpResponse:
    """Of a session at a depot of the caller's."""
    caller = caller_of(request)
    read = dialect.charging_profiles.read_active(read_json(request))
    deviations.count(caller.partner, read.deviations)
    roles = caller.partner.roles
    of_partner = [(role["country_code"], role["party_id"]) for role in roles if role["role"] == "CPO"]
    is_known = operations.take_allowed(
        operator=caller.partner.organisation,
        parties=[caller.from_party] if caller.from_party is not None else of_partner,
        remote_id=session_id,
        allowed=_allowed(read.value),
    )
    if not is_known:
        raise RefusalError(Code.CLIENT_ERROR, "There is no such session here.", http=404)
    return ok()


def _allowed(told: ToldActiveProfile) -> dict[str, object]:
    """As RemoteSession keeps it."""
    limits = [[second, amount] for second, amount in told.limits]
    return {"starts_at": time_out(told.starts_at), "unit": told.unit, "limits": limits}
