"""Sessions (OCPI 2.3.0 mod_sessions)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from roaming.ocpi.field_types import CountryCode, Flag, Id36, Number, PartyId, Text255, one_of
from roaming.ocpi.times import Moment
from roaming.ocpi.v2_3_0.cdrs.schemas import AuthMethod, CdrToken, ChargingPeriod
from roaming.ocpi.v2_3_0.tariffs.schemas import Amount, Currency, Price
from roaming.ocpi.wire_object import WireObject


class SessionStatus(StrEnum):
    """The specification's prose calls RESERVATION "RESERVED" as well."""

    ACTIVE = "ACTIVE"
    COMPLETED = "COMPLETED"
    INVALID = "INVALID"
    PENDING = "PENDING"
    RESERVATION = "RESERVATION"


class ProfileType(StrEnum):
    CHEAP = "CHEAP"
    FAST = "FAST"
    GREEN = "GREEN"
    REGULAR = "REGULAR"


class ChargingPreferencesResponse(StrEnum):
    ACCEPTED = "ACCEPTED"
    DEPARTURE_REQUIRED = "DEPARTURE_REQUIRED"
    ENERGY_NEED_REQUIRED = "ENERGY_NEED_REQUIRED"
    NOT_POSSIBLE = "NOT_POSSIBLE"
    PROFILE_TYPE_NOT_SUPPORTED = "PROFILE_TYPE_NOT_SUPPORTED"


class Session(WireObject):
    country_code: CountryCode
    party_id: PartyId
    id: Id36
    start_date_time: Moment
    end_date_time: Moment | None = None
    kwh: Amount
    cdr_token: CdrToken
    auth_method: Annotated[AuthMethod, one_of(AuthMethod, unknown=AuthMethod.WHITELIST)]
    authorization_reference: Id36 | None = None
    location_id: Id36
    evse_uid: Id36
    connector_id: Id36
    meter_id: Text255 | None = None
    currency: Currency
    charging_periods: list[ChargingPeriod] = Field(default_factory=list)
    total_cost: Price | None = None
    status: Annotated[SessionStatus, one_of(SessionStatus, also={"RESERVED": "RESERVATION"})]
    last_updated: Moment


class ChargingPreferences(WireObject):
    """`energy_need` in kWh."""

    is_ask: ClassVar[bool] = True

    profile_type: Annotated[ProfileType, one_of(ProfileType)]
    departure_time: Moment | None = None
    energy_need: Number | None = None
    discharge_allowed: Flag | None = None
