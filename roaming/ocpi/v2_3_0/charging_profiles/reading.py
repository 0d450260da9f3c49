"""What partners really send of ChargingProfiles, brought into the shape of 2.3.0."""

from __future__ import annotations

from typing import Any

from roaming.ocpi.asynchronous import bare, with_timeout
from roaming.ocpi.shapes import Shape, read_shaped, shaped_as
from roaming.ocpi.v2_3_0.charging_profiles.schemas import (
    ActiveChargingProfile,
    ActiveChargingProfileResult,
    ChargingProfileResponse,
    ChargingProfileResult,
    SetChargingProfile,
)
from roaming.ocpi.wire_object import Notes, Read

KIND = "charging_profile_result"
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
    notes = Notes()
    shaped = with_timeout(shaped_as(raw, RESPONSE, notes), "charging_profile_response", notes)
    return read_shaped(ChargingProfileResponse, shaped, notes)


def read_result(raw: Any) -> Read[ChargingProfileResult]:
    notes = Notes()
    return read_shaped(ChargingProfileResult, shaped_as(bare(raw, KIND, notes), RESULT, notes), notes)


def read_active_result(raw: Any) -> Read[ActiveChargingProfileResult]:
    notes = Notes()
    return read_shaped(ActiveChargingProfileResult, shaped_as(bare(raw, KIND, notes), RESULT, notes), notes)
