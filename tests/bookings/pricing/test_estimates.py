from __future__ import annotations

from datetime import time, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from bookings.pricing.bills import Bill
from bookings.pricing.estimates import estimate, fees_on_top
from bookings.pricing.price import price
from bookings.pricing.visits import BookedSlot, ChargingPeriod, SessionUse, Visit
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

HOUR = Period(MONDAY, MONDAY + timedelta(hours=1))
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
    element(flat(30, 19), use="NO_SHOW"),
    element(flat(20, 19), use="LATE_CANCELLATION"),
    element(flat(2, 7), hourly(60, 19, 60), use="OVERTIME"),
)


def test_an_estimate_says_what_it_assumes():
    told = estimate(HOUR, BERLIN, charging=CHARGING, booking=BOOKING, power_w=150_000, battery_wh=100_000)

    assert (told.energy_wh, told.charging_s, told.power_w) == (80_000, 1920, 150_000)
    assert told.assumption == (
        "Charging 80 kWh from the booked start, 32 min at 150 kW, and leaving before the booked time is over."
    )
    assert told.bill.reservation.before_taxes == 9
    assert told.bill.energy.before_taxes == Decimal("31.2")


def test_an_estimate_charges_all_the_booked_time_where_the_battery_is_not_known():
    told = estimate(HOUR, BERLIN, charging=CHARGING, booking=None, power_w=150_000)

    assert (told.energy_wh, told.charging_s) == (150_000, 3600)


def test_an_estimate_as_it_is_kept_names_total_currency_and_energy_and_holds_its_bill():
    told = estimate(HOUR, BERLIN, charging=CHARGING, booking=BOOKING, power_w=150_000)

    kept = told.to_json()

    assert kept["currency"] == "EUR"
    assert Decimal(kept["net"]) + Decimal(kept["vat"]) == Decimal(kept["total"])
    assert kept["energy_wh"] == 150_000
    assert Bill.from_json(kept["bill"]) == told.bill


def test_fees_on_top_are_what_would_be_billed():
    fees = fees_on_top(BOOKING, HOUR, BERLIN)

    assert fees.no_show is not None
    assert fees.no_show.before_taxes == 34
    assert fees.late_cancellation is not None
    assert fees.late_cancellation.after_taxes == Decimal("23.8")
    assert fees.overtime_hour is not None
    assert fees.overtime_hour.after_taxes == 60 * Decimal("1.19") + 2 * Decimal("1.07")


def test_fees_a_tariff_does_not_have_are_none():
    fees = fees_on_top(tariff(element(flat(5), use="BOOKING")), HOUR, BERLIN)

    assert (fees.no_show, fees.late_cancellation, fees.overtime_hour) == (None, None, None)


@given(
    start=st.integers(0, 60 * 24 * 14),
    minutes=st.integers(5, 600),
    power=st.integers(1, 1500),
    battery_minutes=st.none() | st.integers(1, 600),
    meter_s=st.integers(30, 900),
)
@settings(max_examples=60, deadline=None)
def test_a_quote_for_what_then_happens_equals_its_bill_to_the_cent(
    start, minutes, power, battery_minutes, meter_s
):
    """However often the meter is read while it happens: at 720 W, or a multiple, 0.2 Wh a second."""
    period = Period(MONDAY + timedelta(minutes=start), MONDAY + timedelta(minutes=start + minutes))
    battery_wh = None if battery_minutes is None else 15 * power * battery_minutes
    quote = estimate(
        period, BERLIN, charging=CHARGING, booking=BOOKING, power_w=720 * power, battery_wh=battery_wh
    )
    lengths = [min(meter_s, quote.charging_s - second) for second in range(0, quote.charging_s, meter_s)]
    periods = [
        ChargingPeriod(
            period.starts_at + timedelta(seconds=number * meter_s),
            Decimal("0.0002") * power * length,
            charging_s=length,
            power_kw=Decimal("0.72") * power,
        )
        for number, length in enumerate(lengths)
    ]
    ended = period.starts_at + timedelta(seconds=quote.charging_s)

    bill = price(
        Visit(SessionUse(tuple(periods), ended), BookedSlot(period)),
        BERLIN,
        charging=CHARGING,
        booking=BOOKING,
    )

    assert bill.total == quote.bill.total
