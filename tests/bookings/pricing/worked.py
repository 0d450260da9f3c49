"""Short words for tariffs and visits in tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from bookings.pricing.bills import Bill
from bookings.pricing.price import price
from bookings.pricing.tariff_content import (
    Dimension,
    ElementUse,
    PriceComponent,
    Restrictions,
    TariffContent,
    TariffElement,
)
from bookings.pricing.visits import BookedSlot, BookingOutcome, ChargingPeriod, SessionUse, Visit
from depots.periods import Period

BERLIN = ZoneInfo("Europe/Berlin")
# A Monday, 09:00 in Berlin.
MONDAY = datetime(2026, 11, 23, 8, tzinfo=UTC)


def local(text: str, fold: int = 0) -> datetime:
    """`2026-10-25T02:30` as the clock in Berlin shows it; fold 1 is its second time in the night of autumn."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).astimezone(UTC)


def priced(dimension: str, price: Any, vat: Any = None, step: int = 1) -> PriceComponent:
    return PriceComponent(
        Dimension[dimension], Decimal(str(price)), None if vat is None else Decimal(str(vat)), step
    )


def flat(price: Any, vat: Any = None) -> PriceComponent:
    return priced("FLAT", price, vat)


def energy(price: Any, vat: Any = None, step: int = 1) -> PriceComponent:
    return priced("ENERGY", price, vat, step)


def hourly(price: Any, vat: Any = None, step: int = 1) -> PriceComponent:
    return priced("TIME", price, vat, step)


def parking(price: Any, vat: Any = None, step: int = 1) -> PriceComponent:
    return priced("PARKING_TIME", price, vat, step)


def element(*components: PriceComponent, use: str = "CHARGING", **restrictions: Any) -> TariffElement:
    return TariffElement(components, Restrictions(**restrictions), ElementUse[use])


def tariff(*elements: TariffElement | PriceComponent, **more: Any) -> TariffContent:
    """Components by themselves are one element without restrictions."""
    whole = [one if isinstance(one, TariffElement) else element(one) for one in elements]
    return TariffContent(more.pop("currency", "EUR"), tuple(whole), **more)


def session(start: datetime, *parts: dict[str, Any]) -> SessionUse:
    """Each part is a period: its `minutes` (or `seconds`), and what was used in it."""
    periods = []
    for part in parts:
        used = dict(part)
        length = timedelta(minutes=used.pop("minutes", 0), seconds=used.pop("seconds", 0))
        kwh = Decimal(str(used.pop("kwh", 0)))
        periods.append(ChargingPeriod(start, kwh, **used))
        start += length
    return SessionUse(tuple(periods), start)


def booked(start: datetime, minutes: int, outcome: str = "USED", **more: Any) -> BookedSlot:
    end = start + timedelta(minutes=minutes)
    return BookedSlot(Period(start, end), BookingOutcome[outcome], **more)


def bill_of(
    content: TariffContent,
    use: SessionUse | None = None,
    booking: BookedSlot | None = None,
    zone: ZoneInfo = BERLIN,
) -> Bill:
    return price(Visit(use, booking), zone, charging=content, booking=content)


def net(*args: Any, **more: Any) -> Decimal:
    return bill_of(*args, **more).total.before_taxes


def lines(bill: Bill) -> list[tuple[Any, ...]]:
    """Dimension, element, billed, before taxes of each."""
    return [
        (line.dimension and line.dimension.name, line.element, line.billed, line.cost.before_taxes)
        for line in bill.lines
    ]
