"""ChargingProfiles (OCPI 2.3.0 mod_charging_profiles), the same in 2.2.1."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from roaming.ocpi.field_types import Number, Url, Whole, one_of
from roaming.ocpi.times import Moment
from roaming.ocpi.wire_object import WireObject

MOST_PERIODS = 1024


class ChargingRateUnit(StrEnum):
    """`A` is of each phase."""

    W = "W"
    A = "A"


class ChargingProfileResponseType(StrEnum):
    ACCEPTED = "ACCEPTED"
    NOT_SUPPORTED = "NOT_SUPPORTED"
    REJECTED = "REJECTED"
    TOO_OFTEN = "TOO_OFTEN"
    UNKNOWN_SESSION = "UNKNOWN_SESSION"


class ChargingProfileResultType(StrEnum):
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"


class ChargingProfilePeriod(WireObject):
    """`start_period` in seconds from the start of the profile."""

    start_period: Whole
    limit: Number


class ChargingProfile(WireObject):
    """Without `start_date_time` from the start of charging; `duration` in seconds, without it to the end of the session."""

    is_ask: ClassVar[bool] = True

    start_date_time: Moment | None = None
    duration: Whole | None = None
    charging_rate_unit: Annotated[ChargingRateUnit, one_of(ChargingRateUnit)]
    min_charging_rate: Number | None = None
    charging_profile_period: list[ChargingProfilePeriod] = Field(
        default_factory=list, max_length=MOST_PERIODS
    )


class SetChargingProfile(WireObject):
    is_ask: ClassVar[bool] = True

    charging_profile: ChargingProfile
    response_url: Url


class ActiveChargingProfile(WireObject):
    """What a charge point has calculated, seconds in it being from `start_date_time`. Read whole or not at all: with a period
    left out it would say something else."""

    is_ask: ClassVar[bool] = True

    start_date_time: Moment
    charging_profile: ChargingProfile


class ChargingProfileResponse(WireObject):
    """`timeout` in seconds: after it no result comes any more."""

    result: Annotated[ChargingProfileResponseType, one_of(ChargingProfileResponseType)]
    timeout: Whole


class ChargingProfileResult(WireObject):
    """Of a PUT, and of a DELETE (ClearProfileResult)."""

    result: Annotated[ChargingProfileResultType, one_of(ChargingProfileResultType)]


class ActiveChargingProfileResult(ChargingProfileResult):
    is_ask: ClassVar[bool] = True

    profile: ActiveChargingProfile | None = None
