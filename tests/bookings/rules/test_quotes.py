"""A quote is the bill of what it assumes."""

from __future__ import annotations

from datetime import time, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from bookings.models import Vehicle
from bookings.pricing.price import price
from bookings.pricing.tariff_content import TariffContent
from bookings.pricing.visits import BookedSlot, ChargingPeriod, SessionUse, Visit
from bookings.rules.quotes import quoted
from bookings.rules.tariff_bindings import TariffInForce, Tariffs
from depots.periods import Period
from tests.bookings.pricing.worked import (
    BERLIN,
    MONDAY,
    element,
    energy,
    flat,
    hourly,
    parking,
    tariff,
)

CHARGING = tariff(
    flat(1, 19),
    element(energy("0.29", 19), start_time=time(22), end_time=time(6)),
    element(energy("0.59", 19, 100), min_power_kw=Decimal(200)),
    energy("0.39", 19, 100),
    element(hourly(6, 19, 900), min_duration_s=2700),
    parking(12, 19, 300),
)
BOOKING = tariff(
    element(flat(5, 19), hourly(4, 19, 1800), use="BOOKING"),
    element(hourly(60, 19, 60), use="OVERTIME"),
)


def held(content: TariffContent) -> TariffInForce:
    return TariffInForce(1, "T", "", 1, None, None, content)


@given(
    start=st.integers(0, 60 * 24 * 14),
    minutes=st.integers(5, 600),
    power=st.integers(1, 1500),
    battery_minutes=st.none() | st.integers(1, 600),
    meter_s=st.integers(30, 900),
)
@settings(max_examples=40, deadline=None)
def test_a_quote_for_what_then_happens_equals_its_bill_to_the_cent(
    start, minutes, power, battery_minutes, meter_s
):
    """However often the meter is read while it happens: at 720 W, or a multiple, 0.2 Wh a second."""
    period = Period(MONDAY + timedelta(minutes=start), MONDAY + timedelta(minutes=start + minutes))
    vehicle = None if battery_minutes is None else Vehicle(battery_wh=15 * power * battery_minutes)
    quote = quoted(
        Tariffs(held(CHARGING), held(BOOKING)), period, BERLIN, power_w=720 * power, vehicle=vehicle
    )
    assert quote is not None
    length_s, charged_s = minutes * 60, quote.expected.energy_wh * 5 // power
    turns = sorted({*range(0, length_s, meter_s), charged_s} - {length_s})
    periods = []
    for begin, end in zip(turns, [*turns[1:], length_s], strict=True):
        charges = begin < charged_s
        used = (
            {"charging_s": end - begin, "power_kw": Decimal("0.72") * power}
            if charges
            else {"parking_s": end - begin}
        )
        kwh = Decimal("0.0002") * power * (end - begin) * charges
        periods.append(ChargingPeriod(period.starts_at + timedelta(seconds=begin), kwh, **used))

    bill = price(
        Visit(SessionUse(tuple(periods), period.ends_at), BookedSlot(period)),
        BERLIN,
        charging=CHARGING,
        booking=BOOKING,
    )

    assert bill.total == quote.bill.total
