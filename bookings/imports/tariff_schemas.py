"""Tariffs and charging periods in files, in the names of OCPI 2.2.1 and 2.3.0, as values of `bookings.pricing`.

A tariff has 2.3.0's shape where it says `tax_included`, else 2.2.1's, whose prices are without VAT. Fields that are not known
are passed over, null is absent; an element with a restriction or value of one that is not known never applies. kWh, hours,
kW and A; numbers may be text, as networks send them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bookings.pricing.tariff_content import (
    Dimension,
    ElementUse,
    PriceComponent,
    PriceLimit,
    Restrictions,
    TariffContent,
    TariffElement,
    TaxIncluded,
)
from bookings.pricing.visits import ChargingPeriod
from depots.imports.documents import FieldPath

Fault = tuple[FieldPath, str]
MOST_KWH, MOST_HOURS, MOST_FLOW = 1_000_000, 100_000, 100_000
MOST_ELEMENTS, MOST_COMPONENTS, MOST_DIMENSIONS = 500, 20, 50
NUMBER_DECIMALS = 9
_NUMBER = re.compile(r"[+-]?\d{1,12}(\.\d{1,40})?", re.ASCII)
_MOMENT = re.compile(
    r"20\d\d-\d\d-\d\d[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,12})?)?(Z|[+-]\d\d:?[0-5]\d)?", re.ASCII
)
_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)
_DATE = re.compile(r"[12]\d{3}-\d\d-\d\d", re.ASCII)


def _number(given: Any) -> Decimal:
    """A JSON number or the same as text, to nine decimals: what lies behind them is the noise of binary floats."""
    if isinstance(given, bool) or not isinstance(given, int | float | str | Decimal):
        raise ValueError("must be a number")
    text = given.strip() if isinstance(given, str) else format(Decimal(str(given)), "f")
    if not _NUMBER.fullmatch(text):
        raise ValueError("must be a number")
    number = Decimal(text)
    return number if number == number.to_integral_value() else round(number, NUMBER_DECIMALS).normalize()


def _whole(given: Any) -> int:
    number = _number(given)
    if number != int(number):
        raise ValueError("must be a whole number")
    return int(number)


def _moment(given: Any) -> datetime:
    """Any offset from UTC; without one it is UTC."""
    if not isinstance(given, str) or not _MOMENT.fullmatch(given.strip().upper()):
        raise ValueError("must be a time such as 2026-12-01T10:00:00Z")
    try:
        moment = datetime.fromisoformat(given.strip().upper())
    except ValueError as fault:
        raise ValueError("is a day or an offset that does not exist") from fault
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _time_of_day(given: Any) -> time:
    if not isinstance(given, str) or not _TIME_OF_DAY.fullmatch(given):
        raise ValueError("must be a time of day from 00:00 to 23:59")
    return time.fromisoformat(given)


def _date(given: Any) -> date:
    if not isinstance(given, str) or not _DATE.fullmatch(given):
        raise ValueError("must be a date such as 2026-12-01")
    try:
        return date.fromisoformat(given)
    except ValueError as fault:
        raise ValueError("is a day that does not exist") from fault


Money = Annotated[Decimal, BeforeValidator(_number), Field(ge=0, le=1_000_000_000)]
Percentage = Annotated[Decimal, BeforeValidator(_number), Field(ge=0, le=100)]
Kwh = Annotated[Decimal, BeforeValidator(_number), Field(ge=0, le=MOST_KWH)]
Flow = Annotated[Decimal, BeforeValidator(_number), Field(ge=-MOST_FLOW, le=MOST_FLOW)]
Step = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=1_000_000)]
Seconds = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=100_000_000)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]
Date = Annotated[date, BeforeValidator(_date)]


class OcpiRow(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, str_max_length=4000)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, given: Any) -> Any:
        return (
            {name: value for name, value in given.items() if value is not None}
            if isinstance(given, dict)
            else given
        )


class PriceComponentRow(OcpiRow):
    """`step_size` may be missing where it means nothing, in FLAT."""

    type: Literal["ENERGY", "FLAT", "PARKING_TIME", "TIME"]
    price: Money
    vat: Percentage | None = None
    step_size: Annotated[Step | None, Field(validate_default=True)] = None

    @field_validator("step_size")
    @classmethod
    def _of_what_is_measured(cls, step: int | None, info: ValidationInfo) -> int | None:
        if step is None and info.data.get("type", "FLAT") != "FLAT":
            raise ValueError("is missing")
        return step

    def component(self) -> PriceComponent:
        return PriceComponent(Dimension[self.type], self.price, self.vat, self.step_size or 0)


class TariffRestrictionsRow(OcpiRow):
    """Whatever else stands here with a value is a restriction that is not understood."""

    model_config = ConfigDict(extra="allow")

    start_time: TimeOfDay | None = None
    end_time: TimeOfDay | None = None
    start_date: Date | None = None
    end_date: Date | None = None
    min_kwh: Kwh | None = None
    max_kwh: Kwh | None = None
    min_current: Flow | None = None
    max_current: Flow | None = None
    min_power: Flow | None = None
    max_power: Flow | None = None
    min_duration: Seconds | None = None
    max_duration: Seconds | None = None
    day_of_week: list[str] = []
    reservation: str | None = None
    booking: str | None = None

    @property
    def use(self) -> ElementUse:
        if self.booking is not None:
            return BOOKING_USES.get(self.booking, ElementUse.BOOKING)
        if self.reservation is not None:
            return RESERVATION_USES.get(self.reservation, ElementUse.RESERVATION)
        return ElementUse.CHARGING

    def restrictions(self) -> Restrictions:
        return Restrictions(
            start_time=self.start_time,
            end_time=self.end_time,
            start_date=self.start_date,
            end_date=self.end_date,
            weekdays=frozenset(WEEKDAYS[day] for day in self.day_of_week if day in WEEKDAYS),
            min_kwh=self.min_kwh,
            max_kwh=self.max_kwh,
            min_power_kw=self.min_power,
            max_power_kw=self.max_power,
            min_current_a=self.min_current,
            max_current_a=self.max_current,
            min_duration_s=self.min_duration,
            max_duration_s=self.max_duration,
            is_understood=self._is_understood(),
        )

    def _is_understood(self) -> bool:
        """A reservation is no booking, so what is said to be both is neither."""
        return (
            all(value in (None, [], {}) for value in (self.model_extra or {}).values())
            and all(day in WEEKDAYS for day in self.day_of_week)
            and (self.reservation is None or (self.reservation in RESERVATION_USES and self.booking is None))
            and (self.booking is None or self.booking in BOOKING_USES)
        )


class TariffElementRow(OcpiRow):
    price_components: Annotated[list[PriceComponentRow], Field(min_length=1, max_length=MOST_COMPONENTS)]
    restrictions: TariffRestrictionsRow = TariffRestrictionsRow()

    def element(self) -> TariffElement:
        components = tuple(row.component() for row in self.price_components)
        return TariffElement(components, self.restrictions.restrictions(), self.restrictions.use)


class PriceLimitRow(OcpiRow):
    """2.2.1 names the amounts otherwise; networks mix the names."""

    before_taxes: Annotated[Money, Field(validation_alias=AliasChoices("before_taxes", "excl_vat"))]
    after_taxes: Annotated[Money | None, Field(validation_alias=AliasChoices("after_taxes", "incl_vat"))] = (
        None
    )

    @field_validator("after_taxes")
    @classmethod
    def _not_less(cls, after: Decimal | None, info: ValidationInfo) -> Decimal | None:
        before = info.data.get("before_taxes")
        if after is not None and before is not None and after < before:
            raise ValueError("is less than before taxes")
        return after

    def is_below(self, least: PriceLimitRow) -> bool:
        """Before taxes, or after them where both say so: no price would be within the two."""
        after = least.after_taxes
        return self.before_taxes < least.before_taxes or (
            after is not None and self.after_taxes is not None and self.after_taxes < after
        )

    def limit(self) -> PriceLimit:
        return PriceLimit(self.before_taxes, self.after_taxes)


class TariffRow(OcpiRow):
    """What of a tariff is a price. Without `tax_included` it is one of 2.2.1: taxes come on top."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    elements: Annotated[list[TariffElementRow], Field(min_length=1, max_length=MOST_ELEMENTS)]
    min_price: PriceLimitRow | None = None
    max_price: PriceLimitRow | None = None
    tax_included: Literal["YES", "NO", "N/A"] = "NO"

    @field_validator("max_price")
    @classmethod
    def _not_below_the_least(cls, most: PriceLimitRow | None, info: ValidationInfo) -> PriceLimitRow | None:
        least = info.data.get("min_price")
        if most is not None and least is not None and most.is_below(least):
            raise ValueError("is less than min_price")
        return most

    def content(self) -> TariffContent:
        return TariffContent(
            currency=self.currency,
            elements=tuple(row.element() for row in self.elements),
            min_price=self.min_price.limit() if self.min_price else None,
            max_price=self.max_price.limit() if self.max_price else None,
            tax_included=TAX_INCLUDED[self.tax_included],
        )


class DimensionRow(OcpiRow):
    """What is used is never below zero; power and current may be. Other dimensions than those priced are passed over."""

    type: str
    volume: Annotated[Decimal, BeforeValidator(_number)]

    @field_validator("volume")
    @classmethod
    def _within_limits(cls, volume: Decimal, info: ValidationInfo) -> Decimal:
        most = MOST_VOLUMES.get(info.data.get("type", ""))
        if most is not None and volume < 0:
            raise ValueError("must be 0 or more")
        if abs(volume) > (most or MOST_FLOW) and info.data.get("type") in DIMENSIONS:
            raise ValueError(f"must be {most or MOST_FLOW} or less")
        return volume


class ChargingPeriodRow(OcpiRow):
    start_date_time: Moment
    dimensions: Annotated[list[DimensionRow], Field(min_length=1, max_length=MOST_DIMENSIONS)]

    def volumes(self) -> dict[str, Decimal]:
        return {row.type: row.volume for row in self.dimensions if row.type in DIMENSIONS}

    def period(self) -> ChargingPeriod:
        volumes = self.volumes()
        amounts: dict[str, Any] = {
            DIMENSIONS[name]: _seconds(volume) if name in TIMES else volume
            for name, volume in volumes.items()
        }
        return ChargingPeriod(self.start_date_time, **amounts)

    def faults(self) -> Iterator[Fault]:
        """What is there twice, and a reservation in which something is used."""
        seen: set[str] = set()
        for d, row in enumerate(self.dimensions):
            if row.type in DIMENSIONS and row.type in seen:
                yield ("dimensions", d, "type"), f"{row.type} is there twice"
            seen.add(row.type)
        used = [row for row in self.dimensions if row.type in MOST_VOLUMES and row.volume]
        kinds = {row.type.startswith(RESERVATION) for row in used}
        if len(kinds) > 1:
            yield ("dimensions",), "a reservation and what is used after it are periods of their own"


def _seconds(hours: Decimal) -> int:
    return int((hours * 3600).to_integral_value(ROUND_HALF_UP))


TAX_INCLUDED = {"YES": TaxIncluded.YES, "NO": TaxIncluded.NO, "N/A": TaxIncluded.NOT_APPLICABLE}
RESERVATION_USES = {
    "RESERVATION": ElementUse.RESERVATION,
    "RESERVATION_EXPIRES": ElementUse.RESERVATION_EXPIRED,
}
BOOKING_USES = {
    "BOOKING": ElementUse.BOOKING,
    "BOOKING_EXPIRES": ElementUse.NO_SHOW,
    "BOOKING_CANCELLATION_FEES": ElementUse.LATE_CANCELLATION,
    "BOOKING_OVERTIME": ElementUse.OVERTIME,
}
WEEKDAYS = {
    name: number
    for number, name in enumerate(
        ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"), start=1
    )
}
DIMENSIONS = {
    "ENERGY": "energy_kwh",
    "TIME": "charging_s",
    "PARKING_TIME": "parking_s",
    "RESERVATION_TIME": "reserved_s",
    "RESERVATION_EXPIRES": "expired_s",
    "POWER": "power_kw",
    "MIN_POWER": "min_power_kw",
    "MAX_POWER": "max_power_kw",
    "CURRENT": "current_a",
    "MIN_CURRENT": "min_current_a",
    "MAX_CURRENT": "max_current_a",
}
RESERVATION = "RESERVATION_"
TIMES = frozenset({"TIME", "PARKING_TIME", "RESERVATION_TIME", "RESERVATION_EXPIRES"})
MOST_VOLUMES = {"ENERGY": MOST_KWH, **dict.fromkeys(TIMES, MOST_HOURS)}
