"""Commands of 2.2.1: those of 2.3.0, but for the kinds of tokens that 2.2.1 has no name for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bookings.models import PartnerCommand
from roaming.ocpi.v2_2_1.tokens.token_types import as_2_2_1
from roaming.ocpi.v2_2_1.versions.mapping import VERSION
from roaming.ocpi.v2_3_0.commands import dialect as newest
from roaming.ocpi.v2_3_0.commands.dialect import read_response, read_result, url, write_result

__all__ = ["read_response", "read_result", "url", "write", "write_result"]


def write(command: PartnerCommand, now: datetime) -> dict[str, Any]:
    told = newest.write(command, now, version=VERSION)
    return {**told, "token": as_2_2_1(told["token"])} if "token" in told else told
