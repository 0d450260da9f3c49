"""What the versions of OCPP share of charging profiles: a schedule's periods, in the unit that the charger takes."""

from __future__ import annotations

import json
from typing import Any

from depots.ocpp.dialect import InvalidCommand
from depots.ocpp.times import rewrite_time

PURPOSES = {"tx": "TxProfile", "tx_default": "TxDefaultProfile"}
UNITS = ("W", "A")
KINDS = {"relative": "Relative", "absolute": "Absolute"}


def schedule(payload: dict[str, Any]) -> dict[str, Any]:
    """chargingRateUnit, chargingSchedulePeriod and, where the schedule has one, startSchedule. Raises InvalidCommand."""
    limits = payload["limits"]
    seconds = [second for second, _ in limits]
    if not limits or seconds[0] != 0 or sorted(set(seconds)) != seconds:
        raise InvalidCommand("A charging schedule begins at second 0 and goes forward.")
    begins = {"startSchedule": rewrite_time(payload["starts_at"])} if kind(payload) == "Absolute" else {}
    return {
        "chargingRateUnit": unit(payload),
        "chargingSchedulePeriod": [{"startPeriod": second, **_limit(payload, w)} for second, w in limits],
        **begins,
    }


def profile(payload: dict[str, Any]) -> dict[str, Any]:
    """What a profile has in every version, but for its id, transaction and schedules. Raises InvalidCommand."""
    purpose = PURPOSES.get(payload["purpose"])
    if purpose is None:
        raise InvalidCommand(f"A charging profile is for {' or '.join(PURPOSES)}.")
    ends = {"validTo": rewrite_time(payload["valid_to"])} if payload.get("valid_to") else {}
    return {
        "stackLevel": payload["stack_level"],
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind(payload),
        **ends,
    }


def kind(payload: dict[str, Any]) -> str:
    """Raises InvalidCommand."""
    found = KINDS.get(payload.get("kind", "relative"))
    if found is None:
        raise InvalidCommand(f"A charging profile is {' or '.join(KINDS)}.")
    return found


def unit(payload: dict[str, Any]) -> str:
    """Raises InvalidCommand."""
    if payload["unit"] not in UNITS:
        raise InvalidCommand(f"A charging schedule is in {' or '.join(UNITS)}.")
    return str(payload["unit"])


def read_composite(told: Any) -> str:
    """The schedule a charger says is in force, as JSON: {"unit": "W"|"A", "periods": [[seconds, limit, phases|null]…]}; empty
    where it tells none that can be read."""
    try:
        periods = [
            [int(each["startPeriod"]), float(each["limit"]), each.get("numberPhases")]
            for each in told["chargingSchedulePeriod"]
        ]
        return json.dumps({"unit": str(told["chargingRateUnit"]), "periods": periods})
    except (KeyError, TypeError, ValueError, AttributeError):
        return ""


def _limit(payload: dict[str, Any], watts: int) -> dict[str, Any]:
    """One decimal at most, never more than was meant. Amperes are of each phase."""
    if payload["unit"] == "W":
        return {"limit": watts}
    phases, volts = payload["phases"], payload["volts"]
    tenths = int(watts * 10 // (phases * volts))
    return {"limit": tenths // 10 if tenths % 10 == 0 else tenths / 10, "numberPhases": phases}
