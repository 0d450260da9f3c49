"""What holds for every tariff and every visit."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bookings.pricing.bills import Bill
from bookings.pricing.price import price
from bookings.pricing.tariff_content import TariffContent
from bookings.pricing.visits import ChargingPeriod, SessionUse, Visit
from depots import currencies
from tests.bookings.pricing.random_visits import tariffs, visits
from tests.bookings.pricing.worked import BERLIN

quickly = settings(max_examples=40, deadline=None)


def bill_of(content: TariffContent, visit: Visit) -> Bill:
    return price(visit, BERLIN, charging=content, booking=content)


def in_money(amount: Decimal, content: TariffContent) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-currencies.decimals(content.currency)), ROUND_HALF_UP)


@given(tariffs() | tariffs(is_limited=True), visits(), st.data())
@quickly
def test_splitting_a_period_changes_nothing(content, visit, data):
    assume(visit.session is not None)
    session = visit.session
    number = data.draw(st.integers(0, len(session.periods) - 1))
    period, ends_at = list(session.stretches)[number]
    length = int((ends_at - period.starts_at).total_seconds())
    first_s = data.draw(st.integers(1, length // 6 - 1)) * 6
    halves = split(period, length, first_s)
    periods = (*session.periods[:number], *halves, *session.periods[number + 1 :])

    assert bill_of(content, Visit(SessionUse(periods, session.ends_at), visit.booking)) == bill_of(
        content, visit
    )


def split(period: ChargingPeriod, length: int, first_s: int) -> tuple[ChargingPeriod, ChargingPeriod]:
    """In whole seconds, and multiples of six, so that the energy is a decimal."""

    def share(seconds: int) -> dict:
        return {
            "energy_kwh": period.energy_kwh * seconds / length,
            **{
                name: seconds
                for name in ("charging_s", "parking_s", "reserved_s")
                if getattr(period, name) is not None
            },
        }

    later = period.starts_at + timedelta(seconds=first_s)
    return (
        replace(period, **share(first_s)),
        replace(period, starts_at=later, **share(length - first_s)),
    )


@given(tariffs(), visits(), st.randoms())
@quickly
def test_the_order_of_periods_does_not_matter(content, visit, chance):
    assume(visit.session is not None)
    periods = list(visit.session.periods)
    chance.shuffle(periods)

    assert bill_of(
        content, replace(visit, session=SessionUse(tuple(periods), visit.session.ends_at))
    ) == bill_of(content, visit)


@given(tariffs() | tariffs(is_limited=True), visits())
@quickly
def test_lines_and_parts_add_up_to_the_total(content, visit):
    bill = bill_of(content, visit)
    parts = (bill.fixed, bill.energy, bill.time, bill.parking, bill.reservation)
    limits = [line.cost for line in bill.lines if line.is_limit]

    for of in ("before_taxes", "after_taxes"):
        lines = sum((getattr(line.cost, of) for line in bill.lines), Decimal())
        assert in_money(lines, content) == getattr(bill.total, of)
        whole = sum((getattr(part, of) for part in (*parts, *limits)), Decimal())
        assert abs(lines - whole) <= Decimal("0.0001") * (len(bill.lines) + 6) * 2


@given(tariffs() | tariffs(is_limited=True), visits())
@quickly
def test_nothing_costs_less_than_nothing(content, visit):
    bill = bill_of(content, visit)

    for amount in (bill.total, bill.fixed, bill.energy, bill.time, bill.parking, bill.reservation):
        assert amount.before_taxes >= 0
        assert all(tax.amount >= 0 for tax in amount.taxes)
    assert all(
        line.cost.before_taxes >= 0 and line.billed >= line.quantity
        for line in bill.lines
        if not line.is_limit
    )


@given(tariffs(), visits())
@quickly
def test_prices_twice_as_high_cost_twice_as_much(content, visit):
    doubled = replace(
        content,
        elements=tuple(
            replace(element, components=tuple(replace(c, price=c.price * 2) for c in element.components))
            for element in content.elements
        ),
    )
    bill = bill_of(content, visit)

    for once, twice in zip(bill.lines, bill_of(doubled, visit).lines, strict=True):
        assert abs(twice.cost.before_taxes - 2 * once.cost.before_taxes) <= Decimal("0.0005")


@given(tariffs(), visits())
@quickly
def test_a_bill_and_a_tariff_are_the_same_after_they_were_written_and_read(content, visit):
    bill = bill_of(content, visit)

    assert Bill.from_json(bill.to_json()) == bill
    assert bill_of(TariffContent.from_json(content.to_json()), visit) == bill
