"""Versions of tariffs, and amounts, as OCPI has them: tables and pure functions, without queries."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from bookings.models import TariffVersion
from bookings.pricing import tariff_content as ours
from bookings.pricing.bills import Amount
from bookings.pricing.tariff_content import Dimension, ElementUse, TariffContent
from roaming.ocpi.v2_3_0.tariffs import schemas
from roaming.ocpi.v2_3_0.tariffs.schemas import (
    BookingRestriction,
    DayOfWeek,
    DimensionType,
    ReservationRestriction,
    TaxIncluded,
)

DIMENSION: dict[Dimension, DimensionType] = {
    Dimension.FLAT: DimensionType.FLAT,
    Dimension.ENERGY: DimensionType.ENERGY,
    Dimension.TIME: DimensionType.TIME,
    Dimension.PARKING_TIME: DimensionType.PARKING_TIME,
}
TAX_INCLUDED: dict[ours.TaxIncluded, TaxIncluded] = {
    ours.TaxIncluded.YES: TaxIncluded.YES,
    ours.TaxIncluded.NO: TaxIncluded.NO,
    ours.TaxIncluded.NOT_APPLICABLE: TaxIncluded.NOT_APPLICABLE,
}
# The restriction by which an element says what it is the price of; charging has none.
USE: dict[ElementUse, dict[str, Any]] = {
    ElementUse.CHARGING: {},
    ElementUse.RESERVATION: {"reservation": ReservationRestriction.RESERVATION},
    ElementUse.RESERVATION_EXPIRED: {"reservation": ReservationRestriction.RESERVATION_EXPIRES},
    ElementUse.BOOKING: {"booking": BookingRestriction.BOOKING},
    ElementUse.NO_SHOW: {"booking": BookingRestriction.BOOKING_EXPIRES},
    ElementUse.LATE_CANCELLATION: {"booking": BookingRestriction.BOOKING_CANCELLATION_FEES},
    ElementUse.OVERTIME: {"booking": BookingRestriction.BOOKING_OVERTIME},
}
# 1 is Monday.
DAYS = dict(enumerate(DayOfWeek, start=1))


def tariff_out(version: TariffVersion, content: TariffContent) -> schemas.Tariff:
    """One version of a tariff, with its operator at hand. What nobody here understands is left out: without its restriction
    it would be charged on every session."""
    operator = version.tariff.operator
    return schemas.Tariff(
        country_code=operator.country_code.upper(),
        party_id=operator.cpo_party_id.upper(),
        id=version.tariff.code,
        currency=content.currency,
        min_price=_limit_out(content.min_price),
        max_price=_limit_out(content.max_price),
        elements=[
            _element_out(element) for element in content.elements if element.restrictions.is_understood
        ],
        tax_included=TAX_INCLUDED[content.tax_included],
        start_date_time=version.starts_at,
        end_date_time=version.ends_at,
        last_updated=max(version.made_at, version.starts_at or version.made_at),
    )


def price_out(amount: Amount, sign: int = 1) -> schemas.Price:
    return schemas.Price(
        before_taxes=amount.before_taxes * sign,
        taxes=[
            schemas.TaxAmount(name=tax.name, percentage=tax.percentage, amount=tax.amount * sign)
            for tax in amount.taxes
        ],
    )


def _element_out(element: ours.TariffElement) -> schemas.TariffElement:
    restrictions = _restrictions_out(element.restrictions) | USE[element.use]
    return schemas.TariffElement(
        price_components=[
            schemas.PriceComponent(
                type=DIMENSION[component.dimension],
                price=component.price,
                vat=component.vat,
                step_size=component.step,
            )
            for component in element.components
        ],
        restrictions=schemas.TariffRestrictions(**restrictions) if restrictions else None,
    )


def _restrictions_out(held: ours.Restrictions) -> dict[str, Any]:
    told: dict[str, Any] = {
        "start_time": held.start_time and f"{held.start_time:%H:%M}",
        "end_time": held.end_time and f"{held.end_time:%H:%M}",
        "start_date": held.start_date,
        "end_date": held.end_date,
        "min_kwh": held.min_kwh,
        "max_kwh": held.max_kwh,
        "min_current": held.min_current_a,
        "max_current": held.max_current_a,
        "min_power": held.min_power_kw,
        "max_power": held.max_power_kw,
        "min_duration": held.min_duration_s,
        "max_duration": held.max_duration_s,
        "day_of_week": [DAYS[day] for day in sorted(held.weekdays)] or None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _limit_out(limit: ours.PriceLimit | None) -> schemas.PriceLimit | None:
    if limit is None:
        return None
    after: Decimal | None = limit.after_taxes
    return schemas.PriceLimit(before_taxes=limit.before_taxes, after_taxes=after)
