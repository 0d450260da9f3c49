"""Charging profiles in OCPP 1.6 (§5.16, §7.7 to §7.13)."""

from __future__ import annotations

import re
from typing import Any

from depots.ocpp import charging_schedules
from depots.ocpp.dialect import InvalidCommand


def set_profile(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Raises InvalidCommand."""
    return "SetChargingProfile", {
        "connectorId": payload["evse"],
        "csChargingProfiles": {
            "chargingProfileId": payload["profile_id"],
            **charging_schedules.profile(payload),
            **_transaction(payload),
            "chargingSchedule": charging_schedules.schedule(payload),
        },
    }


def clear_profile(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "ClearChargingProfile", {"id": payload["profile_id"]}


def composite_schedule(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Raises InvalidCommand."""
    unit = charging_schedules.unit(payload)
    return "GetCompositeSchedule", {
        "connectorId": payload["evse"],
        "duration": payload["duration_s"],
        "chargingRateUnit": unit,
    }


def _transaction(payload: dict[str, Any]) -> dict[str, Any]:
    if payload["purpose"] != "tx":
        return {}
    if not re.fullmatch(r"\d{1,9}", payload["transaction"]):
        raise InvalidCommand(
            f"OCPP 1.6 numbers its transactions; {payload['transaction']!r} is not one of ours."
        )
    return {"transactionId": int(payload["transaction"])}
