"""The periods of a record as it keeps them, and what its lines come to by rate of tax.

A period of the session has `starts_at`, `energy_kwh`, and `charging_s` or `parking_s`; the booking's part has periods of its own
with `booked_s`, `expired_s` (nobody came) or `overtime_s`. A reservation has one with `reserved_s`, or `expired_s`, which the
tariff of the charging prices.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from bookings.billing.charging_periods import MeteredUse
from bookings.billing.priced_visits import PricedVisit
from bookings.pricing.bills import Bill, BillLine
from bookings.pricing.visits import BookedSlot, BookingOutcome, ChargingPeriod
from depots import currencies
from depots.periods import utc_text

NOTHING = Decimal()


def periods_of(visit: PricedVisit) -> list[dict[str, Any]]:
    charged = charged_periods(visit.use) if visit.use is not None else []
    booked = (
        _booked(visit.slot, visit) if visit.slot is not None and visit.tariffs.booking is not None else []
    )
    return sorted([*booked, *charged], key=lambda period: str(period["starts_at"]))


def charged_periods(use: MeteredUse) -> list[dict[str, Any]]:
    """Those of a session alone."""
    return [_charged(period) for period in use.use.periods]


def net_by_rate(bill: Bill) -> list[list[str | None]]:
    """`[["19", "12.34"], …]` in the currency's decimals, which add up to the total before taxes."""
    exact: dict[str | None, Decimal] = {}
    for line in bill.lines:
        for rate, net in _shares(line):
            exact[rate] = exact.get(rate, NOTHING) + net
    unit = Decimal(1).scaleb(-currencies.decimals(bill.currency))
    rounded = {rate: net.quantize(unit, ROUND_HALF_UP) for rate, net in exact.items()}
    if rounded:
        largest = max(rounded, key=lambda rate: abs(rounded[rate]))
        rounded[largest] += bill.total.before_taxes - sum(rounded.values(), NOTHING)
    return [[rate, str(net)] for rate, net in sorted(rounded.items(), key=lambda part: part[0] or "") if net]


def _shares(line: BillLine) -> list[tuple[str | None, Decimal]]:
    """A price limit may concern several rates: each tax says what it was on."""
    taxes = line.cost.taxes
    if len(taxes) < 2:
        percentage = taxes[0].percentage if taxes else None if line.is_limit else line.vat
        return [(_rate(percentage), line.cost.before_taxes)]
    shares = [(_rate(tax.percentage), _taxed(tax.amount, tax.percentage)) for tax in taxes]
    rest = line.cost.before_taxes - sum((net for _, net in shares), NOTHING)
    (rate, net), *others = sorted(shares, key=lambda share: -abs(share[1]))
    return [(rate, net + rest), *others]


def _rate(percentage: Decimal | None) -> str | None:
    return None if percentage is None else f"{percentage.normalize():f}"


def _taxed(tax: Decimal, percentage: Decimal | None) -> Decimal:
    return tax * 100 / percentage if percentage else NOTHING


def _charged(period: ChargingPeriod) -> dict[str, Any]:
    begin = utc_text(period.starts_at)
    if period.reserved_s is not None:
        return {"starts_at": begin, "reserved_s": period.reserved_s}
    if period.expired_s is not None:
        return {"starts_at": begin, "expired_s": period.expired_s}
    told: dict[str, Any] = {"starts_at": begin, "energy_kwh": str(period.energy_kwh)}
    if period.charging_s is not None:
        told["charging_s"] = period.charging_s
    if period.parking_s is not None:
        told["parking_s"] = period.parking_s
    return told


def _booked(slot: BookedSlot, visit: PricedVisit) -> list[dict[str, Any]]:
    begin, seconds = utc_text(slot.period.starts_at), int(slot.period.duration.total_seconds())
    if slot.outcome is BookingOutcome.NO_SHOW:
        return [{"starts_at": begin, "expired_s": seconds}]
    if slot.outcome is BookingOutcome.CANCELLED:
        return [{"starts_at": utc_text(visit.starts_at), "booked_s": 0}]
    free_until = slot.period.ends_at + slot.late_stop
    over = int((slot.ended_at - free_until).total_seconds()) if slot.ended_at is not None else 0
    found: list[dict[str, Any]] = [{"starts_at": begin, "booked_s": seconds}]
    return [*found, {"starts_at": utc_text(free_until), "overtime_s": over}] if over > 0 else found
