"""The bill of a partner's record, of the costs it tells: a total is never altered, whatever its parts add up to."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from bookings.billing.recorded_periods import net_by_rate
from bookings.models import ChargeDetailRecord
from bookings.pricing.bills import NOTHING, Amount, Bill, BillLine, Tax
from bookings.pricing.tariff_content import Dimension, ElementUse
from depots import currencies
from roaming.mirror.session_values import ToldCdr

Kind = ChargeDetailRecord.Kind
USE = {
    Kind.NO_SHOW: ElementUse.NO_SHOW,
    Kind.CANCELLATION: ElementUse.LATE_CANCELLATION,
}


def bill_of(told: ToldCdr, kind: Kind) -> Bill:
    """In a credit what is taken back, above zero."""
    sign = -1 if told.is_credit else 1
    costs, total = told.costs, _times(told.costs.total, sign)
    return Bill(
        currency=told.currency, lines=tuple(_lines(told, kind, total)), total=total, fixed=costs.fixed, energy=costs.energy,
        time=costs.time, parking=costs.parking, reservation=costs.reservation,
    )  # fmt: skip


def nets_of(bill: Bill, *, is_credit: bool) -> list[list[str | None]]:
    """As `ChargeDetailRecord.net_by_rate`."""
    sign, unit = -1 if is_credit else 1, Decimal(1).scaleb(-currencies.decimals(bill.currency))
    return [[rate, _text(Decimal(net or 0) * sign, unit)] for rate, net in net_by_rate(bill)]


def _text(amount: Decimal, unit: Decimal) -> str:
    """With the currency's decimals, unless the partner has told more."""
    rounded = amount.quantize(unit)
    return str(rounded if rounded == amount else amount)


def _lines(told: ToldCdr, kind: Kind, total: Amount) -> Iterator[BillLine]:
    """One a part that costs something; what they leave of the total is one of its own, unless it is what rounding leaves: parts
    may be told with four decimals, the total with the currency's."""
    costs, use = told.costs, ElementUse.CHARGING
    parts = [
        BillLine(use, Dimension.FLAT, costs.fixed),
        BillLine(use, Dimension.ENERGY, costs.energy, quantity=told.energy_kwh, billed=told.energy_kwh),
        BillLine(use, Dimension.TIME, costs.time, quantity=told.hours, billed=told.hours),
        BillLine(use, Dimension.PARKING_TIME, costs.parking, quantity=told.parking_h, billed=told.parking_h),
        BillLine(USE.get(kind, ElementUse.BOOKING), Dimension.FLAT, costs.reservation),
    ]
    told_parts = [line for line in parts if line.cost.before_taxes or line.cost.tax]
    yield from told_parts
    rest = _rest(total, [line.cost for line in told_parts])
    least = Decimal(1).scaleb(-currencies.decimals(told.currency)) if told_parts else NOTHING
    most = max(abs(rest.before_taxes), abs(rest.tax))
    if most and most >= least:
        is_all = not told_parts
        yield BillLine(USE.get(kind, use), Dimension.FLAT if is_all else None, rest)


def _rest(total: Amount, parts: list[Amount]) -> Amount:
    before = total.before_taxes - sum((part.before_taxes for part in parts), Decimal())
    if not parts:
        return total
    tax = total.tax - sum((part.tax for part in parts), Decimal())
    return Amount(before, (Tax(None, tax),) if tax else ())


def _times(amount: Amount, sign: int) -> Amount:
    taxes = tuple(tax._replace(amount=tax.amount * sign) for tax in amount.taxes)
    return Amount(amount.before_taxes * sign, taxes)
