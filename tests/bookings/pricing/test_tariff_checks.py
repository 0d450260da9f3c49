"""A tariff that prices below zero, two ways or not at all is refused by field, or warned of where OCPI allows it."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from typing import Any

import pytest

from bookings.pricing.tariff_checks import TariffFault, faults, includes, warnings
from bookings.pricing.tariff_content import (
    Dimension,
    ElementUse,
    PriceComponent,
    PriceLimit,
    Restrictions,
    TariffContent,
    TariffElement,
)

ENERGY = PriceComponent(Dimension.ENERGY, Decimal("0.40"))
TIME = PriceComponent(Dimension.TIME, Decimal(4))
FLAT = PriceComponent(Dimension.FLAT, Decimal(5))


def element(
    *components: PriceComponent, use: ElementUse = ElementUse.CHARGING, **restrictions: Any
) -> TariffElement:
    return TariffElement(components or (ENERGY,), Restrictions(**restrictions), use)


def tariff(*elements: TariffElement, currency: str = "EUR", **limits: PriceLimit) -> TariffContent:
    return TariffContent(currency, elements or (element(),), **limits)


def where(found: list[TariffFault]) -> list[tuple[str, int | None, int | None]]:
    return [(fault.field, fault.element, fault.component) for fault in found]


def limit(before: str, after: str | None = None) -> PriceLimit:
    return PriceLimit(Decimal(before), None if after is None else Decimal(after))


REFUSED: dict[str, tuple[TariffContent, tuple[str, int | None, int | None]]] = {
    "no such currency": (tariff(currency="EUX"), ("currency", None, None)),
    "a currency in small letters": (tariff(currency="eur"), ("currency", None, None)),
    "the code of none": (tariff(currency="XXX"), ("currency", None, None)),
    "nothing": (TariffContent("EUR", ()), ("elements", None, None)),
    "no price": (tariff(TariffElement(())), ("components", 0, None)),
    "below zero": (tariff(element(), element(PriceComponent(Dimension.TIME, Decimal(-1)))), ("price", 1, 0)),
    "beyond all bounds": (tariff(element(PriceComponent(Dimension.TIME, Decimal("1e9")))), ("price", 0, 0)),
    "tax below zero": (tariff(element(PriceComponent(Dimension.TIME, Decimal(1), Decimal(-1)))), ("vat", 0, 0)),
    "tax of all": (tariff(element(PriceComponent(Dimension.TIME, Decimal(1), Decimal(101)))), ("vat", 0, 0)),
    "a step back": (tariff(element(PriceComponent(Dimension.TIME, Decimal(1), step=-1))), ("step", 0, 0)),
    "at least below zero": (tariff(min_price=limit("-1")), ("min_price", None, None)),
    "at most below zero": (tariff(max_price=limit("-1")), ("max_price", None, None)),
    "less with taxes": (tariff(max_price=limit("10", "9")), ("max_price", None, None)),
    "at most less than at least": (
        tariff(min_price=limit("10"), max_price=limit("9")), ("max_price", None, None),
    ),
    "the same with taxes": (
        tariff(min_price=limit("5", "10"), max_price=limit("6", "9")), ("max_price", None, None),
    ),
    "both kinds": (tariff(element(), element(FLAT, use=ElementUse.BOOKING)), ("use", 1, None)),
    "energy of a booking": (tariff(element(use=ElementUse.NO_SHOW)), ("dimension", 0, 0)),
    "energy of a reservation": (tariff(element(use=ElementUse.RESERVATION)), ("dimension", 0, 0)),
    "parking of a booking": (
        tariff(element(PriceComponent(Dimension.PARKING_TIME, Decimal(1)), use=ElementUse.OVERTIME)),
        ("dimension", 0, 0),
    ),
    "kWh from below zero": (tariff(element(min_kwh=Decimal(-1))), ("min_kwh", 0, None)),
    "no kWh": (tariff(element(min_kwh=Decimal(10), max_kwh=Decimal(10))), ("max_kwh", 0, None)),
    "up to no kWh": (tariff(element(max_kwh=Decimal(0))), ("max_kwh", 0, None)),
    "no power": (tariff(element(min_power_kw=Decimal(9), max_power_kw=Decimal(3))), ("max_power_kw", 0, None)),
    "no current": (tariff(element(min_current_a=Decimal(9), max_current_a=Decimal(3))), ("max_current_a", 0, None)),
    "no duration": (tariff(element(min_duration_s=60, max_duration_s=60)), ("max_duration_s", 0, None)),
    "no day": (
        tariff(element(start_date=date(2026, 12, 1), end_date=date(2026, 12, 1))), ("end_date", 0, None),
    ),
    "power of a booking": (
        tariff(element(FLAT, use=ElementUse.BOOKING, min_power_kw=Decimal(100))), ("min_power_kw", 0, None),
    ),
    "nothing that is understood": (tariff(element(is_understood=False)), ("elements", None, None)),
}  # fmt: skip


@pytest.mark.parametrize(("content", "place"), REFUSED.values(), ids=REFUSED.keys())
def test_what_prices_below_zero_or_never_is_refused_by_field(content, place):
    assert where(faults(content)) == [place]


def test_what_is_free_or_odd_but_clear_is_not_refused():
    content = tariff(
        element(PriceComponent(Dimension.ENERGY, Decimal(0)), start_time=time(22), end_time=time(6)),
        element(PriceComponent(Dimension.ENERGY, Decimal("0.4"), Decimal(19), step=1000), weekdays=frozenset({6, 7})),
        element(TIME, PriceComponent(Dimension.PARKING_TIME, Decimal(6)), min_duration_s=3600),
        element(FLAT, use=ElementUse.RESERVATION),
        min_price=limit("1", "1.19"), max_price=limit("100"),
    )  # fmt: skip

    assert (faults(content), warnings(content)) == ([], [])


WARNED = {
    "time of a cancellation": (tariff(element(TIME, use=ElementUse.LATE_CANCELLATION)), ("dimension", 0, 0)),
    "the same twice": (tariff(element(ENERGY, ENERGY)), ("dimension", 0, 1)),
    "behind one that always holds": (tariff(element(), element(min_kwh=Decimal(5))), ("dimension", 1, 0)),
    "behind one that holds longer": (
        tariff(element(TIME, weekdays=frozenset({1, 2})), element(TIME, weekdays=frozenset({2}))),
        ("dimension", 1, 0),
    ),
    "not understood": (tariff(element(), element(is_understood=False)), ("restrictions", 1, None)),
}


@pytest.mark.parametrize(("content", "place"), WARNED.values(), ids=WARNED.keys())
def test_what_ocpi_allows_and_nobody_means_is_pointed_out(content, place):
    assert (where(faults(content)), where(warnings(content))) == ([], [place])


def test_an_element_of_another_use_or_dimension_hides_nothing():
    assert warnings(tariff(element(TIME), element(ENERGY))) == []
    assert warnings(tariff(element(TIME, use=ElementUse.RESERVATION), element(TIME))) == []


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ({}, {"start_time": time(22)}),
        ({"weekdays": frozenset({1, 2})}, {"weekdays": frozenset({1})}),
        ({"min_kwh": Decimal(1)}, {"min_kwh": Decimal(2)}),
        ({"max_kwh": Decimal(2)}, {"max_kwh": Decimal(1)}),
        ({"min_power_kw": Decimal(1)}, {"min_power_kw": Decimal(2)}),
        ({"max_power_kw": Decimal(2)}, {"max_power_kw": Decimal(1)}),
        ({"min_current_a": Decimal(1)}, {"min_current_a": Decimal(2)}),
        ({"max_current_a": Decimal(2)}, {"max_current_a": Decimal(1)}),
        ({"min_duration_s": 1}, {"min_duration_s": 2}),
        ({"max_duration_s": 2}, {"max_duration_s": 1}),
        ({"start_date": date(2026, 1, 1)}, {"start_date": date(2026, 2, 1)}),
        ({"end_date": date(2026, 2, 1)}, {"end_date": date(2026, 1, 1)}),
    ],
    ids=str,
)
def test_restrictions_include_those_that_hold_less_often(wide, narrow):
    wide, narrow = Restrictions(**wide), Restrictions(**narrow)

    assert includes(wide, narrow)
    assert includes(narrow, narrow)
    assert not includes(narrow, wide)
