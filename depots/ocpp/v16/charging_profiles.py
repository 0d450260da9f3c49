"""Charging profiles in OCPP 1.6 (§5.16, §7.7 to §7.13)."""

from __future__ import annotations

from typing import Any

from depots.ocpp import charging_schedules
from depots.ocpp.command_words import read_status
from depots.ocpp.v16.transaction_numbers import transaction_number


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


def read_composite(payload: dict[str, Any]) -> tuple[str, str]:
    if payload.get("status") == "Accepted" and "chargingSchedule" in payload:
        return "accepted", charging_schedules.read_composite(payload["chargingSchedule"])
    return read_status(payload)


def _transaction(payload: dict[str, Any]) -> dict[str, Any]:
    if payload["purpose"] != "tx":
        return {}
    return {"transactionId": transaction_number(payload["transaction"])}
