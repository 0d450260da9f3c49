"""A tariff in plain sentences: every condition, every price, and what a person would otherwise overlook."""

from __future__ import annotations

from dataclasses import fields
from datetime import date, time
from decimal import Decimal
from typing import Any

import pytest

from bookings.pages.tariff_sentences import NOT_KNOWN, always_covered, conditions, sentences
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


def price(dimension: Dimension, amount: str, vat: str | None = None, step: int = 1) -> PriceComponent:
    return PriceComponent(dimension, Decimal(amount), None if vat is None else Decimal(vat), step)


def element(
    *prices: PriceComponent, use: ElementUse = ElementUse.CHARGING, **restrictions: Any
) -> TariffElement:
    return TariffElement(prices, Restrictions(**restrictions), use)


def said(*elements: TariffElement, **more: Any) -> list[str]:
    """Without the last sentence, which is about tax."""
    return sentences(TariffContent("EUR", elements, **more))[:-1]


CONDITIONS: dict[str, tuple[dict[str, Any], str]] = {
    "start_time": ({"start_time": time(22)}, "from 22:00 to midnight"),
    "end_time": ({"end_time": time(6)}, "from midnight to 06:00"),
    "both times": ({"start_time": time(22), "end_time": time(6, 30)}, "from 22:00 to 06:30"),
    "to midnight": ({"start_time": time(22), "end_time": time(0)}, "from 22:00 to midnight"),
    "start_date": ({"start_date": date(2026, 12, 1)}, "from 1 December 2026 on"),
    "end_date": ({"end_date": date(2027, 1, 1)}, "until 31 December 2026"),
    "both dates": (
        {"start_date": date(2026, 12, 1), "end_date": date(2027, 1, 1)}, "from 1 December 2026 to 31 December 2026",
    ),
    "one date": ({"start_date": date(2026, 12, 24), "end_date": date(2026, 12, 25)}, "on 24 December 2026"),
    "weekdays": ({"weekdays": frozenset({1, 2, 3, 4, 5})}, "Monday to Friday"),
    "two days": ({"weekdays": frozenset({6, 7})}, "on Saturday and Sunday"),
    "some days": ({"weekdays": frozenset({1, 3, 5})}, "on Monday, Wednesday and Friday"),
    "min_kwh": ({"min_kwh": Decimal(50)}, "after 50 kWh of the visit"),
    "max_kwh": ({"max_kwh": Decimal("12.50")}, "in the first 12.5 kWh of the visit"),
    "both kWh": ({"min_kwh": Decimal(10), "max_kwh": Decimal(50)}, "from 10 kWh to 50 kWh of the visit"),
    "min_power_kw": ({"min_power_kw": Decimal(150)}, "while charging with 150 kW or more"),
    "max_power_kw": ({"max_power_kw": Decimal(50)}, "while charging with less than 50 kW"),
    "both powers": (
        {"min_power_kw": Decimal(50), "max_power_kw": Decimal(150)}, "while charging with 50 to less than 150 kW",
    ),
    "min_current_a": ({"min_current_a": Decimal(32)}, "while charging with 32 A or more"),
    "max_current_a": ({"max_current_a": Decimal(32)}, "while charging with less than 32 A"),
    "min_duration_s": ({"min_duration_s": 3600}, "after 1 h of the visit"),
    "max_duration_s": ({"max_duration_s": 5400}, "in the first 1 h 30 min of the visit"),
}  # fmt: skip


@pytest.mark.parametrize(("restrictions", "words"), CONDITIONS.values(), ids=CONDITIONS.keys())
def test_every_condition_has_its_words(restrictions, words):
    assert conditions(Restrictions(**restrictions)) == [words]


def test_no_condition_is_forgotten():
    names = {field.name for field in fields(Restrictions)} - {"is_understood"}

    assert names <= CONDITIONS.keys()


def test_conditions_that_all_must_be_so_stand_beside_each_other():
    night = element(
        price(Dimension.ENERGY, "0.32"),
        weekdays=frozenset({1, 2, 3, 4, 5}),
        start_time=time(22),
        end_time=time(6),
    )

    assert said(night)[0] == "Monday to Friday, from 22:00 to 06:00, a kWh costs €0.32."


@pytest.mark.parametrize("use", ElementUse)
@pytest.mark.parametrize("dimension", Dimension)
def test_every_price_has_its_words(use, dimension):
    if use is not ElementUse.CHARGING and dimension not in (Dimension.FLAT, Dimension.TIME):
        return
    [sentence] = said(element(price(dimension, "4.50"), use=use))

    assert "€4.50" in sentence
    assert "cannot" not in sentence


def test_what_comes_after_another_of_its_kind_is_otherwise():
    day, night = price(Dimension.ENERGY, "0.45"), price(Dimension.ENERGY, "0.32")

    assert said(element(night, start_time=time(22), end_time=time(6)), element(day)) == [
        "From 22:00 to 06:00, a kWh costs €0.32.",
        "Otherwise, a kWh costs €0.45.",
    ]


def test_what_is_priced_at_some_times_alone_is_free_at_others():
    night = element(price(Dimension.ENERGY, "0.32"), start_time=time(22), end_time=time(6))

    assert said(night)[1] == "At all other times, a kWh costs nothing."


@pytest.mark.parametrize(
    ("covered", "parts"),
    [
        (True, [{}]),
        (
            True,
            [{"start_time": time(22), "end_time": time(6)}, {"start_time": time(6), "end_time": time(22)}],
        ),
        (True, [{"weekdays": frozenset({1, 2, 3, 4, 5})}, {"weekdays": frozenset({6, 7})}]),
        (False, [{"weekdays": frozenset({1, 2, 3, 4, 5})}, {"weekdays": frozenset({6})}]),
        (True, [{"max_kwh": Decimal(50)}, {"min_kwh": Decimal(50)}]),
        (True, [{"min_power_kw": Decimal(100)}, {"max_power_kw": Decimal(100)}]),
        (
            True,
            [
                {"min_kwh": Decimal(100)},
                {"min_kwh": Decimal(9), "max_kwh": Decimal(100)},
                {"max_kwh": Decimal(9)},
            ],
        ),
        (False, [{"max_kwh": Decimal(50)}, {"min_kwh": Decimal(60)}]),
        (False, [{"min_power_kw": Decimal(100)}]),
    ],
)
def test_prices_are_whole_when_no_moment_is_left_out(covered, parts):
    assert always_covered([Restrictions(**part) for part in parts]) == covered


def test_steps_that_a_person_notices_are_named():
    [sentence] = said(
        element(
            price(Dimension.FLAT, "1", step=1), price(Dimension.ENERGY, "0.40", step=1000),
            price(Dimension.PARKING_TIME, "6", step=900),
        )
    )  # fmt: skip

    assert sentence == (
        "A visit costs €1.00 once, a kWh costs €0.40 (each kWh begun counts) and an hour parked without charging costs €6.00 "
        "(each 15 min begun counts)."
    )


def test_an_element_with_an_unknown_condition_never_applies():
    assert said(element(price(Dimension.FLAT, "1"), is_understood=False)) == [NOT_KNOWN]


def test_limits_are_said_with_and_without_tax():
    limits = {"min_price": PriceLimit(Decimal(2)), "max_price": PriceLimit(Decimal(100), Decimal(119))}

    found = said(element(price(Dimension.ENERGY, "0.40")), **limits)

    assert found[1] == "Charging costs at least €2.00 and at most €100.00 (€119.00 with VAT) a visit."


@pytest.mark.parametrize(
    ("tax_included", "rates", "words"),
    [
        (TaxIncluded.NO, ["19"], "VAT of 19 % comes on top."),
        (TaxIncluded.NO, ["19", "7"], "VAT of 7 % and 19 % comes on top."),
        (TaxIncluded.YES, ["19"], "Prices include VAT of 19 %."),
        (TaxIncluded.NO, [None], "No VAT is named."),
        (TaxIncluded.NOT_APPLICABLE, ["19"], "No VAT is due."),
    ],
)
def test_tax_is_said_once_for_all(tax_included, rates, words):
    elements = tuple(element(price(Dimension.ENERGY, "1", rate)) for rate in rates)

    assert sentences(TariffContent("EUR", elements, tax_included=tax_included))[-1] == words


def test_where_rates_differ_each_price_names_its_own():
    [sentence] = said(element(price(Dimension.ENERGY, "1", "19"), price(Dimension.FLAT, "2", "7")))

    assert sentence == "A kWh costs €1.00 (19 % VAT) and a visit costs €2.00 once (7 % VAT)."


def test_a_price_of_nothing_is_said_in_words():
    assert said(element(price(Dimension.FLAT, "0"), use=ElementUse.NO_SHOW)) == ["Not coming costs nothing."]
