"""What a booking will cost, said before it is made and kept with it, by the same function that bills it later.

A kept quote is JSON: `currency`, `total` (text, with taxes), `energy_wh`, `assumes`, `bill` (bookings.pricing.bills.Bill) and
`tariffs`; `no_show_fee` (text, before taxes) where not coming has a price of its own. Those of before tariffs had versions
have unit prices and flat lines instead of `bill`: bookings/pages/price_parts.py reads both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from bookings.errors import PriceChanged
from bookings.models import Booking, Vehicle
from bookings.pricing.bills import Bill
from bookings.pricing.price import price
from bookings.pricing.tariff_content import Dimension, ElementUse, Restrictions, TariffContent
from bookings.pricing.visits import BookedSlot, BookingOutcome, ChargingPeriod, SessionUse, Visit
from bookings.rules.tariff_bindings import TariffInForce, Tariffs
from bookings.rules.tariff_contents import contents
from depots.periods import Period, utc_text


@dataclass(frozen=True)
class Expected:
    """What an estimate rests on: so much energy with this power from the booked start, then parked until the booked end; before
    that the charger is kept by a reservation, where it is `reserved`."""

    period: Period
    power_w: int
    energy_wh: int
    reserved: Period | None = None

    @property
    def charged_at(self) -> datetime:
        """When so much is charged; the booked end where that comes first."""
        if not self.power_w:
            return self.period.ends_at
        needed = timedelta(seconds=-(-self.energy_wh * 3600 // self.power_w))
        return min(self.period.starts_at + needed, self.period.ends_at)

    def use(self) -> SessionUse:
        start, charged_at, end = self.period.starts_at, self.charged_at, self.period.ends_at
        energy = Decimal(self.energy_wh) / 1000
        power = Decimal(self.power_w) / 1000 if self.power_w else None
        periods = [ChargingPeriod(start, energy, charging_s=_seconds(charged_at - start), power_kw=power)]
        if charged_at < end:
            periods.append(ChargingPeriod(charged_at, parking_s=_seconds(end - charged_at)))
        if self.reserved is not None:
            kept = self.reserved
            periods.insert(0, ChargingPeriod(kept.starts_at, reserved_s=_seconds(kept.duration)))
        return SessionUse(tuple(periods), end)

    def to_json(self) -> dict[str, Any]:
        return {
            "power_w": self.power_w,
            "starts_at": utc_text(self.period.starts_at),
            "charged_at": utc_text(self.charged_at),
            "ends_at": utc_text(self.period.ends_at),
            **({"reserved_s": _seconds(self.reserved.duration)} if self.reserved else {}),
        }


@dataclass(frozen=True)
class Quote:
    """A booking's price if it is used as expected, under the versions that hold now."""

    bill: Bill
    tariffs: Tariffs
    expected: Expected
    zone: ZoneInfo

    @property
    def currency(self) -> str:
        return self.bill.currency

    @property
    def total(self) -> Decimal:
        """With taxes."""
        return self.bill.total.after_taxes

    def to_json(self) -> dict[str, Any]:
        return {
            "currency": self.currency,
            "total": str(self.total),
            "energy_wh": self.expected.energy_wh,
            **self._no_show(),
            "assumes": self.expected.to_json(),
            "bill": self.bill.to_json(),
            "tariffs": [_named(kind, one) for kind, one in self.tariffs._asdict().items() if one],
        }

    def _no_show(self) -> dict[str, str]:
        held = self.tariffs.booking
        if held is None or not has_price_for(held.content, ElementUse.NO_SHOW):
            return {}
        fee = _flat_no_show_fee(held.content)
        if fee is None:
            fee = _no_show_fee(held.content, self.expected.period, self.zone)
        return {"no_show_fee": fee}


def is_dearer(quote: dict[str, Any], other: dict[str, Any]) -> bool:
    """By the totals of two quotes as they are kept; one in another currency counts as dearer."""
    if quote.get("currency") != other.get("currency"):
        return bool(quote)
    return Decimal(quote.get("total", 0)) > Decimal(other.get("total", 0))


def check_shown(shown: dict[str, str] | None, quote: dict[str, Any]) -> None:
    """`shown` as of `brief`, empty where it was shown that there is no price; None where nothing was shown. Raises PriceChanged
    where the quote is dearer, or in another currency."""
    if shown is not None and is_dearer(quote, shown):
        was = f"{shown['currency']} {shown['total']}" if shown else "no price"
        raise PriceChanged(
            f"It costs about {quote['currency']} {quote['total']} by now, and {was} was shown. Look at it again."
        )


def quoted(
    tariffs: Tariffs,
    period: Period,
    zone: ZoneInfo,
    *,
    power_w: int,
    vehicle: Vehicle | None,
    energy_wh: int | None = None,
    reserved: Period | None = None,
) -> Quote | None:
    """The price of a period at a promised power; None where no tariff holds. `zone` is the depot's. `energy_wh` is what was
    asked for, where that was. `reserved` is for how long
    the charger is kept before by a reservation, which the tariff of charging prices; nobody charges before it is over.

    A currency never adds to another. Two that hold together are refused when tariffs are bound; where they came to meet
    otherwise (an agreement that had ended is taken up again), the booking by itself costs nothing.
    """
    if tariffs.charging and tariffs.booking and _currencies_differ(tariffs.charging, tariffs.booking):
        tariffs = Tariffs(tariffs.charging, None)
    if tariffs.charging is None and tariffs.booking is None:
        return None
    charging = _after(reserved, period)
    energy_wh = _energy_estimate_wh(period, power_w, vehicle, energy_wh)
    expected = Expected(charging, power_w, energy_wh, reserved)
    visit = Visit(session=expected.use(), booking=BookedSlot(period))
    by_charging, by_booking = (one.content if one else None for one in tariffs)
    return Quote(price(visit, zone, charging=by_charging, booking=by_booking), tariffs, expected, zone)


def _after(reserved: Period | None, period: Period) -> Period:
    if reserved is None or reserved.ends_at <= period.starts_at:
        return period
    return Period(reserved.ends_at, reserved.ends_at + period.duration)


def _currencies_differ(one: TariffInForce, other: TariffInForce) -> bool:
    return one.content.currency != other.content.currency


def keep(booking: Booking, quote: dict[str, Any]) -> None:
    """Give an unsaved or locked booking a quote (its JSON), and with it the versions it is priced under from then on."""
    booking.quote = quote
    ids = {tariff["kind"]: tariff["id"] for tariff in quote.get("tariffs", ())}
    booking.charging_tariff_id, booking.booking_tariff_id = ids.get("charging"), ids.get("booking")


# The columns that `keep` sets.
KEPT = ("quote", "charging_tariff", "booking_tariff")


def brief(quote: dict[str, Any]) -> dict[str, str] | None:
    """What of a kept quote people compare; None where there is none."""
    return {"total": quote["total"], "currency": quote["currency"]} if quote else None


def contents_of(booking: Booking) -> tuple[TariffContent | None, TariffContent | None]:
    """What charging and booking cost under the versions the booking was made under; None without one."""
    ids = (booking.charging_tariff_id, booking.booking_tariff_id)
    said = contents([pk for pk in ids if pk is not None])
    charging, booked = (said.get(pk) if pk is not None else None for pk in ids)
    return charging, booked


def read_tariffs(bookings: Iterable[Booking]) -> None:
    """What `contents_of` gives of each, read at once where this process does not know it yet."""
    kept = {
        pk for one in bookings for pk in (one.charging_tariff_id, one.booking_tariff_id) if pk is not None
    }
    contents(kept)


@lru_cache(maxsize=2048)
def has_price_for(content: TariffContent, use: ElementUse) -> bool:
    """Whether an element of that use asks for anything."""
    return any(
        component.price > 0
        for element in content.elements
        if element.use is use
        for component in element.components
    )


@lru_cache(maxsize=2048)
def _flat_no_show_fee(content: TariffContent) -> str | None:
    """The same for every slot where nothing asks for a time or counts it, as most tariffs; None of others."""
    asked = [one for one in content.elements if one.use in (ElementUse.NO_SHOW, ElementUse.BOOKING)]
    dimensions = {component.dimension for element in asked for component in element.components}
    if dimensions != {Dimension.FLAT} or any(one.restrictions != Restrictions() for one in asked):
        return None
    return _no_show_fee(content, _ANY_SLOT, UTC_ZONE)


def _no_show_fee(content: TariffContent, period: Period, zone: ZoneInfo) -> str:
    bill = price(Visit(booking=BookedSlot(period, BookingOutcome.NO_SHOW)), zone, booking=content)
    return str(bill.total.before_taxes)


UTC_ZONE = ZoneInfo("UTC")
_ANY_SLOT = Period(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))


def _named(kind: str, one: TariffInForce) -> dict[str, Any]:
    return {"kind": kind, "id": one.pk, "code": one.code, "name": one.name, "version": one.number}


def _energy_estimate_wh(period: Period, power_w: int, vehicle: Vehicle | None, asked_wh: int | None) -> int:
    """The promised power all the time, but no more than was asked for; where nothing was, than four fifths of the battery."""
    energy = int(power_w * period.duration.total_seconds() / 3600)
    if asked_wh is not None:
        return min(energy, asked_wh)
    if vehicle is not None and vehicle.battery_wh:
        energy = min(energy, vehicle.battery_wh * 4 // 5)
    return energy


def _seconds(span: timedelta) -> int:
    return round(span.total_seconds())
