"""Three visits that everybody knows, priced under a tariff while it is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from bookings.models import Tariff
from bookings.pages.price_parts import PriceParts, bill_parts
from bookings.pricing.price import price
from bookings.pricing.tariff_content import TariffContent
from bookings.pricing.visits import BookedSlot, BookingOutcome, ChargingPeriod, SessionUse, Visit
from depots.periods import Period

SATURDAY = 6


@dataclass(frozen=True)
class ExampleVisit:
    title: str
    what: str
    price: PriceParts


def example_visits(content: TariffContent, kind: str, zone: ZoneInfo, *, today: date) -> list[ExampleVisit]:
    if kind == Tariff.Kind.BOOKING:
        return [
            ExampleVisit(title, what, bill_parts(price(visit, zone, booking=content)))
            for title, what, visit in _bookings(zone, today)
        ]
    return [
        ExampleVisit(title, what, bill_parts(price(visit, zone, charging=content)))
        for title, what, visit in _charging(zone, today)
    ]


def _charging(zone: ZoneInfo, today: date) -> Iterator[tuple[str, str, Visit]]:
    weekday, saturday = _next(today, 3), _next(today, SATURDAY)
    noon = _at(weekday, 12, zone)
    yield "At midday", "Wednesday 12:00, 250 kWh in 45 min, then gone", _visit(noon, "250", 45, 0)
    evening = _at(weekday, 20, zone)
    yield (
        "Overnight",
        "Wednesday 20:00, 400 kWh in 2 h, then parked until 06:00",
        _visit(evening, "400", 120, 480),
    )
    weekend = _at(saturday, 9, zone)
    yield "Saturday", "9:00, 150 kWh in 1 h, then parked for 1 h 30 min", _visit(weekend, "150", 60, 90)


def _bookings(zone: ZoneInfo, today: date) -> Iterator[tuple[str, str, Visit]]:
    start = _at(_next(today, 3), 10, zone)
    slot = Period(start, start + timedelta(minutes=90))
    late = slot.ends_at + timedelta(minutes=30)
    yield "Booked and used", "1 h 30 min, left 30 min late", Visit(booking=BookedSlot(slot, ended_at=late))
    yield "Nobody came", "1 h 30 min booked", Visit(booking=BookedSlot(slot, BookingOutcome.NO_SHOW))
    yield (
        "Cancelled too late",
        "1 h 30 min booked",
        Visit(booking=BookedSlot(slot, BookingOutcome.CANCELLED)),
    )


def _visit(start: datetime, kwh: str, charging_min: int, parking_min: int) -> Visit:
    charged_at = start + timedelta(minutes=charging_min)
    power = Decimal(kwh) * 60 / charging_min
    periods = [ChargingPeriod(start, Decimal(kwh), charging_s=charging_min * 60, power_kw=power)]
    if parking_min:
        periods.append(ChargingPeriod(charged_at, parking_s=parking_min * 60))
    return Visit(session=SessionUse(tuple(periods), charged_at + timedelta(minutes=parking_min)))


def _next(today: date, weekday: int) -> date:
    return today + timedelta(days=(weekday - today.isoweekday()) % 7 or 7)


def _at(day: date, hour: int, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(hour), zone)
