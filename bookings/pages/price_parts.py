"""A price by parts, for people: what is charged for what, taxes, what the estimate rests on, and what may come on top.

Quotes that were kept before tariffs had versions are read here too; nobody else knows their shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from bookings.models import Booking
from bookings.pricing.bills import Bill, BillLine, Tax
from bookings.pricing.price import price
from bookings.pricing.tariff_content import Dimension, ElementUse, PriceComponent, TariffContent, TaxIncluded
from bookings.pricing.visits import BookedSlot, BookingOutcome, Visit
from bookings.rules.quotes import Expected, contents_of, has_price_for
from depots import currencies
from depots.periods import Period
from depots.templatetags.berth import duration, kilowatt_hours, kilowatts, money, unit_price

HOUR = timedelta(hours=1)
_WORDS: dict[tuple[ElementUse, Dimension], str] = {
    (ElementUse.CHARGING, Dimension.FLAT): "Visit",
    (ElementUse.CHARGING, Dimension.ENERGY): "Energy",
    (ElementUse.CHARGING, Dimension.TIME): "Charging time",
    (ElementUse.CHARGING, Dimension.PARKING_TIME): "Parking",
    (ElementUse.RESERVATION, Dimension.FLAT): "Reservation",
    (ElementUse.RESERVATION, Dimension.TIME): "Reserved time",
    (ElementUse.RESERVATION_EXPIRED, Dimension.FLAT): "Reservation not used",
    (ElementUse.RESERVATION_EXPIRED, Dimension.TIME): "Reserved time, not used",
    (ElementUse.BOOKING, Dimension.FLAT): "Booking fee",
    (ElementUse.BOOKING, Dimension.TIME): "Booked time",
    (ElementUse.NO_SHOW, Dimension.FLAT): "No-show fee",
    (ElementUse.NO_SHOW, Dimension.TIME): "Booked time, not used",
    (ElementUse.LATE_CANCELLATION, Dimension.FLAT): "Late cancellation",
    (ElementUse.LATE_CANCELLATION, Dimension.TIME): "Late cancellation",
    (ElementUse.OVERTIME, Dimension.FLAT): "Overtime fee",
    (ElementUse.OVERTIME, Dimension.TIME): "Overtime",
}


@dataclass(frozen=True)
class PricePart:
    """`detail` is quantity × price; `amount` is before taxes, with its currency's decimals; `line` counts from 0 in the bill."""

    what: str
    detail: str
    amount: Decimal
    line: int = 0


@dataclass(frozen=True)
class PriceParts:
    """`assumes` is empty of what was metered; `on_top` are sentences about what may come."""

    currency: str
    parts: tuple[PricePart, ...]
    taxes: tuple[tuple[str, Decimal], ...]
    before_taxes: Decimal
    total: Decimal
    assumes: str = ""
    on_top: tuple[str, ...] = ()

    @property
    def is_estimate(self) -> bool:
        return bool(self.assumes)


def quoted_parts(booking: Booking) -> PriceParts | None:
    """What a booking was quoted; None without a price."""
    quote = booking.quote
    if "bill" in quote:
        charging, booked = contents_of(booking)
        slot = BookedSlot(booking.period, late_stop=timedelta(minutes=booking.terms.late_stop_min))
        on_top = _on_top(charging, booked, slot, booking.depot.zone, late_cancel=booking.terms.late_cancel)
        return bill_parts(
            Bill.from_json(quote["bill"]), assumes=_assumes(quote, booking.depot.zone), on_top=tuple(on_top)
        )
    return _flat_parts(quote) if quote.get("lines") is not None else None


def estimated_parts(quote: dict[str, Any], zone: ZoneInfo) -> PriceParts:
    """Of a quote that no booking has yet."""
    return bill_parts(Bill.from_json(quote["bill"]), assumes=_assumes(quote, zone))


def settled_parts(booking: Booking, energy_wh: int) -> PriceParts | None:
    """The same with the energy as it was metered in place of the estimate."""
    if "bill" not in booking.quote:
        return _flat_parts(booking.quote, energy_wh) if booking.quote.get("lines") is not None else None
    charging, booked = contents_of(booking)
    expected = Expected(booking.period, booking.promised_power_w, energy_wh)
    visit = Visit(expected.use(), BookedSlot(booking.period))
    return bill_parts(price(visit, booking.depot.zone, charging=charging, booking=booked), is_metered=True)


def no_show_total(booking: Booking) -> Decimal:
    """What not coming costs, with taxes."""
    _, booked = contents_of(booking)
    if booked is not None:
        slot = BookedSlot(booking.period, BookingOutcome.NO_SHOW)
        return price(Visit(booking=slot), booking.depot.zone, booking=booked).total.after_taxes
    return _with_vat(booking.quote, "no_show_fee")


def bill_parts(
    bill: Bill, *, assumes: str = "", on_top: tuple[str, ...] = (), is_metered: bool = False
) -> PriceParts:
    """A bill's lines in words, which have four decimals there; those that cost nothing are left out."""
    lines = [(n, line) for n, line in enumerate(bill.lines) if line.cost.before_taxes or line.cost.tax]
    amounts = currencies.rounded_to(
        bill.total.before_taxes, [line.cost.before_taxes for _, line in lines], bill.currency
    )
    return PriceParts(
        currency=bill.currency,
        parts=tuple(
            PricePart(_what(line), _detail(line, bill.currency, is_metered), amount, number)
            for (number, line), amount in zip(lines, amounts, strict=True)
        ),
        taxes=tuple((_tax_words(tax), tax.amount) for tax in bill.total.taxes),
        before_taxes=bill.total.before_taxes,
        total=bill.total.after_taxes,
        assumes=assumes,
        on_top=on_top,
    )


def what_for(use: str, dimension: str | None) -> str:
    """A line's heading where lines of many bills are added up."""
    return _WORDS[ElementUse(use), Dimension(dimension)] if dimension else "Least and greatest prices"


def _what(line: BillLine) -> str:
    if line.dimension is None:
        return "Up to the least price" if line.cost.before_taxes > 0 else "Down to the greatest price"
    return _WORDS[line.use, line.dimension]


def _detail(line: BillLine, currency: str, is_metered: bool) -> str:
    """`267 kWh × €0.39`, `1 h 30 min × €4.00 an hour`; what a step adds is said."""
    if line.billed is None or line.price is None or line.unit is None:
        return ""
    each = unit_price(line.price, currency)
    if line.unit == "kWh":
        metered = " as metered" if is_metered else ""
        amount, used = f"{_figure(line.billed)} kWh{metered}", f"{_figure(line.quantity)} kWh{metered}"
    else:
        amount, used = _hours(line.billed), _hours(line.quantity)
        each = f"{each} an hour"
    begun = f" ({used} begun)" if amount != used else ""
    return f"{amount}{begun} × {each}{' with VAT' if _is_gross(line) else ''}"


def _is_gross(line: BillLine) -> bool:
    """Whether the tariff's price has its tax in it: then quantity × price is the amount after taxes."""
    if not line.cost.tax or line.billed is None or line.price is None:
        return False
    amount = line.billed * line.price
    return abs(amount - line.cost.after_taxes) < abs(amount - line.cost.before_taxes)


def _tax_words(tax: Tax) -> str:
    return tax.name if tax.percentage is None else f"{tax.name} {_figure(tax.percentage)} %"


def _assumes(quote: dict[str, Any], zone: ZoneInfo) -> str:
    told = quote["assumes"]
    energy, power = kilowatt_hours(quote["energy_wh"]), kilowatts(told["power_w"])
    if not told["power_w"]:
        return "Without a promised power no energy is counted; the bill counts what is metered."
    kept = (
        f" The charger is kept for {told['reserved_s'] // 60} min before." if told.get("reserved_s") else ""
    )
    charged_at, ends_at = datetime.fromisoformat(told["charged_at"]), datetime.fromisoformat(told["ends_at"])
    if charged_at >= ends_at:
        return f"Estimated for {energy}, charged with {power} all the time.{kept} The bill counts what is metered."
    clock = [f"{moment.astimezone(zone):%H:%M}" for moment in (charged_at, ends_at)]
    return (
        f"Estimated for {energy}, charged with {power} by {clock[0]}, and a vehicle that then stays until {clock[1]}.{kept} "
        "The bill counts what is metered."
    )


def _on_top(
    charging: TariffContent | None,
    booked: TariffContent | None,
    slot: BookedSlot,
    zone: ZoneInfo,
    *,
    late_cancel: bool,
) -> Iterator[str]:
    """With taxes, each."""
    if charging is not None and has_price_for(charging, ElementUse.CHARGING):
        yield from _parking(charging)
    if booked is None:
        return
    if has_price_for(booked, ElementUse.NO_SHOW):
        yield f"Not coming costs {_cost(booked, slot.period, BookingOutcome.NO_SHOW, zone)}."
    if late_cancel and has_price_for(booked, ElementUse.LATE_CANCELLATION):
        cost = _cost(booked, slot.period, BookingOutcome.CANCELLED, zone)
        yield f"Cancelling after the deadline costs {cost}."
    if has_price_for(booked, ElementUse.OVERTIME):
        yield f"An hour past the booked end costs {_overtime(booked, slot, zone)}."


def _parking(charging: TariffContent) -> Iterator[str]:
    """The dearest, as it may be the one that counts."""
    components = [c for element in charging.elements for c in element.components]
    parking = [c for c in components if c.dimension is Dimension.PARKING_TIME]
    dearest = max((_with_tax(c, charging) for c in parking), default=Decimal())
    if dearest:
        yield f"Parking after charging costs up to {money(dearest, charging.currency)} an hour."


def _with_tax(component: PriceComponent, content: TariffContent) -> Decimal:
    on_top = component.vat if content.tax_included is TaxIncluded.NO else None
    return component.price * (100 + (on_top or Decimal())) / 100


def _cost(booked: TariffContent, period: Period, outcome: BookingOutcome, zone: ZoneInfo) -> str:
    bill = price(Visit(booking=BookedSlot(period, outcome)), zone, booking=booked)
    return money(bill.total.after_taxes, bill.currency)


def _overtime(booked: TariffContent, slot: BookedSlot, zone: ZoneInfo) -> str:
    """What an hour of it adds to a booking that ended in time."""
    over = BookedSlot(
        slot.period, ended_at=slot.period.ends_at + slot.late_stop + HOUR, late_stop=slot.late_stop
    )
    longer, in_time = (
        price(Visit(booking=one), zone, booking=booked) for one in (over, BookedSlot(slot.period))
    )
    return money(longer.total.after_taxes - in_time.total.after_taxes, booked.currency)


def _flat_parts(quote: dict[str, Any], energy_wh: int | None = None) -> PriceParts:
    """Of before tariffs had versions: lines and unit prices without tax, and one rate."""
    currency, per_kwh = quote["currency"], Decimal(quote.get("energy_per_kwh") or 0)
    wh = quote["energy_wh"] if energy_wh is None else energy_wh
    parts = [
        PricePart(line["what"], "", Decimal(line["amount"]))
        for line in quote["lines"]
        if not line["estimate"]
    ]
    if energy := _cents(per_kwh * wh / 1000):
        metered = "" if energy_wh is None else " as metered"
        parts.append(
            PricePart("Energy", f"{kilowatt_hours(wh)}{metered} × {unit_price(per_kwh, currency)}", energy)
        )
    net = _cents(sum((part.amount for part in parts), Decimal()))
    rate = Decimal(quote.get("vat_percent") or 0)
    vat = _cents(net * rate / 100)
    return PriceParts(
        currency=currency,
        parts=tuple(parts),
        taxes=((f"VAT {_figure(rate)} %", vat),) if rate else (),
        before_taxes=net,
        total=net + vat,
        assumes=f"Estimated for {kilowatt_hours(wh)}. The bill counts what is metered."
        if energy_wh is None
        else "",
        on_top=tuple(_flat_on_top(quote, currency)),
    )


def _flat_on_top(quote: dict[str, Any], currency: str) -> Iterator[str]:
    if fee := _with_vat(quote, "no_show_fee"):
        yield f"Not coming costs {money(fee, currency)}."


def _with_vat(quote: dict[str, Any], name: str) -> Decimal:
    net = Decimal(quote.get(name) or 0)
    return _cents(net * (1 + Decimal(quote.get("vat_percent") or 0) / 100))


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def _hours(hours: Decimal | None) -> str:
    return duration(timedelta(seconds=round((hours or 0) * 3600)))


def _figure(value: Decimal | None) -> str:
    """`267`, `20.5`, of what has four decimals."""
    return f"{(value or Decimal()).normalize():,f}"
