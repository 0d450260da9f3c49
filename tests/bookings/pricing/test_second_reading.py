"""Whatever a price file says, the pricer and a second reading of the rules come to the same, line by line."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bookings.imports.price_files import PriceFile
from bookings.imports.tariff_schemas import BOOKING_USES, RESERVATION_USES
from bookings.pricing.bills import Amount, Bill, BillLine
from bookings.pricing.price import price
from bookings.pricing.tariff_content import ElementUse
from tests.bookings.pricing.random_price_files import random_price_file
from tests.bookings.pricing.second_reading import Line, Reading, half_up, read_price_file

PARTS = {"fixed": "FLAT", "energy": "ENERGY", "time": "TIME", "parking": "PARKING_TIME"}
USES = {"CHARGING": ElementUse.CHARGING, **RESERVATION_USES, **BOOKING_USES}


@given(st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_any_price_file_costs_the_same_by_a_second_reading(chance):
    assert_reads_the_same(random_price_file(chance))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_thousands_of_price_files_cost_the_same_by_a_second_reading(seed):
    chance = Random(seed)
    for _ in range(500):
        assert_reads_the_same(random_price_file(chance))


def assert_reads_the_same(file: dict[str, Any]) -> None:
    bill, reading = bill_of(file), read_price_file(file)
    try:
        assert_same_totals(bill, reading)
        assert_same_lines(bill, reading)
    except AssertionError as difference:
        difference.add_note(json.dumps(file))
        raise


def assert_same_totals(bill: Bill, reading: Reading) -> None:
    assert (bill.total.before_taxes, bill.total.after_taxes) == (
        half_up(reading.before(), reading.decimals),
        half_up(reading.after(), reading.decimals),
    )
    for part, dimension in PARTS.items():
        assert_is(
            getattr(bill, part),
            reading,
            lambda line, of=dimension: is_charging(line) and line.component.dimension == of,
        )
    assert_is(bill.reservation, reading, lambda line: line.component is not None and not is_charging(line))


def bill_of(file: dict[str, Any]) -> Bill:
    read = PriceFile.model_validate(json.loads(json.dumps(file)))
    assert not list(read.faults())
    content = read.tariff.content()
    return price(read.visit(), ZoneInfo(read.time_zone), charging=content, booking=content)


def is_charging(line: Line) -> bool:
    return line.component is not None and line.component.use == "CHARGING"


def assert_is(part: Amount, reading: Reading, lines: Any) -> None:
    assert part.before_taxes == half_up(reading.before(of=lines), 4)
    told = {Fraction(tax.percentage): tax.amount for tax in part.taxes if tax.amount}
    expected = {rate: half_up(tax, 4) for rate, tax in reading.taxes(of=lines).items()}
    assert told == {rate: tax for rate, tax in expected.items() if tax}


def assert_same_lines(bill: Bill, reading: Reading) -> None:
    """All that cost or count something; one line may take up what rounding left."""
    told = {where(line): line for line in bill.lines if not line.is_limit}
    expected = {
        (USES[line.component.use], line.component.dimension, line.component.element): line
        for line in reading.lines
        if line.component is not None
    }
    assert told.keys() <= expected.keys()
    for place, line in expected.items():
        quantities = [half_up(amount, 4) for amount in (line.quantity, line.billed)]
        assert [told[place].quantity, told[place].billed] == quantities
    limit = sum((line.cost.before_taxes for line in bill.lines if line.is_limit), Decimal())
    nets = [(told[place].cost.before_taxes, line.before) for place, line in expected.items()]
    nets.append((limit, reading.before(of=lambda line: line.component is None)))
    assert sum(net != half_up(exact, 4) for net, exact in nets) <= 1
    assert half_up(Fraction(sum(net for net, _ in nets)), reading.decimals) == bill.total.before_taxes


def where(line: BillLine) -> tuple[ElementUse, str, int | None]:
    assert line.dimension is not None
    return line.use, line.dimension.name, line.element
