"""The pricing rules OCPI leaves open, each by a worked example."""

from __future__ import annotations

from datetime import time, timedelta
from decimal import Decimal

import pytest

from bookings.pricing.bills import Amount
from bookings.pricing.price import MixedCurrencies, price
from bookings.pricing.tariff_content import PriceLimit, TaxIncluded
from bookings.pricing.visits import Visit
from tests.bookings.pricing.worked import (
    BERLIN,
    MONDAY,
    bill_of,
    booked,
    element,
    energy,
    flat,
    hourly,
    lines,
    local,
    net,
    parking,
    session,
    tariff,
)

HOUR = {"minutes": 60, "kwh": 20}


def D(text: object) -> Decimal:  # noqa: N802 - reads as the constructor it stands for
    return Decimal(str(text))


class TestFlat:
    def test_is_billed_once_a_session_by_the_first_that_comes_into_force(self):
        content = tariff(element(flat(3), start_time=time(10)), element(flat(1)))

        assert lines(bill_of(content, session(MONDAY, HOUR, HOUR))) == [("FLAT", 1, 1, 1)]

    def test_with_a_least_duration_is_billed_when_that_is_reached(self):
        content = tariff(element(flat(5), min_duration_s=3600))

        assert net(content, session(MONDAY, {"minutes": 59})) == 0
        assert net(content, session(MONDAY, {"minutes": 61})) == 5

    @pytest.mark.parametrize("reached", [{"min_duration_s": 3600}, {"min_kwh": D(20)}])
    def test_with_a_least_amount_is_billed_when_that_is_reached_exactly_at_the_end(self, reached):
        content = tariff(element(flat(5), **reached))

        assert net(content, session(MONDAY, HOUR)) == 5
        assert net(content, session(MONDAY, {"minutes": 30, "kwh": 10}, {"minutes": 30, "kwh": 10}, {})) == 5
        assert net(content, session(MONDAY, {"minutes": 59, "kwh": "19.9"})) == 0

    def test_of_a_booking_with_a_least_duration_is_billed_for_a_slot_of_that_length(self):
        content = tariff(element(flat(5), use="BOOKING", min_duration_s=7200))

        assert net(content, None, booked(MONDAY, 120)) == 5
        assert net(content, None, booked(MONDAY, 119)) == 0

    def test_is_judged_at_the_end_by_the_clock_and_the_power_just_before_it(self):
        until_ten = tariff(element(flat(5), min_duration_s=3600, end_time=time(10)))
        from_ten = tariff(element(flat(5), min_duration_s=3600, start_time=time(10)))
        slowly = tariff(element(flat(5), min_duration_s=3600, max_power_kw=D(20)))

        assert net(until_ten, session(MONDAY, HOUR)) == 5
        assert net(from_ten, session(MONDAY, HOUR)) == 0
        assert net(slowly, session(MONDAY, HOUR)) == 0

    def test_that_comes_into_force_while_another_was_billed_is_not(self):
        content = tariff(element(flat(5), min_duration_s=3600), flat(1))

        assert net(content, session(MONDAY, {"minutes": 120})) == 1

    def test_of_reservation_booking_and_charging_is_billed_for_each(self):
        content = tariff(
            flat(1), element(flat(2), use="RESERVATION"), element(flat(4), use="BOOKING"),
            element(flat(8), use="OVERTIME"),
        )  # fmt: skip

        with_booking = bill_of(content, session(MONDAY, {"minutes": 61}), booked(MONDAY, 60))
        with_reservation = bill_of(content, session(MONDAY, {"minutes": 5, "reserved_s": 300}, HOUR))

        assert (with_booking.fixed.before_taxes, with_booking.reservation.before_taxes) == (1, 12)
        assert (with_reservation.fixed.before_taxes, with_reservation.reservation.before_taxes) == (1, 2)


class TestSteps:
    def test_round_the_total_of_energy_once_by_the_last_component(self):
        content = tariff(element(energy("0.20", step=500), end_time=time(10)), energy("0.27", step=500))

        bill = bill_of(content, session(MONDAY, {"minutes": 60, "kwh": "4.3"}, {"minutes": 60, "kwh": "1.1"}))

        assert lines(bill) == [("ENERGY", 0, D("4.3"), D("0.86")), ("ENERGY", 1, D("1.2"), D("0.324"))]

    def test_round_energy_up_to_whole_watt_hours_with_a_step_of_one(self):
        assert lines(bill_of(tariff(energy("0.25")), session(MONDAY, {"minutes": 9, "kwh": "0.1152"}))) == [
            ("ENERGY", 0, D("0.116"), D("0.029"))
        ]

    def test_round_only_the_parking_of_a_session_that_parked(self):
        content = tariff(hourly(1, step=600), parking(2, step=600))

        bill = bill_of(content, session(MONDAY, {"minutes": 21}, {"minutes": 16, "parking_s": 960}))

        assert [(line.quantity, line.billed) for line in bill.lines] == [
            (D("0.35"), D("0.35")),
            (D("0.2667"), D("0.3333")),
        ]

    def test_round_only_the_parking_also_when_charging_resumes_after_it(self):
        content = tariff(hourly(1, step=3600), parking(6, step=600))

        bill = bill_of(
            content, session(MONDAY, {"minutes": 20}, {"minutes": 5, "parking_s": 300}, {"minutes": 10})
        )

        assert lines(bill) == [("TIME", 0, D("0.5"), D("0.5")), ("PARKING_TIME", 1, D("0.1667"), 1)]

    def test_round_charging_where_no_component_prices_the_parking(self):
        bill = bill_of(
            tariff(hourly(6, step=600)), session(MONDAY, {"minutes": 21}, {"parking_s": 300, "minutes": 5})
        )

        assert lines(bill) == [("TIME", 0, D("0.5"), 3)]

    def test_count_what_is_priced_at_zero_and_not_what_nothing_prices(self):
        free_first = tariff(element(hourly(0), max_duration_s=1800), hourly(6, step=900))
        nothing_first = tariff(element(hourly(6, step=900), min_duration_s=1800))

        assert lines(bill_of(free_first, session(MONDAY, {"minutes": 40})))[1] == (
            "TIME",
            1,
            D("0.25"),
            D("1.5"),
        )
        assert lines(bill_of(nothing_first, session(MONDAY, {"minutes": 40}))) == [
            ("TIME", 0, D("0.25"), D("1.5"))
        ]
        assert lines(bill_of(free_first, session(MONDAY, {"minutes": 50})))[1] == ("TIME", 1, D("0.5"), 3)
        assert lines(bill_of(nothing_first, session(MONDAY, {"minutes": 50}))) == [("TIME", 0, D("0.5"), 3)]

    def test_are_those_of_the_last_component_that_priced_an_amount_above_zero(self):
        content = tariff(element(energy(1, step=1000), end_time=time(10)), energy(2, step=5000))

        bill = bill_of(
            content, session(MONDAY, {"minutes": 60, "kwh": "1.5"}, {"minutes": 60, "charging_s": 3600})
        )

        assert lines(bill) == [("ENERGY", 0, 2, 2)]

    def test_apply_to_booking_no_show_and_overtime_each_for_itself(self):
        content = tariff(
            element(hourly(6, step=3600), use="BOOKING"),
            element(hourly(60, step=600), use="OVERTIME"),
            element(hourly(12, step=1800), use="NO_SHOW"),
        )

        overtime = bill_of(content, None, booked(MONDAY, 90, ended_at=MONDAY + timedelta(minutes=95)))
        no_show = bill_of(content, None, booked(MONDAY, 40, "NO_SHOW"))

        assert lines(overtime) == [("TIME", 0, 2, 12), ("TIME", 1, D("0.1667"), 10)]
        assert lines(no_show) == [("TIME", 2, 1, 12)]

    def test_leave_seconds_alone_with_a_step_of_zero(self):
        assert lines(
            bill_of(tariff(energy(1, step=0)), session(MONDAY, {"minutes": 9, "kwh": "0.1152"}))
        ) == [("ENERGY", 0, D("0.1152"), D("0.1152"))]


class TestBookings:
    def test_a_no_show_is_priced_by_booking_where_no_show_has_no_such_dimension(self):
        content = tariff(element(flat(30), use="NO_SHOW"), element(flat(5), hourly(4), use="BOOKING"))

        assert net(content, None, booked(MONDAY, 90, "NO_SHOW")) == 36

    def test_an_expired_reservation_likewise(self):
        content = tariff(
            element(flat(4), use="RESERVATION_EXPIRED"),
            element(flat(9), hourly(2), use="RESERVATION"),
            flat("0.5"),
        )

        assert net(content, session(MONDAY, {"minutes": 60, "expired_s": 3600})) == 6

    def test_a_late_cancellation_is_priced_by_its_own_elements_alone_and_has_no_time(self):
        content = tariff(
            element(flat(20), hourly(50), use="LATE_CANCELLATION"), element(flat(5), hourly(4), use="BOOKING")
        )

        assert lines(bill_of(content, None, booked(MONDAY, 90, "CANCELLED"))) == [("FLAT", 0, 1, 20)]

    def test_a_late_cancellation_is_judged_at_the_booked_start(self):
        content = tariff(
            element(flat(20), use="LATE_CANCELLATION", end_time=time(9)),
            element(flat(10), use="LATE_CANCELLATION", start_time=time(9)),
        )

        assert net(content, None, booked(MONDAY, 90, "CANCELLED")) == 10
        assert net(content, None, booked(MONDAY - timedelta(minutes=1), 90, "CANCELLED")) == 20

    def test_overtime_runs_from_the_booked_end_and_late_stop_to_the_end_of_the_session_parking_included(self):
        content = tariff(element(hourly(60), flat(2), use="OVERTIME"))
        stayed = session(MONDAY, {"minutes": 60}, {"minutes": 30, "parking_s": 1800})

        bill = bill_of(content, stayed, booked(MONDAY, 60, late_stop=timedelta(minutes=10)))

        assert bill.reservation.before_taxes == 22
        assert bill.total.before_taxes == 22
        assert net(content, stayed, booked(MONDAY, 60)) == 32
        assert net(content, stayed, booked(MONDAY, 90)) == 0
        assert net(content, stayed, booked(MONDAY, 60, "NO_SHOW")) == 0

    def test_the_end_that_decides_overtime_is_the_one_told_else_the_sessions(self):
        content = tariff(element(hourly(60), use="OVERTIME"))
        stayed = session(MONDAY, {"minutes": 90})

        assert net(content, stayed, booked(MONDAY, 60, ended_at=MONDAY + timedelta(minutes=61))) == 1
        assert net(content, stayed, booked(MONDAY, 60)) == 30
        assert net(content, None, booked(MONDAY, 60)) == 0

    def test_booked_time_is_cut_where_a_restriction_changes(self):
        content = tariff(
            element(hourly(10), use="BOOKING", end_time=time(10)), element(hourly(4), use="BOOKING")
        )

        assert lines(bill_of(content, None, booked(MONDAY, 90))) == [
            ("TIME", 0, 1, 10),
            ("TIME", 1, D("0.5"), 2),
        ]

    def test_durations_and_kwh_of_booking_elements_count_from_the_booked_start(self):
        late = session(MONDAY + timedelta(minutes=30), {"minutes": 30, "kwh": 30})
        by_duration = tariff(element(hourly(6), use="BOOKING", min_duration_s=1800))
        by_kwh = tariff(element(hourly(6), use="BOOKING", max_kwh=D(10)))
        overtime = tariff(element(hourly(60), use="OVERTIME", min_duration_s=5400))

        assert net(by_duration, late, booked(MONDAY, 60)) == 3
        assert net(by_kwh, late, booked(MONDAY, 60)) == 4
        assert net(overtime, None, booked(MONDAY, 60, ended_at=MONDAY + timedelta(minutes=100))) == 10

    def test_energy_in_a_booked_slot_is_shared_out_exactly(self):
        """Two of three hours hold 6.66… kWh, of which 5 are used after an hour and a half, and not a hair before."""
        first = tariff(element(hourly("0.01", step=0), use="BOOKING", max_kwh=D(5)))
        rest = tariff(element(hourly(1, step=1800), use="BOOKING", min_kwh=D(5)))
        use, slot = session(MONDAY, {"minutes": 180, "kwh": 10}), booked(MONDAY + timedelta(hours=1), 120)

        assert net(first, use, slot) == D("0.02")
        assert lines(bill_of(rest, use, slot)) == [("TIME", 0, D("0.5"), D("0.5"))]

    def test_a_booked_slot_may_begin_before_and_end_after_the_session(self):
        content = tariff(element(hourly(6), use="BOOKING", max_kwh=D(10)))
        use = session(MONDAY + timedelta(minutes=30), {"minutes": 60, "kwh": 20})

        assert net(content, use, booked(MONDAY, 120)) == 6
        assert net(content, use, booked(MONDAY - timedelta(hours=2), 60)) == 6

    def test_an_element_that_asks_for_power_never_prices_a_booking(self):
        content = tariff(element(hourly(6), use="BOOKING", max_power_kw=D(50)))

        assert net(content, session(MONDAY, HOUR), booked(MONDAY, 60)) == 0

    def test_a_booking_element_never_hides_the_price_of_the_charging(self):
        content = tariff(element(hourly(10), use="BOOKING"), hourly(1))

        bill = bill_of(content, session(MONDAY, HOUR), booked(MONDAY, 60))

        assert (bill.time.before_taxes, bill.reservation.before_taxes) == (1, 10)

    def test_without_a_booking_no_booking_element_applies_and_without_a_session_none_of_charging(self):
        content = tariff(element(flat(10), use="BOOKING"), flat(1))

        assert net(content, session(MONDAY, HOUR)) == 1
        assert net(content, None, booked(MONDAY, 60)) == 10


class TestLimits:
    FEES = (element(flat(7), use="BOOKING"), element(flat(1), use="RESERVATION"))

    def test_bound_the_charging_alone(self):
        content = tariff(energy(1), *self.FEES, max_price=PriceLimit(D(10)))

        bill = bill_of(content, session(MONDAY, HOUR), booked(MONDAY, 60))

        assert bill.total.before_taxes == 17
        assert [line.cost.before_taxes for line in bill.lines if line.is_limit] == [-10]
        assert bill.energy.before_taxes == 20

    def test_leave_a_visit_without_session_alone(self):
        content = tariff(
            energy(1), *self.FEES, element(flat(3), use="RESERVATION_EXPIRED"), min_price=PriceLimit(D(10))
        )

        assert net(content, None, booked(MONDAY, 60)) == 7
        assert net(content, session(MONDAY, {"minutes": 60, "expired_s": 3600})) == 3

    def test_bound_before_and_after_taxes_each_for_itself(self):
        content = tariff(energy("0.50", vat=20), max_price=PriceLimit(D(10), D(11)))

        before_only = bill_of(content, session(MONDAY, {"minutes": 9, "kwh": 19}))
        both = bill_of(content, session(MONDAY, {"minutes": 9, "kwh": 21}))

        assert (before_only.total.before_taxes, before_only.total.after_taxes) == (D("9.50"), 11)
        assert (both.total.before_taxes, both.total.after_taxes) == (10, 11)

    def test_without_a_bound_after_taxes_the_tax_keeps_its_share(self):
        content = tariff(flat(2, vat=10), energy(1, vat=20), min_price=PriceLimit(D(10)))

        bill = bill_of(content, session(MONDAY, {"minutes": 9, "kwh": 2}))

        assert bill.total.before_taxes == 10
        assert [(tax.percentage, tax.amount) for tax in bill.total.taxes] == [(10, D("0.5")), (20, 1)]

    def test_of_charging_that_cost_nothing_bear_the_tariffs_one_tax(self):
        content = tariff(energy(1, vat=20), min_price=PriceLimit(D(10)))

        assert bill_of(content, session(MONDAY, {"minutes": 9})).total.after_taxes == 12

    def test_of_charging_that_cost_nothing_at_two_rates_bear_no_tax_of_both_together(self):
        content = tariff(element(flat(0, vat=20), energy(0, vat=10)), min_price=PriceLimit(D(10)))

        assert bill_of(content, session(MONDAY, HOUR)).total.after_taxes == 10

    @pytest.mark.parametrize(
        "components", [[energy(1)], [energy(1, vat=10), parking(1, vat=20)]], ids=["no rate", "two rates"]
    )
    def test_of_the_least_after_taxes_are_reached_where_no_rate_says_how(self, components):
        content = tariff(element(*components), min_price=PriceLimit(D(10), D(12)))

        total = bill_of(content, session(MONDAY, {"minutes": 9})).total

        assert (total.before_taxes, total.after_taxes) == (10, 12)
        assert [(tax.percentage, tax.amount) for tax in total.taxes] == [(None, 2)]

    def test_of_the_most_after_taxes_bound_for_themselves_where_no_rate_is_known(self):
        content = tariff(energy(1), max_price=PriceLimit(D(10), D(11)))

        total = bill_of(content, session(MONDAY, {"minutes": 60, "kwh": 20})).total

        assert (total.before_taxes, total.after_taxes) == (10, 11)

    def test_after_taxes_say_nothing_where_taxes_do_not_apply(self):
        content = tariff(
            energy(1, vat=20),
            min_price=PriceLimit(D(30), D(36)),
            tax_included=TaxIncluded.NOT_APPLICABLE,
        )

        assert bill_of(content, session(MONDAY, HOUR)).total == Amount(D(30))


class TestTaxes:
    @pytest.mark.parametrize(
        ("included", "before", "after"),
        [
            (TaxIncluded.NO, "10", "12"),
            (TaxIncluded.YES, "8.33", "10"),
            (TaxIncluded.NOT_APPLICABLE, "10", "10"),
        ],
    )
    def test_are_in_the_price_on_top_of_it_or_none(self, included, before, after):
        total = bill_of(tariff(flat(10, vat=20), tax_included=included), session(MONDAY, HOUR)).total

        assert (total.before_taxes, total.after_taxes) == (D(before), D(after))

    def test_included_in_a_price_without_rate_stay_in_it(self):
        total = bill_of(
            tariff(hourly("2.10"), tax_included=TaxIncluded.YES), session(MONDAY, {"minutes": 150})
        ).total

        assert (total.before_taxes, total.taxes) == (D("5.25"), ())

    def test_are_one_entry_a_rate(self):
        content = tariff(flat(1, vat=20), energy(1, vat="20.0"), hourly(1, vat=10))

        assert [(t.percentage, t.amount) for t in bill_of(content, session(MONDAY, HOUR)).total.taxes] == [
            (20, D("4.2")),
            (10, D("0.1")),
        ]


class TestRounding:
    def test_totals_are_each_rounded_half_up_and_the_largest_tax_takes_up_the_difference(self):
        content = tariff(flat("0.50", vat=20), energy("0.25", vat=10, step=100))

        bill = bill_of(content, session(MONDAY, {"minutes": 60, "kwh": "20.45"}))

        assert (bill.total.before_taxes, bill.total.after_taxes) == (D("5.63"), D("6.24"))
        assert [tax.amount for tax in bill.total.taxes] == [D("0.1"), D("0.51")]
        assert bill.energy.before_taxes == D("5.125")
        assert bill.energy.taxes[0].amount == D("0.5125")

    def test_no_tax_goes_below_zero_for_it(self):
        """Net 0.0103 and gross 0.0108 are both a cent, so no tax is left to share."""
        content = tariff(flat("0.01", vat="5.2"), hourly("0.05", vat=7), tax_included=TaxIncluded.YES)

        assert [tax.amount for tax in bill_of(content, session(MONDAY, {"minutes": 1})).total.taxes] == [0, 0]

    @pytest.mark.parametrize(("currency", "total"), [("JPY", "124"), ("EUR", "123.46"), ("KWD", "123.457")])
    def test_totals_have_the_decimals_of_their_currency(self, currency, total):
        kwh = {"JPY": "123.5", "EUR": "123.455", "KWD": "123.4565"}[currency]
        content = tariff(energy(1, step=0), currency=currency)

        assert net(content, session(MONDAY, {"minutes": 60, "kwh": kwh})) == D(total)

    def test_nothing_is_rounded_on_the_way(self):
        """A third of a cent three times is a cent, where each rounded by itself would be none."""
        content = tariff(
            element(hourly("0.01"), end_time=time(9, 20)),
            element(hourly("0.01"), end_time=time(9, 40)),
            hourly("0.01"),
        )

        assert net(content, session(MONDAY, {"minutes": 60})) == D("0.01")

    def test_written_lines_add_up_to_the_written_total(self):
        """Twice 0.00245 is 0.0049 and rounds to nothing; written with four decimals it would be 0.005 and a cent."""
        content = tariff(flat("0.00245"), element(energy("0.00245")))

        bill = bill_of(content, session(MONDAY, {"minutes": 60, "kwh": 1}))

        assert bill.total.before_taxes == 0
        assert sum(line.cost.before_taxes for line in bill.lines) == D("0.0049")

    def test_written_lines_with_their_taxes_add_up_to_the_total_with_its_taxes(self):
        """0.00489 with taxes is nothing; lines of 0.0027 and 0.0023 would be a cent."""
        content = tariff(flat("0.00226", vat=19), element(energy("0.00185", vat=19)))

        bill = bill_of(content, session(MONDAY, {"minutes": 60, "kwh": 1}))

        assert bill.total.after_taxes == 0
        assert sum(line.cost.after_taxes for line in bill.lines) == D("0.0049")


class TestClock:
    def test_a_night_is_judged_on_each_day_by_itself(self):
        """Saturday 22:00 to 06:00 holds on Saturday before 06:00 and from 22:00, not on Sunday."""
        content = tariff(element(hourly(1), weekdays=frozenset({6}), start_time=time(22), end_time=time(6)))

        assert net(content, session(local("2026-11-27T22:00"), {"minutes": 60 * 34})) == 8
        assert lines(bill_of(content, session(local("2026-11-28T04:00"), {"minutes": 180}))) == [
            ("TIME", 0, 2, 2)
        ]
        assert net(content, session(local("2026-11-29T00:00"), {"minutes": 360})) == 0

    def test_a_time_in_the_hour_that_comes_twice_holds_in_both(self):
        content = tariff(element(hourly(6), start_time=time(1, 30), end_time=time(2, 30)))

        assert net(content, session(local("2026-10-25T00:00"), {"minutes": 6 * 60})) == 9

    def test_a_time_in_the_hour_that_is_skipped_begins_after_it(self):
        content = tariff(element(hourly(6), start_time=time(2, 30), end_time=time(4)))

        assert net(content, session(local("2026-03-29T00:00"), {"minutes": 6 * 60})) == 6

    def test_a_start_alone_holds_until_midnight_an_end_alone_from_midnight_equal_ones_all_day(self):
        day = session(local("2026-11-24T00:00"), {"minutes": 24 * 60})

        assert net(tariff(element(hourly(1), start_time=time(18))), day) == 6
        assert net(tariff(element(hourly(1), end_time=time(18))), day) == 18
        assert net(tariff(element(hourly(1), start_time=time(18), end_time=time(0))), day) == 6
        assert net(tariff(element(hourly(1), start_time=time(7), end_time=time(7))), day) == 24

    def test_durations_and_kwh_count_from_the_first_period_that_is_no_reservation(self):
        content = tariff(
            element(hourly(6), min_duration_s=1800), element(energy(1), min_kwh=D(5)),
            element(hourly(60), use="RESERVATION", min_duration_s=60),
        )  # fmt: skip
        use = session(MONDAY, {"minutes": 60, "reserved_s": 3600}, {"minutes": 60, "kwh": 20})

        bill = bill_of(content, use)

        assert (bill.time.before_taxes, bill.energy.before_taxes, bill.reservation.before_taxes) == (3, 15, 0)


class TestFlow:
    PARTS = ("min_power_kw", "max_power_kw", "power_kw")

    @pytest.mark.parametrize(
        ("told", "holds"),
        [
            ({"min_power_kw": 49, "max_power_kw": 99, "power_kw": 99}, False),
            ({"min_power_kw": 50, "max_power_kw": 50, "power_kw": 10}, True),
            ({"power_kw": 50, "max_power_kw": 10}, True),
            ({"power_kw": 49, "max_power_kw": 99}, False),
            ({"max_power_kw": 50, "kwh": 1}, True),
            ({"kwh": 50}, True),
            ({"kwh": 49}, False),
            ({}, False),
        ],
    )
    def test_least_power_compares_with_the_least_then_the_mean_then_the_other_then_energy_by_length(
        self, told, holds
    ):
        content = tariff(element(flat(1), min_power_kw=D(50)))

        assert net(content, session(MONDAY, {"minutes": 60, **_decimals(told)})) == holds

    @pytest.mark.parametrize(
        ("told", "holds"),
        [
            ({"min_power_kw": 1, "max_power_kw": 50, "power_kw": 1}, False),
            ({"max_power_kw": 49, "power_kw": 99}, True),
            ({"power_kw": 49, "min_power_kw": 99}, True),
            ({"min_power_kw": 49, "kwh": 99}, True),
            ({"kwh": 50}, False),
            ({"kwh": 49}, True),
            ({}, True),
        ],
    )
    def test_greatest_power_likewise(self, told, holds):
        content = tariff(element(flat(1), max_power_kw=D(50)))

        assert net(content, session(MONDAY, {"minutes": 60, **_decimals(told)})) == holds

    @pytest.mark.parametrize(
        ("told", "holds"),
        [
            ({"min_current_a": 32, "current_a": 1}, True),
            ({"current_a": 32, "max_current_a": 1}, True),
            ({"max_current_a": 32}, True),
            ({"min_current_a": 31, "max_current_a": 64}, False),
            ({"kwh": 100}, False),
        ],
    )
    def test_currents_likewise_but_for_energy_by_length(self, told, holds):
        content = tariff(element(flat(1), min_current_a=D(32)))

        assert net(content, session(MONDAY, {"minutes": 60, **_decimals(told)})) == holds

    def test_without_a_value_the_element_does_not_apply(self):
        assert net(tariff(element(flat(1), max_current_a=D(32))), session(MONDAY, HOUR)) == 0
        assert (
            net(tariff(element(energy(1), max_power_kw=D(50))), session(MONDAY, {"kwh": 1}, {"minutes": 1}))
            == 0
        )


class TestPeriods:
    def test_without_a_time_are_charging_time_of_their_whole_length(self):
        content = tariff(hourly(6), parking(60))

        assert net(content, session(MONDAY, {"minutes": 30, "kwh": 5})) == 3
        assert net(content, session(MONDAY, {"minutes": 30, "parking_s": 600})) == 10
        assert net(content, session(MONDAY, {"minutes": 30, "charging_s": 600})) == 1

    def test_without_length_and_quantity_bring_no_price_into_force(self):
        content = tariff(element(flat(1), start_time=time(10)))

        assert net(content, session(MONDAY, {"minutes": 60}, {})) == 0
        assert net(content, session(MONDAY, {"minutes": 60}, {"kwh": 1})) == 1
        assert net(tariff(flat(1)), session(MONDAY, {})) == 1

    def test_an_element_that_is_not_understood_never_applies(self):
        content = tariff(element(energy(1), is_understood=False), energy(2))

        assert net(content, session(MONDAY, HOUR)) == 40


def test_one_visit_is_not_priced_in_two_currencies():
    visit = Visit(session(MONDAY, HOUR), booked(MONDAY, 60))

    with pytest.raises(MixedCurrencies):
        price(visit, BERLIN, charging=tariff(flat(1)), booking=tariff(flat(1), currency="SEK"))


def _decimals(told: dict[str, int]) -> dict[str, Decimal]:
    return {name: D(value) for name, value in told.items()}
