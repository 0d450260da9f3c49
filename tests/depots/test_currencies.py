"""Money as it is written: with the decimals of its currency, and parts that add up to their total."""

from __future__ import annotations

from decimal import Decimal

import pytest

from depots.currencies import rounded_to
from depots.templatetags.berth import money, unit_price


@pytest.mark.parametrize(
    ("amount", "currency", "amount_words", "price_words"),
    [
        ("51.9593", "EUR", "€51.96", "€51.9593"),
        ("0.4", "EUR", "€0.40", "€0.40"),
        ("0.4125", "SEK", "0.41 SEK", "0.4125 SEK"),
        ("1234.5", "JPY", "1,235 JPY", "1,234.5 JPY"),
        ("200", "JPY", "200 JPY", "200 JPY"),
        ("1.5", "KWD", "1.500 KWD", "1.500 KWD"),
    ],
)
def test_amounts_have_the_decimals_of_their_currency_and_prices_all_of_theirs(
    amount: str, currency: str, amount_words: str, price_words: str
) -> None:
    assert money(Decimal(amount), currency) == amount_words
    assert unit_price(Decimal(amount), currency) == price_words


def test_what_rounds_to_nothing_has_no_sign() -> None:
    assert money(Decimal("-0.004"), "EUR") == "€0.00"
    assert money(Decimal("-0.005"), "EUR") == "\N{MINUS SIGN}€0.01"


@pytest.mark.parametrize(
    ("total", "amounts", "currency", "written"),
    [
        ("0.99", ["0.333", "0.333", "0.333"], "EUR", ["0.33", "0.33", "0.33"]),
        ("1.00", ["0.3333", "0.3333", "0.3334"], "EUR", ["0.34", "0.33", "0.33"]),
        ("10.00", ["12.5040", "-2.5040"], "EUR", ["12.50", "-2.50"]),
        ("101", ["50.4", "50.4"], "JPY", ["51", "50"]),
        (
            "7.00",
            ["1.2345", "2.00"],
            "EUR",
            ["1.23", "2.00"],
        ),  # what somebody else's bill leaves out is not made up
        ("7.00", [], "EUR", []),
    ],
)
def test_parts_add_up_to_their_total_as_they_are_written(
    total: str, amounts: list[str], currency: str, written: list[str]
) -> None:
    found = rounded_to(Decimal(total), [Decimal(amount) for amount in amounts], currency)

    assert [str(amount) for amount in found] == written
