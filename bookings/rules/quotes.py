"""What a booking will cost, said before it is made and kept with it: the quote shown is the price that is billed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from bookings.models import BookingOption, FlatTariff, Vehicle
from bookings.rules import precedence
from depots.models import Organisation
from depots.periods import Period


@dataclass(frozen=True)
class PriceLine:
    """One part of a price, without VAT."""

    what: str
    amount: Decimal
    is_estimate: bool = False


@dataclass(frozen=True)
class Quote:
    """Amounts in `currency`; `net` without VAT, `total` with it. Energy is an estimate until it was metered.

    `energy_wh` is what the estimate rests on; the unit prices are kept so that the bill uses the same ones.
    """

    tariff: str
    currency: str
    lines: tuple[PriceLine, ...]
    vat_percent: Decimal
    energy_wh: int
    energy_per_kwh: Decimal
    time_per_hour: Decimal
    booking_fee: Decimal
    no_show_fee: Decimal
    late_cancel_fee: Decimal

    @property
    def net(self) -> Decimal:
        return cents(sum((line.amount for line in self.lines), Decimal()))

    @property
    def vat(self) -> Decimal:
        return cents(self.net * self.vat_percent / 100)

    @property
    def total(self) -> Decimal:
        return self.net + self.vat

    def to_json(self) -> dict[str, Any]:
        return {
            "tariff": self.tariff,
            "currency": self.currency,
            "lines": [
                {"what": ln.what, "amount": str(ln.amount), "estimate": ln.is_estimate} for ln in self.lines
            ],
            "net": str(self.net),
            "vat_percent": str(self.vat_percent),
            "vat": str(self.vat),
            "total": str(self.total),
            "energy_wh": self.energy_wh,
            "energy_per_kwh": str(self.energy_per_kwh),
            "time_per_hour": str(self.time_per_hour),
            "booking_fee": str(self.booking_fee),
            "no_show_fee": str(self.no_show_fee),
            "late_cancel_fee": str(self.late_cancel_fee),
        }


def tariffs_for(
    options: Collection[BookingOption], fleet: Organisation, *, now: datetime
) -> dict[int, FlatTariff | None]:
    """By option id, in one query: the narrowest tariff that holds for the fleet."""
    rows = precedence.applying(FlatTariff.objects.all(), options, fleet, now=now)
    return {option_id: found[-1] if found else None for option_id, found in rows.items()}


def quote(
    option: BookingOption,
    fleet: Organisation,
    period: Period,
    *,
    power_w: int,
    vehicle: Vehicle | None,
    now: datetime,
) -> Quote | None:
    """The price of a period at a promised power; None where no tariff was given (a partner bills by its own)."""
    tariff = tariffs_for([option], fleet, now=now)[option.pk]
    return quoted(tariff, period, power_w=power_w, vehicle=vehicle) if tariff else None


def quoted(tariff: FlatTariff, period: Period, *, power_w: int, vehicle: Vehicle | None) -> Quote:
    """The same by a tariff at hand."""
    return _quoted(tariff, period, _energy_estimate_wh(period, power_w, vehicle))


def brief(quote: dict[str, Any]) -> dict[str, str] | None:
    """What of a kept quote people compare; None where there is none."""
    return {"total": quote["total"], "currency": quote["currency"]} if quote else None


def settled(quote: dict[str, Any], energy_wh: int) -> dict[str, Any]:
    """A quote (its JSON) with the energy as it was metered in place of the estimate, by the unit prices it keeps."""
    energy = cents(Decimal(quote["energy_per_kwh"]) * energy_wh / 1000)
    lines = [line for line in quote["lines"] if not line["estimate"]]
    if energy:
        lines.append({"what": "Energy", "amount": str(energy), "estimate": False})
    net = cents(sum((Decimal(line["amount"]) for line in lines), Decimal()))
    vat = cents(net * Decimal(quote["vat_percent"]) / 100)
    return {
        **quote, "lines": lines, "net": str(net), "vat": str(vat), "total": str(net + vat), "energy_wh": energy_wh,
    }  # fmt: skip


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def _quoted(tariff: FlatTariff, period: Period, energy_wh: int) -> Quote:
    hours = Decimal(int(period.duration.total_seconds())) / 3600
    lines = [
        PriceLine("Booking fee", cents(tariff.booking_fee)),
        PriceLine("Time", cents(tariff.time_per_hour * hours)),
        PriceLine("Energy", cents(tariff.energy_per_kwh * energy_wh / 1000), is_estimate=True),
    ]
    return Quote(
        tariff=tariff.code,
        currency=tariff.currency,
        lines=tuple(line for line in lines if line.amount),
        vat_percent=tariff.vat_percent,
        energy_wh=energy_wh,
        energy_per_kwh=tariff.energy_per_kwh,
        time_per_hour=tariff.time_per_hour,
        booking_fee=tariff.booking_fee,
        no_show_fee=tariff.no_show_fee,
        late_cancel_fee=tariff.late_cancel_fee,
    )


def _energy_estimate_wh(period: Period, power_w: int, vehicle: Vehicle | None) -> int:
    """The promised power all the time, but no more than four fifths of the battery."""
    energy = int(power_w * period.duration.total_seconds() / 3600)
    if vehicle is not None and vehicle.battery_wh:
        energy = min(energy, vehicle.battery_wh * 4 // 5)
    return energy
