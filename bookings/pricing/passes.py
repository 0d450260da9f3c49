"""A tariff made ready for one pass: of each dimension its components in order, and which of them is in force when.

Between two moments at which a restriction changes its answer the same components are in force; so a session is walked from
change to change and not from element to element, and what is in force under one set of answers is worked out once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from math import gcd
from typing import Any

from bookings.pricing.clock import Clock, ClockCondition
from bookings.pricing.tariff_content import (
    Dimension,
    ElementUse,
    PriceComponent,
    Restrictions,
    TariffContent,
    TaxIncluded,
)
from bookings.pricing.visits import ChargingPeriod

BELOW_ALL, ABOVE_ALL = Decimal("-Infinity"), Decimal("Infinity")
SECONDS_AN_HOUR = 3600
# Sets of answers kept a pass; a tariff of ordinary size never has as many.
MOST_KNOWN = 10_000
_UNITS = {Dimension.TIME: SECONDS_AN_HOUR, Dimension.PARKING_TIME: SECONDS_AN_HOUR}
# An expired reservation and a no-show are priced by the other use in each dimension they have no element for.
_INSTEAD = {
    ElementUse.RESERVATION_EXPIRED: ElementUse.RESERVATION,
    ElementUse.NO_SHOW: ElementUse.BOOKING,
}


@dataclass(frozen=True, slots=True, eq=False)
class PricedComponent:
    """A component at its place in the tariff. One kWh, second or piece costs `net / scale`, and `tax / scale` on top.

    `rate` names the tax, None without one; `place` is that of element and dimension, for an order of lines.
    """

    use: ElementUse
    element: int
    component: PriceComponent
    restrictions: Restrictions
    condition: ClockCondition | None
    net: int
    tax: int
    scale: int
    rate: str | None
    place: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class InForce:
    """The component that prices each dimension at a moment."""

    flat: PricedComponent | None
    energy: PricedComponent | None
    time: PricedComponent | None
    parking: PricedComponent | None


Columns = dict[Dimension, list[PricedComponent]]
# How many limits of least power, greatest power, least and greatest current are reached; None where there is no value.
Flows = tuple[int | None, ...]


@lru_cache(maxsize=8192)
def pass_rules(content: TariffContent, use: ElementUse) -> PassRules | None:
    """None where no element of the tariff is of that use."""
    columns: Columns = {}
    for dimension in _dimensions(use):
        found = _components(content, use, dimension)
        if not found and use in _INSTEAD:
            found = _components(content, _INSTEAD[use], dimension)
        if found:
            columns[dimension] = found
    return PassRules(columns) if columns else None


class PassRules:
    """What a pass asks: the clock, and the limits at which kWh, duration, power and current change an answer."""

    def __init__(self, columns: Columns) -> None:
        every = [priced for column in columns.values() for priced in column]
        asked = [priced.restrictions for priced in every]
        self.clock = Clock(list({priced.condition for priced in every if priced.condition is not None}))
        self.durations_s = _limits(asked, "min_duration_s", "max_duration_s")
        self.kwhs = _limits(asked, "min_kwh", "max_kwh")
        self.flow_limits = tuple(_limits(asked, name) for name in _FLOWS)
        self._flows = [
            (limits, of if limits else None)
            for limits, of in zip(self.flow_limits, _FLOWS.values(), strict=True)
        ]
        self.asks_flow = any(self.flow_limits)
        self.asks_current = any(self.flow_limits[2:])
        self.may_begin_at_the_end = any(
            priced.restrictions.min_duration_s or priced.restrictions.min_kwh
            for priced in columns.get(Dimension.FLAT, ())
        )
        self.columns = columns
        self._known: dict[tuple[Any, ...], InForce] = {}

    def in_force(self, holding: int, duration: int, kwh: int, flows: Flows) -> InForce:
        """By the clock's answer and, of each other restriction, how many of its limits are reached (None: no value)."""
        key = (holding, duration, kwh, flows)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            found = self._known[key] = self._find(*key)
        return found

    def _find(self, holding: int, duration: int, kwh: int, flows: Flows) -> InForce:
        moment = _Moment(
            holding={condition for bit, condition in enumerate(self.clock.conditions) if holding >> bit & 1},
            duration_s=_reached(self.durations_s, duration),
            kwh=_reached(self.kwhs, kwh),
            flows={
                name: None if flow is None else _reached(limits, flow)
                for name, limits, flow in zip(_FLOWS, self.flow_limits, flows, strict=True)
            },
        )
        return InForce(
            *(
                next((priced for priced in self.columns.get(dimension, ()) if moment.fits(priced)), None)
                for dimension in Dimension
            )
        )

    def flows(self, period: ChargingPeriod, length: timedelta) -> Flows:
        return tuple(
            [None if of is None else _place(limits, of(period, length)) for limits, of in self._flows]
        )

    def power_bands(self, flows: Flows) -> tuple[Decimal, Decimal, Decimal, Decimal]:
        """From and until which least and greatest power answer as `flows` says."""
        least, greatest = self.flow_limits[:2]
        return (*_band(least, flows[0]), *_band(greatest, flows[1]))


@dataclass(frozen=True, slots=True)
class _Moment:
    """The limits last reached; between two limits no answer changes, so the lower stands for all values there."""

    holding: set[ClockCondition]
    duration_s: Any
    kwh: Any
    flows: dict[str, Any]

    def fits(self, priced: PricedComponent) -> bool:
        asked = priced.restrictions
        return (
            (priced.condition is None or priced.condition in self.holding)
            and _within(self.duration_s, asked.min_duration_s, asked.max_duration_s)
            and _within(self.kwh, asked.min_kwh, asked.max_kwh)
            and _within(self.flows["min_power_kw"], asked.min_power_kw, None)
            and _within(self.flows["max_power_kw"], None, asked.max_power_kw)
            and _within(self.flows["min_current_a"], asked.min_current_a, None)
            and _within(self.flows["max_current_a"], None, asked.max_current_a)
        )


def _within(value: Any, least: Any, below: Any) -> bool:
    if value is None:
        return least is None and below is None
    return (least is None or least <= value) and (below is None or value < below)


def _dimensions(use: ElementUse) -> Iterable[Dimension]:
    return Dimension if use is ElementUse.CHARGING else (Dimension.FLAT, Dimension.TIME)


def _components(content: TariffContent, use: ElementUse, dimension: Dimension) -> list[PricedComponent]:
    return [
        _priced(component, index, element.use, element.restrictions, content.tax_included)
        for index, element in enumerate(content.elements)
        if element.use is use and _can_hold(element.restrictions, use)
        for component in element.components
        if component.dimension is dimension
    ]


def _can_hold(asked: Restrictions, use: ElementUse) -> bool:
    """Nothing flows in a reservation or a booking, so what asks for power or current never holds there."""
    if use is not ElementUse.CHARGING and any(getattr(asked, name) is not None for name in _FLOWS):
        return False
    return asked.is_understood


def _priced(
    component: PriceComponent, index: int, use: ElementUse, restrictions: Restrictions, included: TaxIncluded
) -> PricedComponent:
    price, price_scale = component.price.as_integer_ratio()
    taxed = component.vat is not None and included is not TaxIncluded.NOT_APPLICABLE
    vat, vat_scale = component.vat.as_integer_ratio() if taxed and component.vat else (0, 1)
    whole = 100 * vat_scale
    scale = price_scale * _UNITS.get(component.dimension, 1)
    scale *= whole + vat if included is TaxIncluded.YES else whole
    common = gcd(price * whole, price * vat, scale)
    return PricedComponent(
        use=use,
        element=index,
        component=component,
        restrictions=restrictions,
        condition=ClockCondition.of(restrictions),
        net=price * whole // common,
        tax=price * vat // common,
        scale=scale // common,
        rate=format(component.vat.normalize(), "f") if taxed and component.vat is not None else None,
        place=(index, list(Dimension).index(component.dimension)),
    )


def _limits(asked: list[Restrictions], *names: str) -> tuple[Any, ...]:
    found = {getattr(restrictions, name) for restrictions in asked for name in names}
    return tuple(sorted(found - {None}))


def _place(limits: tuple[Decimal, ...], value: Decimal | None) -> int | None:
    return None if value is None else bisect_right(limits, value)


def _reached(limits: tuple[Any, ...], count: int) -> Any:
    return limits[count - 1] if count else BELOW_ALL


def _band(limits: tuple[Decimal, ...], reached: int | None) -> tuple[Decimal, Decimal]:
    """Without limits every value is within, without a value none."""
    if not limits:
        return BELOW_ALL, ABOVE_ALL
    if reached is None:
        return BELOW_ALL, BELOW_ALL
    return (BELOW_ALL, *limits, ABOVE_ALL)[reached], (*limits, ABOVE_ALL)[reached]


def _mean_kw(period: ChargingPeriod, length: timedelta) -> Decimal | None:
    seconds = length // timedelta(seconds=1)
    return period.energy_kwh * SECONDS_AN_HOUR / seconds if seconds else None


def _least_power(period: ChargingPeriod, length: timedelta) -> Decimal | None:
    for value in (period.min_power_kw, period.power_kw, period.max_power_kw):
        if value is not None:
            return value
    return _mean_kw(period, length)


def _greatest_power(period: ChargingPeriod, length: timedelta) -> Decimal | None:
    for value in (period.max_power_kw, period.power_kw, period.min_power_kw):
        if value is not None:
            return value
    return _mean_kw(period, length)


def _least_current(period: ChargingPeriod, _: timedelta) -> Decimal | None:
    values = (period.min_current_a, period.current_a, period.max_current_a)
    return next((value for value in values if value is not None), None)


def _greatest_current(period: ChargingPeriod, _: timedelta) -> Decimal | None:
    values = (period.max_current_a, period.current_a, period.min_current_a)
    return next((value for value in values if value is not None), None)


# Each restriction of what flows with the value of a period it compares with.
_FLOWS = {
    "min_power_kw": _least_power,
    "max_power_kw": _greatest_power,
    "min_current_a": _least_current,
    "max_current_a": _greatest_current,
}
