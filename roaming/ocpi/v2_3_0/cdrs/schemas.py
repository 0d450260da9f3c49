"""Charge detail records (OCPI 2.3.0 mod_cdrs; `booking_id` and dimensions of bookings by Bookings 1.1)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from roaming.ocpi.field_types import (
    CountryCode,
    Id36,
    Id39,
    Id48,
    PartyId,
    Text10,
    Text45,
    Text255,
)
from roaming.ocpi.times import Moment
from roaming.ocpi.v2_3_0.bookings.schemas import ConnectorFormat, PowerType
from roaming.ocpi.v2_3_0.locations.schemas import GeoLocation
from roaming.ocpi.v2_3_0.tariffs.schemas import Amount, Currency, Price, Tariff
from roaming.ocpi.wire_object import WireObject


class AuthMethod(StrEnum):
    AUTH_REQUEST = "AUTH_REQUEST"
    COMMAND = "COMMAND"
    WHITELIST = "WHITELIST"


class CdrDimensionType(StrEnum):
    """Those after TIME are of running sessions only."""

    ENERGY = "ENERGY"
    MAX_CURRENT = "MAX_CURRENT"
    MIN_CURRENT = "MIN_CURRENT"
    MAX_POWER = "MAX_POWER"
    MIN_POWER = "MIN_POWER"
    PARKING_TIME = "PARKING_TIME"
    RESERVATION_TIME = "RESERVATION_TIME"
    RESERVATION_EXPIRES = "RESERVATION_EXPIRES"
    RESERVATION_OVERTIME = "RESERVATION_OVERTIME"
    TIME = "TIME"
    CURRENT = "CURRENT"
    ENERGY_EXPORT = "ENERGY_EXPORT"
    ENERGY_IMPORT = "ENERGY_IMPORT"
    POWER = "POWER"
    STATE_OF_CHARGE = "STATE_OF_CHARGE"


class CdrToken(WireObject):
    country_code: CountryCode
    party_id: PartyId
    uid: Id36
    type: str
    contract_id: Id36


class CdrLocation(WireObject):
    """Without an EVSE (a booking nobody used, never assigned) its ids are `#NA` and the plug says nothing."""

    id: Id36
    name: Text255 | None = None
    address: Text255
    city: Text45
    postal_code: Text10 | None = None
    country: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    coordinates: GeoLocation
    evse_uid: Id36
    evse_id: Id48
    connector_id: Id36
    connector_standard: str
    connector_format: ConnectorFormat
    connector_power_type: PowerType


class CdrDimension(WireObject):
    """kWh, kW, A, hours or percent."""

    type: CdrDimensionType
    volume: Amount


class ChargingPeriod(WireObject):
    start_date_time: Moment
    dimensions: Annotated[list[CdrDimension], Field(min_length=1)]
    tariff_id: Id36 | None = None


LONGEST_PLAIN = LONGEST_SIGNED = 5000  # edition 2; 512 of plain data before


class SignedValue(WireObject):
    """`nature`: Start, End or Intermediate."""

    nature: Annotated[str, Field(max_length=32)]
    plain_data: Annotated[str, Field(max_length=LONGEST_PLAIN)]
    signed_data: Annotated[str, Field(max_length=LONGEST_SIGNED)]


class SignedData(WireObject):
    encoding_method: Id36
    public_key: Annotated[str, Field(max_length=512)] | None = None
    signed_values: Annotated[list[SignedValue], Field(min_length=1)]


class Cdr(WireObject):
    """Times in hours. Only `total_cost` of a credit is below zero; a session is named unless there was none."""

    country_code: CountryCode
    party_id: PartyId
    id: Id39
    start_date_time: Moment
    end_date_time: Moment
    booking_id: Id36 | None = None
    session_id: Id36 | None = None
    cdr_token: CdrToken
    auth_method: AuthMethod
    authorization_reference: Id36 | None = None
    cdr_location: CdrLocation
    currency: Currency
    tariffs: list[Tariff] = Field(default_factory=list)
    charging_periods: Annotated[list[ChargingPeriod], Field(min_length=1)]
    signed_data: SignedData | None = None
    total_cost: Price
    total_fixed_cost: Price | None = None
    total_energy: Amount
    total_energy_cost: Price | None = None
    total_time: Amount
    total_time_cost: Price | None = None
    total_parking_time: Amount | None = None
    total_parking_cost: Price | None = None
    total_reservation_cost: Price | None = None
    remark: Text255 | None = None
    invoice_reference_id: Id39 | None = None
    credit: bool | None = None
    credit_reference_id: Id39 | None = None
    last_updated: Moment
