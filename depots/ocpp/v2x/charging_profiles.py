"""Charging profiles in OCPP 2.x (K01, K08, K10)."""

from __future__ import annotations

from typing import Any

from depots.ocpp import charging_schedules
from depots.ocpp.dialect import InvalidCommand
from depots.ocpp.v2x.status_info import read_status_and_reason

LONGEST_TRANSACTION = 36


def set_profile(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The schedule has its profile's id: it is the only one of it. Raises InvalidCommand."""
    return "SetChargingProfile", {
        "evseId": payload["evse"],
        "chargingProfile": {
            "id": payload["profile_id"],
            **charging_schedules.profile(payload),
            **_transaction(payload),
            "chargingSchedule": [{"id": payload["profile_id"], **charging_schedules.schedule(payload)}],
        },
    }


def clear_profile(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "ClearChargingProfile", {"chargingProfileId": payload["profile_id"]}


def composite_schedule(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Raises InvalidCommand."""
    unit = charging_schedules.unit(payload)
    return "GetCompositeSchedule", {
        "evseId": payload["evse"],
        "duration": payload["duration_s"],
        "chargingRateUnit": unit,
    }


def read_composite(payload: dict[str, Any]) -> tuple[str, str]:
    if payload.get("status") == "Accepted" and "schedule" in payload:
        return "accepted", charging_schedules.read_composite(payload["schedule"])
    return read_status_and_reason(payload)


def _transaction(payload: dict[str, Any]) -> dict[str, Any]:
    if payload["purpose"] != "tx":
        return {}
    if not 0 < len(payload["transaction"]) <= LONGEST_TRANSACTION:
        raise InvalidCommand("The charger has not named the transaction that is to be limited.")
    return {"transactionId": payload["transaction"]}
