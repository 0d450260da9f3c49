"""ChargingProfiles of 2.3.0, as the core asks for them (roaming/ocpi/modules/charging_profiles.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.conf import settings

from bookings.models import PartnerCommand
from roaming.commands.told import ToldActiveProfile, ToldResponse, ToldResult
from roaming.models import Partner, ReceivedCommand
from roaming.ocpi.client import joined
from roaming.ocpi.modules.charging_profiles import Method
from roaming.ocpi.v2_3_0.charging_profiles import mapping, reading
from roaming.ocpi.v2_3_0.charging_profiles.schemas import ChargingProfileResultType, SetChargingProfile
from roaming.ocpi.v2_3_0.versions.mapping import VERSION
from roaming.ocpi.wire_object import Read

MODULE = "chargingprofiles"
# Two of the three results have the same shape: the address says which it is.
NAME = {
    PartnerCommand.Kind.LIMIT: "charging_profile",
    PartnerCommand.Kind.LIFT_LIMIT: "clear_profile",
    PartnerCommand.Kind.SHOW_LIMIT: "active_charging_profile",
}
SHOWN_FOR_S = 3600


def write_result(received: ReceivedCommand) -> dict[str, Any]:
    return mapping.result_out(received).wire()


def active_url(partner: Partner, session_id: str) -> str:
    base = partner.endpoint(MODULE, "SENDER")
    return joined(base, session_id) if base else ""


def write_active(limits: Sequence[tuple[int, int]], at: datetime, lasts: timedelta) -> dict[str, Any]:
    return mapping.active_out(limits, at, lasts).wire()


def url(partner: Partner, session_id: str) -> str:
    base = partner.endpoint(MODULE, "RECEIVER")
    return joined(base, session_id) if base else ""


def call(
    partner: Partner, command: PartnerCommand, now: datetime, *, version: str = VERSION
) -> tuple[Method, str, Any]:
    address, kind = url(partner, command.remote_session), PartnerCommand.Kind(command.kind)
    callback = f"{settings.BERTH_BASE_URL}/ocpi/emsp/{version}/{MODULE}/{NAME[kind]}/{command.key}"
    if not address:
        return "PUT", "", None
    if kind == PartnerCommand.Kind.LIMIT:
        profile = mapping.limit_out(command.power_w or 0, now)
        return "PUT", address, SetChargingProfile(charging_profile=profile, response_url=callback).wire()
    if kind == PartnerCommand.Kind.LIFT_LIMIT:
        return "DELETE", f"{address}?{urlencode({'response_url': callback})}", None
    return "GET", f"{address}?{urlencode({'duration': SHOWN_FOR_S, 'response_url': callback})}", None


def read_response(raw: Any) -> ToldResponse:
    return mapping.response_in(reading.read_response(raw).value)


def read_result(raw: Any, kind: str) -> Read[ToldResult]:
    is_shown = kind == PartnerCommand.Kind.SHOW_LIMIT
    told = reading.read_active_result(raw) if is_shown else reading.read_result(raw)
    result = mapping.result_in(told.value)
    if kind == PartnerCommand.Kind.LIFT_LIMIT and told.value.result == ChargingProfileResultType.UNKNOWN:
        result = replace(result, is_done=True)  # what is not there need not be lifted
    return Read(result, told.deviations)


def read_active(raw: Any) -> Read[ToldActiveProfile]:
    told = reading.read_active(raw)
    return Read(mapping.active_in(told.value), told.deviations)
