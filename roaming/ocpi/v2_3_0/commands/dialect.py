"""Commands of 2.3.0, as the core asks for them (roaming/ocpi/modules/commands.py); those of 2.2.1 are the same."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings

from bookings.models import PartnerCommand
from roaming.commands.told import ToldResponse, ToldResult
from roaming.models import Partner, ReceivedCommand
from roaming.ocpi.client import joined
from roaming.ocpi.v2_3_0.commands import mapping, reading
from roaming.ocpi.v2_3_0.commands.mapping import NAME, result_out
from roaming.ocpi.v2_3_0.versions.mapping import VERSION


def write_result(received: ReceivedCommand) -> dict[str, Any]:
    return result_out(received).wire()


def url(partner: Partner, kind: str) -> str:
    base = partner.endpoint("commands", "RECEIVER")
    return joined(base, NAME[kind]) if base and kind in NAME else ""


def write(command: PartnerCommand, now: datetime, *, version: str = VERSION) -> dict[str, Any]:
    callback = f"{settings.BERTH_BASE_URL}/ocpi/emsp/{version}/commands/{NAME[command.kind]}/{command.key}"
    return mapping.command_out(command, callback, now).wire()


def read_response(raw: Any) -> ToldResponse:
    return mapping.response_in(reading.read_response(raw).value)


def read_result(raw: Any) -> ToldResult:
    return mapping.told_result(reading.read_result(raw).value)
