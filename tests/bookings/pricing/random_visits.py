"""Tariffs with every restriction and sessions of every shape, on whole minutes, for tests of what holds for all."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from bookings.pricing.tariff_content import (
    Dimension,
    ElementUse,
    PriceComponent,
    PriceLimit,
    Restrictions,
    TariffContent,
    TariffElement,
    TaxIncluded,
)
from bookings.pricing.visits import BookedSlot, BookingOutcome, ChargingPeriod, SessionUse, Visit
from depots.periods import Period
from tests.bookings.pricing.worked import local

KWH_A_MINUTE = Decimal("0.5")
# Nights of 25 and 23 hours, an ordinary day, a change of month.
STARTS = [
    local(day) for day in ("2026-10-24T20:00", "2026-03-28T21:00", "2026-11-23T06:00", "2026-11-30T22:00")
]
prices = st.integers(0, 2000).map(lambda cents: Decimal(cents) / 100)
TAXED = [Decimal(7), Decimal("5.2"), Decimal(19), Decimal(20)]
times = st.none() | st.sampled_from([time(hour, minute) for hour in range(24) for minute in (0, 30)])
powers = st.none() | st.integers(0, 12).map(lambda tens: Decimal(tens * 10))


def components(dimensions: list[Dimension], rates: st.SearchStrategy) -> st.SearchStrategy[PriceComponent]:
    steps = st.sampled_from([0, 1, 60, 100, 300, 900])
    return st.builds(PriceComponent, st.sampled_from(dimensions), prices, rates, steps)


@st.composite
def restrictions(draw: Any, use: ElementUse) -> Restrictions:
    """One or two kinds at a time, so that most elements hold at some moment."""
    is_of_charging = use is ElementUse.CHARGING
    kinds = draw(st.sets(st.sampled_from(["clock", "days", "dates", "duration", "kwh", "power"]), max_size=2))
    asked: dict[str, Any] = {}
    if "clock" in kinds:
        asked |= {"start_time": draw(times), "end_time": draw(times)}
    if "days" in kinds:
        asked["weekdays"] = draw(st.frozensets(st.integers(1, 7)))
    if "dates" in kinds:
        days = st.none() | st.integers(-1, 2).map(lambda after: STARTS[0].date() + timedelta(days=after))
        asked |= {"start_date": draw(days), "end_date": draw(days | st.just(date(2026, 11, 24)))}
    if "duration" in kinds:
        minutes = st.none() | st.integers(0, 200).map(lambda n: n * 60)
        asked |= {"min_duration_s": draw(minutes), "max_duration_s": draw(minutes)}
    if "kwh" in kinds and is_of_charging:
        kwhs = st.none() | st.integers(0, 60).map(lambda n: n * KWH_A_MINUTE)
        asked |= {"min_kwh": draw(kwhs), "max_kwh": draw(kwhs)}
    if "power" in kinds and is_of_charging:
        asked |= {"min_power_kw": draw(powers), "max_power_kw": draw(powers)}
    return Restrictions(**asked)


@st.composite
def elements(draw: Any, uses: list[ElementUse], rates: st.SearchStrategy) -> TariffElement:
    use = draw(st.sampled_from(uses))
    dimensions = list(Dimension) if use is ElementUse.CHARGING else [Dimension.FLAT, Dimension.TIME]
    parts = draw(st.lists(components(dimensions, rates), min_size=1, max_size=3))
    return TariffElement(tuple(parts), draw(restrictions(use)), use)


@st.composite
def tariffs(draw: Any, *, is_limited: bool = False) -> TariffContent:
    """A limited one knows a tax for each of its prices."""
    uses = [ElementUse.CHARGING] * 4 + list(ElementUse)
    rates = st.sampled_from(TAXED if is_limited else [None, Decimal(0), *TAXED])
    found = draw(st.lists(elements(uses, rates), min_size=1, max_size=7))
    included = [TaxIncluded.YES, TaxIncluded.NO] if is_limited else list(TaxIncluded)
    content = TariffContent(
        draw(st.sampled_from(["EUR", "JPY", "KWD"])),
        tuple(found),
        tax_included=draw(st.sampled_from(included)),
    )
    if not is_limited:
        return content
    least, most = draw(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted))
    return replace(content, min_price=draw(limits(least)), max_price=draw(limits(most)))


def limits(before_taxes: int) -> st.SearchStrategy[PriceLimit | None]:
    after = st.none() | st.just(before_taxes * Decimal("1.1"))
    return st.none() | after.map(lambda amount: PriceLimit(Decimal(before_taxes), amount))


@st.composite
def sessions(draw: Any, start: datetime, *, reserved: bool = False) -> SessionUse:
    periods: list[ChargingPeriod] = []
    if reserved:
        minutes = draw(st.integers(1, 90))
        periods.append(ChargingPeriod(start, reserved_s=minutes * 60))
        start += timedelta(minutes=minutes)
    for minutes in draw(st.lists(st.integers(1, 90), min_size=1, max_size=6)):
        charges = draw(st.booleans())
        used: dict[str, Any] = {"charging_s": minutes * 60} if charges else {"parking_s": minutes * 60}
        if charges and draw(st.booleans()):
            used["energy_kwh"] = minutes * KWH_A_MINUTE
        if draw(st.booleans()):
            used |= {"min_power_kw": draw(powers), "max_power_kw": draw(powers), "power_kw": draw(powers)}
        periods.append(ChargingPeriod(start, **used))
        start += timedelta(minutes=minutes)
    return SessionUse(tuple(periods), start)


@st.composite
def visits(draw: Any) -> Visit:
    start = draw(st.sampled_from(STARTS)) + timedelta(minutes=draw(st.integers(0, 600)))
    kind = draw(st.sampled_from(["session", "reserved", "booked", "not used"]))
    session = draw(sessions(start, reserved=kind == "reserved")) if kind != "not used" else None
    if kind in {"session", "reserved"}:
        return Visit(session)
    end = start + timedelta(minutes=draw(st.integers(1, 240)))
    outcomes = [BookingOutcome.USED] if session else [BookingOutcome.NO_SHOW, BookingOutcome.CANCELLED]
    return Visit(session, BookedSlot(Period(start, end), draw(st.sampled_from(outcomes))))
