"""A worked example for every restriction: what of a session is priced, cut where the answer changes."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from tests.bookings.pricing.worked import (
    MONDAY,
    bill_of,
    element,
    energy,
    flat,
    hourly,
    lines,
    local,
    net,
    session,
    tariff,
)

D = Decimal
SECOND = 3600  # an hour, so that each second is one


@pytest.mark.parametrize(
    ("restrictions", "kwh"),
    [
        ({"start_time": time(10)}, 20),
        ({"end_time": time(9, 15)}, 5),
        ({"start_time": time(9, 15), "end_time": time(9, 30)}, 5),
        ({"start_time": time(22), "end_time": time(9, 3)}, 1),
        ({"start_date": date(2026, 11, 24)}, 0),
        ({"start_date": date(2026, 11, 23)}, 40),
        ({"end_date": date(2026, 11, 23)}, 0),
        ({"end_date": date(2026, 11, 24)}, 40),
        ({"weekdays": frozenset({1})}, 40),
        ({"weekdays": frozenset({2, 7})}, 0),
        ({"min_kwh": D(30)}, 10),
        ({"max_kwh": D(30)}, 30),
        ({"min_kwh": D("0.3"), "max_kwh": D("0.7")}, D("0.4")),
        ({"min_kwh": D(40)}, 0),
        ({"min_duration_s": 5400}, 10),
        ({"max_duration_s": 1}, D("0.0056")),
        ({"min_power_kw": D(20)}, 40),
        ({"min_power_kw": D("20.001")}, 0),
        ({"max_power_kw": D(20)}, 0),
        ({"max_power_kw": D("20.001")}, 40),
        ({"min_current_a": D(30), "max_current_a": D(31)}, 40),
        ({"min_current_a": D(31)}, 0),
        ({"max_current_a": D(30)}, 0),
        ({"min_duration_s": 1800, "end_time": time(10), "min_kwh": D(15)}, 5),
    ],
)  # fmt: skip
def test_energy_is_priced_while_all_restrictions_hold(restrictions, kwh):
    """Monday 09:00 to 11:00 in Berlin, 20 kW and 30 A: a third of a kWh a minute."""
    use = session(MONDAY, {"minutes": 120, "kwh": 40, "current_a": D(30)})

    (line,) = bill_of(tariff(element(energy(1, step=0), **restrictions)), use).lines or (None,)

    assert (line.billed if line else 0) == kwh


def test_time_and_energy_are_shared_evenly_where_a_period_is_cut_at_a_number_of_kwh():
    content = tariff(element(hourly(60), energy(1), max_kwh=D(10)), hourly(6))

    assert lines(bill_of(content, session(MONDAY, {"minutes": 60, "kwh": 30}))) == [
        ("ENERGY", 0, 10, 10),
        ("TIME", 0, D("0.3333"), 20),
        ("TIME", 1, D("0.6667"), 4),
    ]


def test_a_period_can_be_cut_by_kwh_clock_and_duration_at_once():
    content = tariff(
        element(energy(1), max_kwh=D(9)),
        element(energy(10), end_time=time(9, 20)),
        element(energy(100), max_duration_s=1800),
        energy(1000),
    )

    assert lines(bill_of(content, session(MONDAY, {"minutes": 60, "kwh": 60}))) == [
        ("ENERGY", 0, 9, 9),
        ("ENERGY", 1, 11, 110),
        ("ENERGY", 2, 10, 1000),
        ("ENERGY", 3, 30, 30_000),
    ]


def test_several_numbers_of_kwh_can_be_reached_in_one_period_and_in_no_time():
    content = tariff(element(energy(1), max_kwh=D(1)), element(energy(2), max_kwh=D(2)), energy(3))

    assert net(content, session(MONDAY, {"minutes": 9, "kwh": 4})) == 1 + 2 + 6
    assert net(content, session(MONDAY, {"kwh": 4}, {"minutes": 9})) == 1 + 2 + 6


def test_the_first_element_that_holds_prices_each_dimension_by_itself():
    content = tariff(element(energy(1), hourly(6), max_kwh=D(10)), element(energy(2)), hourly(60))

    assert lines(bill_of(content, session(MONDAY, {"minutes": 60, "kwh": 20}))) == [
        ("ENERGY", 0, 10, 10),
        ("TIME", 0, D("0.5"), 3),
        ("ENERGY", 1, 10, 20),
        ("TIME", 2, D("0.5"), 30),
    ]


def test_a_dimension_no_element_prices_costs_nothing():
    assert net(tariff(element(energy(1), min_kwh=D(100))), session(MONDAY, {"minutes": 60, "kwh": 20})) == 0


class TestMidnight:
    def test_ends_a_weekday_and_a_date_by_the_clock_of_the_depot(self):
        content = tariff(
            element(hourly(6), weekdays=frozenset({1})),
            element(hourly(60), start_date=date(2026, 11, 24), end_date=date(2026, 11, 25)),
        )
        use = session(local("2026-11-23T23:30"), {"minutes": 60})

        assert net(content, use) == 33
        assert net(content, use, zone=ZoneInfo("UTC")) == 6
        assert net(content, use, zone=ZoneInfo("Australia/Adelaide")) == 60

    def test_ends_a_time_to_midnight_and_begins_one_from_it(self):
        content = tariff(
            element(hourly(6), start_time=time(23), end_time=time(0)), element(hourly(60), end_time=time(1))
        )

        assert net(content, session(local("2026-11-23T22:00"), {"minutes": 240})) == 66

    def test_is_passed_by_a_time_that_holds_on_both_sides_of_it(self):
        content = tariff(element(hourly(6), start_time=time(23), end_time=time(1)))

        assert lines(bill_of(content, session(local("2026-11-23T22:00"), {"minutes": 240}))) == [
            ("TIME", 0, 2, 12)
        ]


class TestNightsWithAnotherHour:
    """In Berlin: 25 October 2026 has 02:00 to 03:00 twice, 29 March 2026 not at all."""

    @pytest.mark.parametrize(
        ("starts", "ends", "hours"),
        [
            (time(2), time(3), 2),
            (time(1, 30), time(2, 30), D("1.5")),
            (time(2, 30), time(4), 2),
            (time(0), time(4), 5),
            (time(22), time(6), 9),
        ],
    )
    def test_autumn(self, starts, ends, hours):
        content = tariff(element(hourly(SECOND), start_time=starts, end_time=ends))

        assert net(content, session(local("2026-10-24T22:00"), {"minutes": 9 * 60})) == hours * 3600

    @pytest.mark.parametrize(
        ("starts", "ends", "hours"),
        [
            (time(2), time(3), 0),
            (time(1, 30), time(2, 30), D("0.5")),
            (time(2, 30), time(4), 1),
            (time(0), time(4), 3),
            (time(22), time(6), 7),
        ],
    )
    def test_spring(self, starts, ends, hours):
        content = tariff(element(hourly(SECOND), start_time=starts, end_time=ends))

        assert net(content, session(local("2026-03-28T22:00"), {"minutes": 8 * 60})) == hours * 3600

    def test_durations_are_those_that_pass(self):
        content = tariff(element(hourly(SECOND), min_duration_s=3 * 3600))

        assert net(content, session(local("2026-10-25T00:00"), {"minutes": 5 * 60})) == 2 * 3600

    def test_zones_that_turn_by_half_an_hour_or_at_midnight(self):
        content = tariff(element(hourly(SECOND), start_time=time(1, 30), end_time=time(2, 30)))
        lord_howe = session(local("2026-04-04T12:00"), {"minutes": 12 * 60})  # at 02:00 back to 01:30
        beirut = tariff(element(hourly(SECOND), weekdays=frozenset({7})))  # 29 March 2026 begins at 01:00
        weekend = session(local("2026-03-28T12:00"), {"minutes": 36 * 60})

        assert net(content, lord_howe, zone=ZoneInfo("Australia/Lord_Howe")) == D("1.5") * 3600
        assert net(beirut, weekend, zone=ZoneInfo("Asia/Beirut")) == 23 * 3600


def test_a_flat_price_is_due_when_its_restriction_begins_to_hold_within_the_session():
    content = tariff(element(flat(5), start_time=time(10)))

    assert net(content, session(MONDAY, {"minutes": 60})) == 0
    assert net(content, session(MONDAY, {"minutes": 61})) == 5


def test_a_time_of_day_that_would_begin_when_the_session_ends_does_not():
    content = tariff(element(flat(5), start_time=time(10)), element(hourly(0), end_time=time(9, 30)))

    assert net(content, session(MONDAY, {"minutes": 60, "kwh": 20})) == 0
    assert net(content, session(MONDAY, {"minutes": 60, "kwh": 20}, {"minutes": 1})) == 5


def test_a_number_of_kwh_reached_at_the_end_of_a_period_holds_from_the_next():
    content = tariff(element(hourly(60), min_kwh=D(20)), hourly(6))

    assert net(content, session(MONDAY, {"minutes": 60, "kwh": 20}, {"minutes": 60})) == 66
