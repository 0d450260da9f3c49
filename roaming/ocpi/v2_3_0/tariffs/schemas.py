"""Tariffs and prices (OCPI 2.3.0 mod_tariffs, types; restrictions on bookings by Bookings 1.1)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import Field, PlainSerializer

from roaming.ocpi.field_types import CountryCode, Id36, PartyId, Text255, WallTime
from roaming.ocpi.times import Moment
from roaming.ocpi.wire_object import WireObject


def _number(amount: Decimal) -> int | float:
    return int(amount) if amount == amount.to_integral_value() else float(amount)


Amount = Annotated[Decimal, PlainSerializer(_number, return_type=int | float)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class TaxIncluded(StrEnum):
    YES = "YES"
    NO = "NO"
    NOT_APPLICABLE = "N/A"


class DimensionType(StrEnum):
    ENERGY = "ENERGY"
    FLAT = "FLAT"
    PARKING_TIME = "PARKING_TIME"
    TIME = "TIME"


class ReservationRestriction(StrEnum):
    RESERVATION = "RESERVATION"
    RESERVATION_EXPIRES = "RESERVATION_EXPIRES"


class BookingRestriction(StrEnum):
    BOOKING = "BOOKING"
    BOOKING_EXPIRES = "BOOKING_EXPIRES"
    BOOKING_CANCELLATION_FEES = "BOOKING_CANCELLATION_FEES"
    BOOKING_OVERTIME = "BOOKING_OVERTIME"


class DayOfWeek(StrEnum):
    MONDAY = "MONDAY"
    TUESDAY = "TUESDAY"
    WEDNESDAY = "WEDNESDAY"
    THURSDAY = "THURSDAY"
    FRIDAY = "FRIDAY"
    SATURDAY = "SATURDAY"
    SUNDAY = "SUNDAY"


class TaxAmount(WireObject):
    name: Text255
    percentage: Amount | None = None
    amount: Amount


class Price(WireObject):
    """`taxes` has one entry a rate, and none where no tax is told."""

    before_taxes: Amount
    taxes: list[TaxAmount] = Field(default_factory=list)


class PriceLimit(WireObject):
    before_taxes: Amount
    after_taxes: Amount | None = None


class PriceComponent(WireObject):
    """Prices are a kWh or an hour, steps Wh or seconds."""

    type: DimensionType
    price: Amount
    vat: Amount | None = None
    step_size: int


class TariffRestrictions(WireObject):
    """Power in kW, energy in kWh, durations in seconds; times are local."""

    start_time: WallTime | None = None
    end_time: WallTime | None = None
    start_date: date | None = None
    end_date: date | None = None
    min_kwh: Amount | None = None
    max_kwh: Amount | None = None
    min_current: Amount | None = None
    max_current: Amount | None = None
    min_power: Amount | None = None
    max_power: Amount | None = None
    min_duration: int | None = None
    max_duration: int | None = None
    day_of_week: list[DayOfWeek] = Field(default_factory=list)
    reservation: ReservationRestriction | None = None
    booking: BookingRestriction | None = None


class TariffElement(WireObject):
    price_components: list[PriceComponent]
    restrictions: TariffRestrictions | None = None


class Tariff(WireObject):
    country_code: CountryCode
    party_id: PartyId
    id: Id36
    currency: Currency
    min_price: PriceLimit | None = None
    max_price: PriceLimit | None = None
    elements: list[TariffElement]
    tax_included: TaxIncluded
    start_date_time: Moment | None = None
    end_date_time: Moment | None = None
    last_updated: Moment
