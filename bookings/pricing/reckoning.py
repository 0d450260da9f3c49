"""From quantities to a bill. Amounts are whole numbers over one denominator until they are written down.

Lines, parts and taxes are written with four decimals, half up. The total before taxes and the total after them are each the
exact amount rounded half up to the currency's decimals; the largest tax takes up the difference. The lines as written add up
to the total as written, at the currency's decimals.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import lcm
from typing import NamedTuple

from bookings.pricing.bills import Amount, Bill, BillLine, Tax
from bookings.pricing.passes import SECONDS_AN_HOUR
from bookings.pricing.ratios import Ratio
from bookings.pricing.step_sizes import BilledQuantity
from bookings.pricing.tariff_content import Dimension, ElementUse
from depots import currencies

DECIMALS = 4
UNIT = Decimal(1).scaleb(-DECIMALS)
ZERO, ONE = Decimal(), Decimal(1)
DOUBLE_UNITS = 2 * 10**DECIMALS


class Money(NamedTuple):
    """Exact, over the denominator of its bill; taxes by rate, None where only the amount is known."""

    net: int
    taxes: dict[str | None, int]

    @property
    def gross(self) -> int:
        return self.net + sum(self.taxes.values())


@dataclass(frozen=True, slots=True)
class LimitDifference:
    """What price limits add to the charging (below zero: take from it), in units of money."""

    net: Fraction
    taxes: dict[str | None, Fraction]


class ExactLine(NamedTuple):
    """`billed` is None of what a price limit changes."""

    billed: BilledQuantity | None
    cost: Money


class Reckoning:
    """The lines of one bill as they are put together, in the order they are added."""

    def __init__(self, currency: str, billed: Sequence[BilledQuantity]) -> None:
        self.currency = currency
        self.scale = lcm(*[line.billed[1] * line.priced.scale for line in billed])
        self.lines = [ExactLine(line, self._cost(line)) for line in billed]

    def _cost(self, line: BilledQuantity) -> Money:
        priced = line.priced
        amount = line.billed[0] * (self.scale // (line.billed[1] * priced.scale))
        return Money(amount * priced.net, {} if priced.rate is None else {priced.rate: amount * priced.tax})

    def charging(self) -> Money:
        """What the charging pass comes to so far."""
        return _sum(
            cost for billed, cost in self.lines if billed and billed.priced.use is ElementUse.CHARGING
        )

    def exact(self, amount: int) -> Fraction:
        return Fraction(amount, self.scale)

    def add_limit(self, difference: LimitDifference) -> None:
        scale = lcm(
            self.scale, difference.net.denominator, *(t.denominator for t in difference.taxes.values())
        )
        finer, self.scale = scale // self.scale, scale
        self.lines = [
            ExactLine(billed, Money(net * finer, {rate: tax * finer for rate, tax in taxes.items()}))
            for billed, (net, taxes) in self.lines
        ]
        taxes = {rate: int(tax * scale) for rate, tax in difference.taxes.items()}
        self.lines.append(ExactLine(None, Money(int(difference.net * scale), taxes)))

    def bill(self) -> Bill:
        amounts = [self._amount(cost) for _, cost in self.lines]
        total = self._total(_sum(cost for _, cost in self.lines))
        parts = self._parts(amounts)
        _close_gaps(amounts, total, currencies.decimals(self.currency))
        lines = tuple(_line(line.billed, amount) for line, amount in zip(self.lines, amounts, strict=True))
        return Bill(self.currency, lines, total, **parts)

    def _parts(self, amounts: Sequence[Amount]) -> dict[str, Amount]:
        """Sums of exact lines; of a single line its own amount."""
        members: dict[str, list[int]] = {}
        for number, (billed, _) in enumerate(self.lines):
            if billed is not None:
                members.setdefault(_part(billed), []).append(number)
        return {
            part: amounts[numbers[0]]
            if len(numbers) == 1
            else self._amount(_sum(self.lines[number].cost for number in numbers))
            for part, numbers in members.items()
        }

    def _total(self, money: Money) -> Amount:
        places = currencies.decimals(self.currency)
        before = _written(money.net, self.scale, places)
        if not money.taxes:
            return Amount(before)
        after = _written(money.gross, self.scale, places)
        taxes = {rate: self._four_decimals(tax) for rate, tax in money.taxes.items()}
        missing = after - before - sum(taxes.values())
        for rate in sorted(taxes, key=lambda rate: money.taxes[rate], reverse=True):
            change = max(
                missing, -taxes[rate]
            )  # no tax below zero: of fractions of a cent the next takes the rest
            taxes[rate] += change
            missing -= change
        return Amount(before, tuple(Tax(_percentage(rate), tax) for rate, tax in taxes.items()))

    def _amount(self, money: Money) -> Amount:
        taxes = [Tax(_percentage(rate), self._four_decimals(tax)) for rate, tax in money.taxes.items()]
        return Amount(self._four_decimals(money.net), tuple(taxes))

    def _four_decimals(self, amount: int) -> Decimal:
        if amount < 0:
            return -self._four_decimals(-amount)
        return UNIT * ((amount * DOUBLE_UNITS + self.scale) // (2 * self.scale))


_PARTS = {
    Dimension.FLAT: "fixed",
    Dimension.ENERGY: "energy",
    Dimension.TIME: "time",
    Dimension.PARKING_TIME: "parking",
}
RESERVATION = "reservation"


def _part(billed: BilledQuantity) -> str:
    priced = billed.priced
    return _PARTS[priced.component.dimension] if priced.use is ElementUse.CHARGING else RESERVATION


def _sum(costs: Iterable[Money]) -> Money:
    net = 0
    taxes: dict[str | None, int] = {}
    for cost in costs:
        net += cost.net
        for rate, tax in cost.taxes.items():
            taxes[rate] = taxes.get(rate, 0) + tax
    return Money(net, taxes)


def _line(billed: BilledQuantity | None, cost: Amount) -> BillLine:
    if billed is None:
        return BillLine(ElementUse.CHARGING, None, cost)
    priced, component = billed.priced, billed.priced.component
    used = _quantity(billed.quantity, component.dimension)
    counted = used if billed.billed is billed.quantity else _quantity(billed.billed, component.dimension)
    return BillLine(
        priced.use, component.dimension, cost, priced.element, used, counted, component.price, component.vat
    )


def _quantity(amount: Ratio, dimension: Dimension) -> Decimal:
    """kWh, hours or pieces, with four decimals."""
    if dimension is Dimension.FLAT:
        return ONE
    size, scale = amount
    if dimension is Dimension.TIME or dimension is Dimension.PARKING_TIME:
        scale *= SECONDS_AN_HOUR
    return UNIT * ((size * DOUBLE_UNITS + scale) // (2 * scale))


def _written(amount: int, scale: int, places: int) -> Decimal:
    """What is never below zero, half up."""
    return Decimal((2 * amount * 10**places + scale) // (2 * scale)).scaleb(-places)


def _close_gaps(amounts: list[Amount], total: Amount, places: int) -> None:
    """Let the dearest line, and the largest tax of one, take up what lines as written lack to their total as written."""
    net = sum(amount.before_taxes for amount in amounts)
    if gap := _gap(net, total.before_taxes, places):
        dearest = max(range(len(amounts)), key=lambda number: amounts[number].before_taxes)
        amounts[dearest] = amounts[dearest]._replace(before_taxes=amounts[dearest].before_taxes + gap)
        net += gap
    gross = net + sum(amount.tax for amount in amounts)
    if total.taxes and (gap := _gap(gross, total.after_taxes, places)):
        most_taxed = max(range(len(amounts)), key=lambda number: amounts[number].tax)
        taxes = amounts[most_taxed].taxes
        largest = max(taxes, key=lambda tax: tax.amount)
        shifted = (tax._replace(amount=tax.amount + gap) if tax is largest else tax for tax in taxes)
        amounts[most_taxed] = amounts[most_taxed]._replace(taxes=tuple(shifted))


def _gap(written: Decimal | int, total: Decimal, places: int) -> Decimal:
    """What a sum of amounts with four decimals lacks to round, half up, to a total."""
    unit = 10 ** (DECIMALS - places)
    least = total - unit // 2 * UNIT
    if written < least:
        return least - written
    return min(total + (unit - 1) // 2 * UNIT - written, ZERO)


@lru_cache(maxsize=256)
def _percentage(rate: str | None) -> Decimal | None:
    return None if rate is None else Decimal(rate)
