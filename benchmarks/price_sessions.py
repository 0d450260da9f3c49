"""Sessions of a hundred periods by the shipped pricing, against the multiplication nobody can do without.

The bare side multiplies each period's energy and time by a price, in Decimal, and adds up. Both sides take the same periods,
session after session in turn, by the processor's time; what a session object costs to build belongs to the product's side.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from statistics import median
from time import process_time
from typing import Any
from zoneinfo import ZoneInfo

from benchmarks.result import Result
from bookings.pricing.bills import Bill
from bookings.pricing.price import price
from bookings.pricing.tariff_content import (
    Dimension,
    PriceComponent,
    PriceLimit,
    Restrictions,
    TariffContent,
    TariffElement,
)
from bookings.pricing.visits import ChargingPeriod, SessionUse, Visit

SESSIONS, PERIODS, PARKED, BATCH = 10_000, 100, 8, 100
# The periods of a session, and when it ends.
Recorded = tuple[tuple[ChargingPeriod, ...], datetime]
ZONE = ZoneInfo("Europe/Berlin")
WORKDAYS, WEEKEND = frozenset(range(1, 6)), frozenset({6, 7})
PER_KWH, PER_SECOND = Decimal("0.39"), Decimal("0.0005")


def run(names: list[str]) -> Iterator[Result]:
    tariff, chance = _tariff(), random.Random(7)
    ratios: list[float] = []
    elements: set[int | None] = set()
    ours = bare = 0.0
    gc.freeze()  # what Django loaded is not looked through again for what is priced here
    for batch in range(SESSIONS // BATCH):
        sessions = [_session(chance) for _ in range(BATCH)]
        # Who comes second finds the periods in the processor's cache.
        if batch % 2:
            took_bare, _ = _timed(_multiplied, sessions, tariff)
            took, bills = _timed(_priced, sessions, tariff)
        else:
            took, bills = _timed(_priced, sessions, tariff)
            took_bare, _ = _timed(_multiplied, sessions, tariff)
        elements |= {line.element for bill in bills for line in bill.lines}
        ratios.append(took / took_bare)
        ours, bare = ours + took, bare + took_bare
    yield Result(
        "price_sessions",
        ours / bare,
        "<= 8",
        {
            "sessions": SESSIONS,
            "periods": PERIODS,
            "elements": len(tariff.elements),
            "elements_that_priced": len(elements - {None}),
            "us_a_session": round(ours / SESSIONS * 1e6, 1),
            "bare_us_a_session": round(bare / SESSIONS * 1e6, 1),
            "ratio_of_batches": [round(min(ratios), 2), round(median(ratios), 2), round(max(ratios), 2)],
        },
    )


def _timed(
    work: Callable[[list[Recorded], TariffContent], Any], sessions: list[Recorded], tariff: TariffContent
) -> Any:
    """Seconds of the processor, and what came out."""
    began = process_time()
    results = work(sessions, tariff)
    return process_time() - began, results


def _priced(sessions: list[Recorded], tariff: TariffContent) -> list[Bill]:
    return [price(Visit(SessionUse(periods, end)), ZONE, charging=tariff) for periods, end in sessions]


def _multiplied(sessions: list[Recorded], _: TariffContent) -> list[Decimal]:
    totals = []
    for periods, _end in sessions:
        total = Decimal()
        for period in periods:
            assert period.charging_s is not None
            total += period.energy_kwh * PER_KWH + period.charging_s * PER_SECOND
        totals.append(total)
    return totals


def _session(chance: random.Random) -> Recorded:
    """One of an autumn, at any time of the day: power falls with noise in it, and the last periods are parking."""
    start = datetime(2026, 10, 1, tzinfo=UTC) + timedelta(minutes=chance.randrange(60 * 24 * 60))
    length = chance.choice((60, 90, 120, 240)) * 60 // PERIODS
    peak_kw = chance.choice((60, 150, 350))
    powers = [peak_kw * min(1, (PERIODS - n) / 60) * chance.uniform(0.97, 1) for n in range(PERIODS - PARKED)]
    periods = [
        ChargingPeriod(
            start + timedelta(seconds=n * length),
            Decimal(int(kw * length / 3.6)) / 1000,
            charging_s=length if kw else 0,
            parking_s=0 if kw else length,
            min_power_kw=Decimal(f"{kw * 0.98:.1f}"),
            max_power_kw=Decimal(f"{kw * 1.02:.1f}"),
        )
        for n, kw in enumerate((*powers, *[0.0] * PARKED))
    ]
    return tuple(periods), start + timedelta(seconds=PERIODS * length)


def _tariff() -> TariffContent:
    """Each of its elements prices something of some session."""
    night = Restrictions(start_time=time(22), end_time=time(6))
    evening = Restrictions(start_time=time(17), end_time=time(20), weekdays=WORKDAYS)
    elements = (
        (_component(Dimension.FLAT, "1.50"), Restrictions()),
        (_component(Dimension.ENERGY, "0.29"), night),
        (_component(Dimension.ENERGY, "0.55"), Restrictions(min_power_kw=Decimal(200))),
        (_component(Dimension.ENERGY, "0.45"), evening),
        (_component(Dimension.ENERGY, "0.37"), Restrictions(min_kwh=Decimal(100))),
        (_component(Dimension.ENERGY, "0.35"), Restrictions(max_power_kw=Decimal(50))),
        (_component(Dimension.ENERGY, "0.36"), Restrictions(weekdays=WEEKEND)),
        (_component(Dimension.ENERGY, "0.39", 100), Restrictions()),
        (_component(Dimension.TIME, "0"), Restrictions(max_duration_s=2700)),
        (_component(Dimension.TIME, "3.00", 60), Restrictions(start_time=time(6), end_time=time(22))),
        (_component(Dimension.PARKING_TIME, "12", 300), Restrictions(start_time=time(8), end_time=time(20))),
        (_component(Dimension.PARKING_TIME, "6", 300), Restrictions()),
    )
    return TariffContent(
        "EUR",
        tuple(TariffElement((component,), restrictions) for component, restrictions in elements),
        max_price=PriceLimit(Decimal(400)),
    )


def _component(dimension: Dimension, amount: str, step: int = 1) -> PriceComponent:
    return PriceComponent(dimension, Decimal(amount), Decimal(19), step)
