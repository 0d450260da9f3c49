"""From quantities to a bill. Amounts are whole numbers over one denominator until they are written down.

Lines, parts and taxes are written with four decimals, half up. The total before taxes and the total after them are each the
exact amount rounded half up to the currency's decimals; the largest tax takes up the difference. The lines as written add up
to the total as written, at the currency's decimals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import lcm

from bookings.pricing import currencies
from bookings.pricing.bills import Amount, Bill, BillLine, Tax
from bookings.pricing.passes import SECONDS_AN_HOUR
from bookings.pricing.step_sizes import BilledQuantity, Ratio
from bookings.pricing.tariff_content import Dimension, ElementUse

DECIMALS = 4
NOTHING = Decimal()


@dataclass(slots=True)
class Money:
    """Exact, over the denominator of its bill; taxes by rate."""

    net: int = 0
    taxes: dict[str, int] = field(default_factory=dict)

    @property
    def gross(self) -> int:
        return self.net + sum(self.taxes.values())

    def add(self, other: Money) -> None:
        self.net += other.net
        for rate, tax in other.taxes.items():
            self.taxes[rate] = self.taxes.get(rate, 0) + tax


@dataclass(frozen=True, slots=True)
class LimitDifference:
    """What price limits add to the charging (below zero: take from it), in units of money."""

    net: Fraction
    taxes: dict[str, Fraction]


@dataclass(frozen=True, slots=True)
class ExactLine:
    billed: BilledQuantity | None
    cost: Money


class Reckoning:
    """The lines of one bill as they are put together, in the order they are added."""

    def __init__(self, currency: str, billed: Sequence[BilledQuantity]) -> None:
        self.currency = currency
        self.scale = lcm(*(line.billed[1] * line.priced.scale for line in billed))
        self.lines = [ExactLine(line, self._cost(line)) for line in billed]

    def _cost(self, line: BilledQuantity) -> Money:
        priced = line.priced
        amount = line.billed[0] * (self.scale // (line.billed[1] * priced.scale))
        return Money(amount * priced.net, {} if priced.rate is None else {priced.rate: amount * priced.tax})

    def charging(self) -> Money:
        """What the charging pass comes to so far."""
        total = Money()
        for line in self.lines:
            if line.billed is not None and line.billed.priced.use is ElementUse.CHARGING:
                total.add(line.cost)
        return total

    def exact(self, amount: int) -> Fraction:
        return Fraction(amount, self.scale)

    def add_limit(self, difference: LimitDifference) -> None:
        scale = lcm(
            self.scale, difference.net.denominator, *(t.denominator for t in difference.taxes.values())
        )
        finer, self.scale = scale // self.scale, scale
        for line in self.lines:
            line.cost.net *= finer
            line.cost.taxes.update((rate, tax * finer) for rate, tax in line.cost.taxes.items())
        taxes = {rate: int(tax * scale) for rate, tax in difference.taxes.items()}
        self.lines.append(ExactLine(None, Money(int(difference.net * scale), taxes)))

    def bill(self) -> Bill:
        total, parts = Money(), {part: Money() for part in (*_PARTS.values(), RESERVATION)}
        for line in self.lines:
            total.add(line.cost)
            if line.billed is not None:
                parts[_part(line.billed)].add(line.cost)
        written = self._total(total)
        return Bill(
            currency=self.currency,
            lines=self._lines(written.before_taxes),
            total=written,
            **{part: self._amount(money) for part, money in parts.items()},
        )

    def _total(self, money: Money) -> Amount:
        places = currencies.decimals(self.currency)
        before = _written(money.net, self.scale, places)
        if not money.taxes:
            return Amount(before)
        after = _written(money.gross, self.scale, places)
        largest = max(money.taxes, key=lambda rate: money.taxes[rate])
        taxes = {rate: _written(tax, self.scale) for rate, tax in money.taxes.items()}
        taxes[largest] += after - before - sum(taxes.values(), NOTHING)
        return Amount(before, _taxes(taxes))

    def _lines(self, total: Decimal) -> tuple[BillLine, ...]:
        nets = [_rounded(line.cost.net, self.scale, DECIMALS) for line in self.lines]
        if missing := _missing(sum(nets), total, currencies.decimals(self.currency)):
            nets[nets.index(max(nets))] += missing
        return tuple(self._line(line, net) for line, net in zip(self.lines, nets, strict=True))

    def _line(self, line: ExactLine, net: int) -> BillLine:
        taxes = _taxes({rate: _written(tax, self.scale) for rate, tax in line.cost.taxes.items()})
        cost = Amount(Decimal(net).scaleb(-DECIMALS), taxes)
        if line.billed is None:
            return BillLine(ElementUse.CHARGING, None, cost)
        priced = line.billed.priced
        component = priced.component
        return BillLine(
            priced.use,
            component.dimension,
            cost,
            priced.element,
            _quantity(line.billed.quantity, component.dimension),
            _quantity(line.billed.billed, component.dimension),
            component.price,
            component.vat,
        )

    def _amount(self, money: Money) -> Amount:
        if not money.net and not money.taxes:
            return Amount()
        taxes = {rate: _written(tax, self.scale) for rate, tax in money.taxes.items()}
        return Amount(_written(money.net, self.scale), _taxes(taxes))


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


def _quantity(amount: Ratio, dimension: Dimension) -> Decimal:
    """kWh, hours or pieces."""
    is_time = dimension in (Dimension.TIME, Dimension.PARKING_TIME)
    return _written(amount[0], amount[1] * SECONDS_AN_HOUR if is_time else amount[1])


def _rounded(amount: int, scale: int, places: int) -> int:
    """In units of the last place, half away from zero."""
    size = (2 * abs(amount) * 10**places + scale) // (2 * scale)
    return size if amount >= 0 else -size


def _written(amount: int, scale: int, places: int = DECIMALS) -> Decimal:
    return Decimal(_rounded(amount, scale, places)).scaleb(-places)


def _missing(written: int, total: Decimal, places: int) -> int:
    """What lines of together `written` units of the fourth decimal lack to round, half up, to a total."""
    unit = 10 ** (DECIMALS - places)
    aim = int(total.scaleb(DECIMALS))
    least, most = aim - unit // 2, aim + (unit - 1) // 2
    return max(least - written, 0) or min(most - written, 0)


def _taxes(amounts: dict[str, Decimal]) -> tuple[Tax, ...]:
    return tuple(Tax(_percentage(rate), amount) for rate, amount in amounts.items())


@lru_cache(maxsize=256)
def _percentage(rate: str) -> Decimal:
    return Decimal(rate)
