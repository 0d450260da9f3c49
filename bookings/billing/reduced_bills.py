"""A bill without one of its lines: what a dispute that is accepted leaves due."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

from bookings.pricing.bills import NOTHING, Amount, Bill, BillLine, PricingPass, Tax
from bookings.pricing.tariff_content import Dimension
from depots import currencies

_PARTS = {
    Dimension.FLAT: "fixed",
    Dimension.ENERGY: "energy",
    Dimension.TIME: "time",
    Dimension.PARKING_TIME: "parking",
}


def without_line(bill: Bill, number: int) -> Bill:
    """The other lines as they stand. What a price limit took off goes with what it was taken off from, where else less than
    nothing would be due."""
    lines = [line for position, line in enumerate(bill.lines) if position != number]
    if sum((line.cost.before_taxes for line in lines), NOTHING) < 0:
        lines = [line for line in lines if line.cost.before_taxes >= 0]
    parts = {
        part: _sum([line for line in lines if _part(line) == part])
        for part in (*_PARTS.values(), "reservation")
    }
    return Bill(bill.currency, tuple(lines), _total(bill.currency, lines), **parts)


def _part(line: BillLine) -> str:
    """Limits are in the total alone."""
    if line.dimension is None:
        return ""
    return _PARTS[line.dimension] if line.pricing_pass is PricingPass.CHARGING else "reservation"


def _sum(lines: Sequence[BillLine]) -> Amount:
    taxes: dict[tuple[str, Decimal | None], Decimal] = {}
    for line in lines:
        for tax in line.cost.taxes:
            taxes[tax.name, tax.percentage] = taxes.get((tax.name, tax.percentage), NOTHING) + tax.amount
    net = sum((line.cost.before_taxes for line in lines), NOTHING)
    return Amount(net, tuple(Tax(percentage, amount, name) for (name, percentage), amount in taxes.items()))


def _total(currency: str, lines: Sequence[BillLine]) -> Amount:
    """Before and after taxes each rounded half up to the currency's decimals; the largest tax takes up the difference."""
    exact, unit = _sum(lines), Decimal(1).scaleb(-currencies.decimals(currency))
    before = exact.before_taxes.quantize(unit, ROUND_HALF_UP)
    if not exact.taxes:
        return Amount(before)
    after = exact.after_taxes.quantize(unit, ROUND_HALF_UP)
    largest, *others = sorted(exact.taxes, key=lambda tax: -tax.amount)
    rest = after - before - sum((tax.amount for tax in others), NOTHING)
    return Amount(before, (Tax(largest.percentage, rest, largest.name), *others))
