"""ChargingProfiles of 2.2.1: those of 2.3.0 at addresses of its own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bookings.models import PartnerCommand
from roaming.models import Partner
from roaming.ocpi.modules.charging_profiles import Method
from roaming.ocpi.v2_2_1.versions.mapping import VERSION
from roaming.ocpi.v2_3_0.charging_profiles import dialect as newest
from roaming.ocpi.v2_3_0.charging_profiles.dialect import (
    active_url,
    read_active,
    read_response,
    read_result,
    url,
    write_active,
    write_result,
)

__all__ = [
    "active_url",
    "call",
    "read_active",
    "read_response",
    "read_result",
    "url",
    "write_active",
    "write_result",
]


def call(partner: Partner, command: PartnerCommand, now: datetime) -> tuple[Method, str, Any]:
    return newest.call(partner, command, now, version=VERSION)
