"""What partners really send of ChargingProfiles, brought into the shape of 2.3.0."""

from __future__ import annotations

from typing import Any

from roaming.ocpi.shapes import Shape, read_shaped, shaped_as
from roaming.ocpi.v2_3_0.charging_profiles.schemas import (
    ActiveChargingProfile,
    ActiveChargingProfileResult,
    ChargingProfileResponse,
    ChargingProfileResult,
    SetChargingProfile,
)
from roaming.ocpi.wire_object import Notes, Read

USUAL_TIMEOUT_S = 30
PERIOD = Shape("charging_profile_period", renamed={"startPeriod": "start_period"})
# Some use the names of OCPP, of which OCPI says that its own are taken from.
PROFILE = Shape(
    "charging_profile",
    renamed={
        "charging_profile_periods": "charging_profile_period",
        "chargingSchedulePeriod": "charging_profile_period",
        "chargingRateUnit": "charging_rate_unit",
        "minChargingRate": "min_charging_rate",
        "start_datetime": "start_date_time",
        "startSchedule": "start_date_time",
    },
    lists=frozenset({"charging_profile_period"}),
    inside={"charging_profile_period": PERIOD},
)
SET = Shape("set_charging_profile", inside={"charging_profile": PROFILE})
ACTIVE = Shape(
    "active_charging_profile",
    renamed={"start_datetime": "start_date_time"},
    inside={"charging_profile": PROFILE},
)
RESULT = Shape(
    "charging_profile_result",
    renamed={"active_charging_profile": "profile", "charging_profile": "profile"},
    inside={"profile": ACTIVE},
)
RESPONSE = Shape("charging_profile_response")


def read_set(raw: Any) -> Read[SetChargingProfile]:
    """Raises UnreadableError."""
    notes = Notes()
    return read_shaped(SetChargingProfile, shaped_as(raw, SET, notes), notes)


def read_active(raw: Any) -> Read[ActiveChargingProfile]:
    """Raises UnreadableError."""
    notes = Notes()
    return read_shaped(ActiveChargingProfile, shaped_as(raw, ACTIVE, notes), notes)


def read_response(raw: Any) -> Read[ChargingProfileResponse]:
    """A partner that names no time is given that of most."""
    notes = Notes()
    shaped = shaped_as(raw, RESPONSE, notes)
    if isinstance(shaped, dict) and "timeout" not in shaped:
        notes.add("charging_profile_response.timeout_missing")
        shaped["timeout"] = USUAL_TIMEOUT_S
    return read_shaped(ChargingProfileResponse, shaped, notes)


def read_result(raw: Any) -> Read[ChargingProfileResult]:
    notes = Notes()
    return read_shaped(ChargingProfileResult, shaped_as(_bare(raw, notes), RESULT, notes), notes)


def read_active_result(raw: Any) -> Read[ActiveChargingProfileResult]:
    notes = Notes()
    return read_shaped(ActiveChargingProfileResult, shaped_as(_bare(raw, notes), RESULT, notes), notes)


def _bare(raw: Any, notes: Notes) -> Any:
    """Wrapped in an envelope as some send it (as of commands: ocpi/ocpi issue 437)."""
    if isinstance(raw, dict) and "result" not in raw and isinstance(raw.get("data"), dict):
        notes.add("charging_profile_result.enveloped")
        return raw["data"]
    return raw
