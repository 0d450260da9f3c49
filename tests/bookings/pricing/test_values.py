from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from bookings.pricing.bills import Amount, Bill, BillLine, Tax
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
from bookings.pricing.visits import ChargingPeriod, SessionUse

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
EVERY_RESTRICTION = Restrictions(
    start_time=time(22),
    end_time=time(6, 30),
    start_date=date(2026, 1, 1),
    end_date=date(2027, 1, 1),
    weekdays=frozenset({6, 7}),
    min_kwh=Decimal("0.5"),
    max_kwh=Decimal(50),
    min_power_kw=Decimal(11),
    max_power_kw=Decimal("150.5"),
    min_current_a=Decimal(16),
    max_current_a=Decimal(32),
    min_duration_s=60,
    max_duration_s=3600,
    is_understood=False,
)


def test_a_tariff_is_the_same_after_it_was_written_and_read():
    content = TariffContent(
        currency="EUR",
        elements=(
            TariffElement(
                (PriceComponent(Dimension.ENERGY, Decimal("0.2500"), Decimal("5.2"), 100),),
                EVERY_RESTRICTION,
                ElementUse.RESERVATION_EXPIRED,
            ),
            TariffElement((PriceComponent(Dimension.FLAT, Decimal(0), step=0),)),
        ),
        min_price=PriceLimit(Decimal("0.50"), Decimal("0.55")),
        max_price=PriceLimit(Decimal(10)),
        tax_included=TaxIncluded.YES,
    )

    assert TariffContent.from_json(content.to_json()) == content
    assert hash(TariffContent.from_json(content.to_json())) == hash(content)


def test_a_bill_is_the_same_after_it_was_written_and_read():
    cost = Amount(Decimal("5.1250"), (Tax(Decimal(10), Decimal("0.5125")),))
    bill = Bill(
        currency="EUR",
        lines=(
            BillLine(
                ElementUse.CHARGING, Dimension.ENERGY, cost, 1, Decimal("20.45"), Decimal("20.5"),
                Decimal("0.25"), Decimal(10),
            ),
            BillLine(ElementUse.CHARGING, None, Amount(Decimal("-1.0000"))),
        ),
        total=cost,
        energy=cost,
    )  # fmt: skip

    assert Bill.from_json(bill.to_json()) == bill


def test_periods_are_kept_in_order_of_time_and_moments_to_the_second():
    later = ChargingPeriod(NOON + timedelta(minutes=5))
    in_berlin = ChargingPeriod(datetime(2026, 11, 26, 13, 0, 0, 499_999, tzinfo=ZoneInfo("Europe/Berlin")))

    session = SessionUse((later, in_berlin), NOON + timedelta(minutes=9, microseconds=500_000))

    assert [period.starts_at for period in session.periods] == [NOON, later.starts_at]
    assert session.ends_at == NOON + timedelta(minutes=9, seconds=1)
    assert session.periods[0].starts_at.tzinfo is UTC


def test_of_two_periods_that_begin_together_the_lesser_is_the_one_without_length():
    empty, long = ChargingPeriod(NOON), ChargingPeriod(NOON, charging_s=60)
    ends_at = NOON + timedelta(minutes=1)

    assert SessionUse((long, empty), ends_at) == SessionUse((empty, long), ends_at)


@pytest.mark.parametrize(
    ("begins", "ends"),
    [((), NOON), ((NOON + timedelta(seconds=1),), NOON)],
    ids=["no period", "an end before the last period"],
)
def test_a_session_that_cannot_be_is_refused(begins, ends):
    with pytest.raises(ValueError):
        SessionUse(tuple(ChargingPeriod(begin) for begin in begins), ends)


def test_a_moment_without_zone_is_refused():
    with pytest.raises(ValueError):
        ChargingPeriod(datetime(2026, 11, 26, 12))  # noqa: DTZ001 - what is tested

    assert ChargingPeriod(datetime(2026, 11, 26, 14, tzinfo=timezone(timedelta(hours=2)))).starts_at == NOON
