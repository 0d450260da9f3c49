"""What a booking will cost if all goes as assumed, by the function that bills it, and what may come on top."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from bookings.pricing.bills import NOTHING, Amount, Bill, Tax
from bookings.pricing.price import price
from bookings.pricing.tariff_content import ElementUse, TariffContent
from bookings.pricing.visits import (
    BookedSlot,
    BookingOutcome,
    ChargingPeriod,
    SessionUse,
    Visit,
    whole_second,
)
from bookings.pricing.walk import SECOND
from depots.periods import Period

SECONDS_AN_HOUR = 3600
# Of a battery: trucks come neither empty nor leave full.
MOST_OF_A_BATTERY = (4, 5)


@dataclass(frozen=True)
class Estimate:
    """The vehicle charges `energy_wh` from the booked start, `charging_s` long at `power_w`, and leaves in time."""

    bill: Bill
    energy_wh: int
    power_w: int
    charging_s: int

    @property
    def assumption(self) -> str:
        return (
            f"Charging {self.energy_wh / 1000:.0f} kWh from the booked start, {_length(self.charging_s)} at "
            f"{self.power_w / 1000:g} kW, and leaving before the booked time is over."
        )

    def to_json(self) -> dict[str, Any]:
        """Money as text; `total` is after taxes, `net` before them."""
        total = self.bill.total
        return {
            "currency": self.bill.currency,
            "net": str(total.before_taxes),
            "vat": str(total.tax),
            "total": str(total.after_taxes),
            "energy_wh": self.energy_wh,
            "power_w": self.power_w,
            "charging_s": self.charging_s,
            "bill": self.bill.to_json(),
        }


@dataclass(frozen=True)
class FeesOnTop:
    """What is not in an estimate: in place of it (`no_show`, `late_cancellation`), or beside it.

    None where the tariff has no such element.
    """

    no_show: Amount | None
    late_cancellation: Amount | None
    overtime_hour: Amount | None


def estimate(
    period: Period,
    zone: ZoneInfo,
    *,
    charging: TariffContent | None,
    booking: TariffContent | None,
    power_w: int,
    battery_wh: int | None = None,
) -> Estimate:
    """A booked period at its promised power, until four fifths of the battery are charged where its size is known.

    Raises MixedCurrencies, and ValueError without any tariff.
    """
    whole_s = (whole_second(period.ends_at) - whole_second(period.starts_at)) // SECOND
    energy_wh, charging_s = power_w * whole_s // SECONDS_AN_HOUR, whole_s
    if battery_wh and energy_wh > (most_wh := battery_wh * MOST_OF_A_BATTERY[0] // MOST_OF_A_BATTERY[1]):
        energy_wh, charging_s = most_wh, -(-most_wh * SECONDS_AN_HOUR // power_w)
    use = ChargingPeriod(
        period.starts_at, Decimal(energy_wh) / 1000, charging_s, power_kw=Decimal(power_w) / 1000
    )
    session = SessionUse((use,), use.starts_at + charging_s * SECOND)
    bill = price(Visit(session, BookedSlot(period)), zone, charging=charging, booking=booking)
    return Estimate(bill, energy_wh, power_w, charging_s)


def fees_on_top(booking: TariffContent, period: Period, zone: ZoneInfo) -> FeesOnTop:
    """By the same function, so that each is what would be billed; overtime is that of its first hour."""
    uses = {element.use for element in booking.elements if element.restrictions.is_understood}

    def total(use: ElementUse, slot: BookedSlot) -> Amount | None:
        return price(Visit(booking=slot), zone, booking=booking).total if use in uses else None

    return FeesOnTop(
        no_show=total(ElementUse.NO_SHOW, BookedSlot(period, BookingOutcome.NO_SHOW)),
        late_cancellation=total(ElementUse.LATE_CANCELLATION, BookedSlot(period, BookingOutcome.CANCELLED)),
        overtime_hour=_overtime_hour(booking, period, zone) if ElementUse.OVERTIME in uses else None,
    )


def _overtime_hour(booking: TariffContent, period: Period, zone: ZoneInfo) -> Amount:
    overstayed = BookedSlot(period, ended_at=period.ends_at + timedelta(hours=1))
    lines = price(Visit(booking=overstayed), zone, booking=booking).lines
    costs = [line.cost for line in lines if line.use is ElementUse.OVERTIME]
    taxes: dict[Decimal | None, Decimal] = {}
    for tax in (tax for cost in costs for tax in cost.taxes):
        taxes[tax.percentage] = taxes.get(tax.percentage, NOTHING) + tax.amount
    net = sum((cost.before_taxes for cost in costs), NOTHING)
    return Amount(net, tuple(Tax(rate, amount) for rate, amount in taxes.items()))


def _length(seconds: int) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
