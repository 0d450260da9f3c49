"""A month of records: sums by currency, never across one; by vehicle, depot or customer; a chart of its days.

A record belongs to the month in which it ends by the clock at its depot. A credit counts what it takes back.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Case, Count, DateField, DateTimeField, F, Func, Q, QuerySet, Sum, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, TruncMonth
from django.db.models.lookups import GreaterThanOrEqual, LessThan

from bookings.billing.months import Month
from bookings.models import ChargeDetailRecord
from bookings.pages.price_parts import what_for
from depots.currencies import decimals

NOTHING = Decimal()
A_DAY = timedelta(days=1)
LOCAL_DAY = Cast(
    Func(F("depot__time_zone"), F("ends_at"), function="timezone", output_field=DateTimeField()), DateField()
)
CHART_HEIGHT, BAR_PITCH = 100, 20
MONTHS_SHOWN = 13


@dataclass(frozen=True)
class RecordSum:
    """What records of one name and currency come to; energy in Wh, times in seconds."""

    name: str
    currency: str
    count: int
    energy_wh: int
    before_taxes: Decimal
    taxes: Decimal
    charging_s: int = 0
    parking_s: int = 0

    @property
    def total(self) -> Decimal:
        return self.before_taxes + self.taxes

    @property
    def charging(self) -> timedelta:
        return timedelta(seconds=self.charging_s)

    @property
    def parking(self) -> timedelta:
        return timedelta(seconds=self.parking_s)


@dataclass(frozen=True)
class Bar:
    """A day and its amount before taxes, and how it is drawn, in units of the chart."""

    x: int
    y: int
    height: int
    on: date
    amount: Decimal
    currency: str


@dataclass(frozen=True)
class MonthSum:
    month: Month
    sum: RecordSum


@dataclass(frozen=True)
class Mark:
    """A line across the chart at a round amount."""

    y: int
    words: str


@dataclass(frozen=True)
class Chart:
    bars: list[Bar]

    @property
    def marks(self) -> list[Mark]:
        """Up to the highest bar, at most five."""
        top = self.highest
        step = _round_step(top.amount)
        return [
            Mark(CHART_HEIGHT - int(n * step * CHART_HEIGHT / top.amount), f"{n * step:,f}")
            for n in range(1, int(top.amount / step) + 1)
        ]

    @property
    def highest(self) -> Bar:
        return max(self.bars, key=lambda bar: bar.amount)

    @property
    def billed(self) -> list[Bar]:
        return [bar for bar in self.bars if bar.amount]


def of_month(rows: QuerySet[ChargeDetailRecord], month: Month) -> QuerySet[ChargeDetailRecord]:
    """Coarse bounds for the index first: no zone is more than a day from UTC."""
    first, after = month.first_day, month.next.first_day
    return rows.filter(
        GreaterThanOrEqual(LOCAL_DAY, first),
        LessThan(LOCAL_DAY, after),
        ends_at__gte=datetime.combine(first, time(), UTC) - A_DAY,
        ends_at__lt=datetime.combine(after, time(), UTC) + A_DAY,
    )


def sums(rows: QuerySet[ChargeDetailRecord], by: str | None = None) -> list[RecordSum]:
    """By a column's values, the dearest first, or in all; one query."""
    names = [by] if by else []
    found = (
        rows.order_by()
        .values("currency", *names)
        .annotate(
            number=Count("pk", filter=Q(credits=None)),
            energy=Sum(_signed("energy_wh")),
            charging=Sum(_signed("charging_s")),
            parking=Sum(_signed("parking_s")),
            net=Sum("before_taxes"),
            tax=Sum("taxes"),
        )
    )
    made = [
        RecordSum(
            name=str(row[by] or "") if by else "", currency=row["currency"], count=row["number"], energy_wh=row["energy"],
            before_taxes=row["net"], taxes=row["tax"], charging_s=row["charging"], parking_s=row["parking"],
        )
        for row in found
    ]  # fmt: skip
    return sorted(made, key=lambda each: (-each.total, each.name))


def by_use(rows: QuerySet[ChargeDetailRecord]) -> list[RecordSum]:
    """What the money is for: energy, parking, fees …; before taxes, price limits by themselves. One query.

    Lines have four decimals and are rounded here, so that a part may be a cent off (`rounding`)."""
    inner, values = rows.order_by().values("pk").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(_BY_USE.format(inner=inner), values)
        found = cursor.fetchall()
    made = [
        RecordSum(what_for(use, dimension), currency, count, 0, round(net, decimals(currency)), NOTHING)
        for use, dimension, currency, count, net in found
        if net
    ]
    return sorted(made, key=lambda each: -each.before_taxes)


def rounding(uses: Sequence[RecordSum], totals: Sequence[RecordSum]) -> Iterator[RecordSum]:
    """What the parts of a cent of many lines come to in each currency, where the parts do not add up to the total."""
    for whole in totals:
        parts = sum((each.before_taxes for each in uses if each.currency == whole.currency), NOTHING)
        if left := whole.before_taxes - parts:
            yield RecordSum("Rounding", whole.currency, 0, 0, left, NOTHING)


_BY_USE = """
SELECT line ->> 'use', line ->> 'dimension', c.currency, count(*),
       sum((line ->> 'before_taxes')::numeric * CASE WHEN c.credits_id IS NULL THEN 1 ELSE -1 END)
FROM bookings_chargedetailrecord c, jsonb_array_elements(c.bill -> 'lines') line
WHERE c.id IN ({inner})
GROUP BY 1, 2, 3
"""


def chart(rows: QuerySet[ChargeDetailRecord], month: Month, currency: str) -> Chart | None:
    """A bar for each day of the month, in one currency; None where nothing was billed. One query."""
    found = rows.filter(currency=currency).order_by().annotate(day=LOCAL_DAY).values("day")
    amounts = {row["day"].day: row["net"] for row in found.annotate(net=Sum("before_taxes"))}
    highest = max(amounts.values(), default=NOTHING)
    if highest <= 0:
        return None
    length = monthrange(month.year, month.number)[1]
    every_day = [month.first_day + timedelta(days=passed) for passed in range(length)]
    return Chart([_bar(on, amounts.get(on.day, NOTHING), highest, currency) for on in every_day])


def by_month(rows: QuerySet[ChargeDetailRecord], latest: Month) -> list[MonthSum]:
    """The last MONTHS_SHOWN months, the newest first, those without a record left out; one query."""
    first = latest
    for _ in range(MONTHS_SHOWN - 1):
        first = first.previous
    found = (
        rows.filter(
            GreaterThanOrEqual(LOCAL_DAY, first.first_day),
            ends_at__gte=datetime.combine(first.first_day, time(), UTC) - A_DAY,
        )
        .order_by()
        .values("currency", month=TruncMonth(LOCAL_DAY))
        .annotate(number=Count("pk", filter=Q(credits=None)), energy=Sum(_signed("energy_wh")))
        .annotate(net=Sum("before_taxes"), tax=Sum("taxes"))
    )
    made = [
        MonthSum(
            Month.of(row["month"]),
            RecordSum("", row["currency"], row["number"], row["energy"], row["net"], row["tax"]),
        )
        for row in found
    ]
    return sorted(made, key=lambda each: (each.month.first_day, each.sum.currency), reverse=True)


def highest_by_currency(months: Iterable[MonthSum]) -> list[RecordSum]:
    """Of each currency the dearest month: what the bars are measured by."""
    found: dict[str, RecordSum] = {}
    for each in months:
        known = found.get(each.sum.currency)
        if known is None or each.sum.before_taxes > known.before_taxes:
            found[each.sum.currency] = each.sum
    return list(found.values())


def _bar(on: date, amount: Decimal, highest: Decimal, currency: str) -> Bar:
    """More credited than charged on a day has no bar."""
    height = max(int(amount * CHART_HEIGHT / highest), 0) or (1 if amount > 0 else 0)
    return Bar((on.day - 1) * BAR_PITCH, CHART_HEIGHT - height, height, on, amount, currency)


def _round_step(highest: Decimal) -> Decimal:
    """1, 2 or 5 of a power of ten, so that not more than five of them fit."""
    for step in (Decimal(digit).scaleb(power) for power in range(-2, 12) for digit in (1, 2, 5)):
        if highest / step <= 5:
            return step.normalize()
    return highest


def dearest_currency(totals: Sequence[RecordSum]) -> str:
    return totals[0].currency if totals else ""


def shares(utilised: Iterable[RecordSum], month: Month) -> list[tuple[RecordSum, float]]:
    """With the share of the month, in percent, in which an EVSE charged."""
    length = (month.next.first_day - month.first_day).total_seconds()
    return [(each, round(100 * each.charging_s / length, 1)) for each in utilised]


def _signed(name: str) -> Combinable:
    return Case(When(credits=None, then=F(name)), default=F(name) * Value(-1))


def csv_rows(rows: QuerySet[ChargeDetailRecord]) -> Iterable[list[Any]]:
    """A line a record, credits below zero; the first names the columns."""
    yield [
        "id", "kind", "depot", "evse", "customer", "vehicle", "booking", "start", "end", "time_zone", "energy_kwh",
        "charging_h", "parking_h", "currency", "before_taxes", "taxes", "total", "credits", "replaces", "remark",
    ]  # fmt: skip
    for cdr in rows.iterator(chunk_size=1000):
        sign = -1 if cdr.is_credit else 1
        zone = cdr.depot.zone
        yield [
            cdr.code, cdr.kind, cdr.depot.name, cdr.place.get("evse_uid", ""), cdr.customer.name, cdr.plate,
            cdr.booking.reference if cdr.booking else "", cdr.starts_at.astimezone(zone).isoformat(),
            cdr.ends_at.astimezone(zone).isoformat(), cdr.depot.time_zone, f"{sign * cdr.energy_wh / 1000:.3f}",
            f"{sign * cdr.charging_s / 3600:.4f}", f"{sign * cdr.parking_s / 3600:.4f}", cdr.currency,
            f"{cdr.before_taxes:.2f}", f"{cdr.taxes:.2f}", f"{cdr.before_taxes + cdr.taxes:.2f}",
            cdr.credits.code if cdr.credits else "", cdr.replaces.code if cdr.replaces else "", cdr.remark,
        ]  # fmt: skip
