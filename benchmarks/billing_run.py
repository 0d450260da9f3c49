"""200,000 records of 400 customers into invoices, against reading the same rows by a server-side cursor and adding them up.

Each round is a month of its own, so that every run finds as much to do; the two alternate. Memory is that of a process that
has done nothing but the run: what it needs for ten records and for all of them.
"""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

from benchmarks.result import Result

if TYPE_CHECKING:
    from bookings.billing.months import Month
    from depots.models import Organisation

RECORDS, CUSTOMERS, ROUNDS, GOAL = 200_000, 400, 3, "<= 3"
NOW = datetime(2031, 1, 1, tzinfo=UTC)
# Rows as they are issued: mostly of one rate, each tenth of two, with the bill they were priced by.
_ISSUE = """
INSERT INTO bookings_chargedetailrecord (
    operator_id, customer_id, depot_id, number, code, kind, plate, token, place, starts_at, ends_at, periods, energy_wh,
    charging_s,
    parking_s, currency,
    bill, before_taxes, taxes, net_by_rate, reason, remark, flags, issued_at, issued_by_kind, issued_by_name
)
SELECT %(operator)s, (%(customers)s::bigint[])[1 + n %% %(many)s], (%(depots)s::bigint[])[1 + n %% 4], %(first)s + n,
    'CDR-' || (%(first)s + n), 'session', 'HH-NF ' || n %% 900, '{}', '{"evse": "CP-1-1"}',
    %(starts)s::timestamptz + n * interval '12 seconds', %(starts)s::timestamptz + n * interval '12 seconds' + interval '40 min',
    '[]', 80000 + n %% 9000, 2400, 0, 'EUR',
    jsonb_build_object('currency', 'EUR', 'lines', '[]'::jsonb), net, round(net * 0.21, 2),
    CASE WHEN n %% 10 = 0 THEN jsonb_build_array(jsonb_build_array('21', (net - 1)::text), jsonb_build_array('9', '1.00'))
         ELSE jsonb_build_array(jsonb_build_array('21', net::text)) END,
    '', '', '[]', %(starts)s, 'berth', ''
FROM (SELECT n, round(20 + (n %% 3000) / 100.0, 2) AS net FROM generate_series(0, %(rows)s - 1) AS n) told
"""
_READ = """
SELECT customer_id, currency, before_taxes, taxes, net_by_rate FROM bookings_chargedetailrecord
WHERE operator_id = %s AND ends_at >= %s AND ends_at < %s
"""


def run(names: list[str]) -> Iterator[Result]:
    from bookings.billing.months import Month

    operator = _world()
    months = [Month(2030, number) for number in range(1, ROUNDS + 3)]
    _issue(operator, months[0], 10)
    for month in months[1:]:
        _issue(operator, month, RECORDS)
    small, large = (_memory(operator, month) for month in months[:2])
    billed, read, cpu = [], [], []
    for month in months[2:]:
        read.append(_timed(lambda month=month: _add_up(operator, month))[0])
        seconds, used = _timed(lambda month=month: _bill(operator, month))
        billed.append(seconds)
        cpu.append(used)
    ratios = [run / cursor for run, cursor in zip(billed, read, strict=True)]
    detail = {
        "records": RECORDS, "customers": CUSTOMERS, "bill_s": round(median(billed), 2), "read_s": round(median(read), 2),
        "bill_cpu_s": round(median(cpu), 2), "ratios": [round(ratio, 2) for ratio in ratios],
        "memory_10_mb": small, "memory_all_mb": large,
    }  # fmt: skip
    yield Result("billing_run", median(ratios), GOAL, detail)


def _world() -> Organisation:
    from tests.bookings.billing.billed import make_buyer, make_seller, make_site

    operator = make_seller()
    for _ in range(4):
        make_site(operator)
    for number in range(CUSTOMERS):
        make_buyer(f"Customer {number}")
    return operator


def _issue(operator: Organisation, month: Month, rows: int) -> None:
    from django.db import connection

    from bookings.models import ChargeDetailRecord
    from depots.models import Depot, Organisation

    told: dict[str, Any] = {
        "operator": operator.pk, "customers": list(Organisation.objects.exclude(pk=operator.pk).values_list("pk", flat=True)),
        "many": CUSTOMERS, "depots": list(Depot.objects.values_list("pk", flat=True)),
        "first": ChargeDetailRecord.objects.count() + 1, "rows": rows,
        "starts": month.in_zone("Europe/Amsterdam").starts_at + timedelta(hours=1),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_ISSUE, told)
        cursor.execute("VACUUM ANALYZE bookings_chargedetailrecord")


def _bill(operator: Organisation, month: Month) -> None:
    from bookings.actors import COMMAND
    from bookings.billing.run import bill

    documents = bill(operator=operator, month=month, actor=COMMAND, now=NOW).documents
    assert sum(one.invoice.cdr_count for one in documents) in {10, RECORDS}


def _add_up(operator: Organisation, month: Month) -> None:
    from django.db import connection, transaction

    bounds = month.in_zone("Europe/Amsterdam")
    totals: dict[tuple[int, str], Decimal] = {}
    taxed: dict[tuple[int, str, str], Decimal] = {}
    with transaction.atomic(), connection.connection.cursor(name="read") as cursor:
        cursor.itersize = 2000
        cursor.execute(_READ, [operator.pk, bounds.starts_at, bounds.ends_at])
        for customer, currency, before_taxes, taxes, by_rate in cursor:
            key = (customer, currency)
            totals[key] = totals.get(key, Decimal(0)) + before_taxes + taxes
            for rate, net in json.loads(by_rate):
                part = (customer, currency, rate)
                taxed[part] = taxed.get(part, Decimal(0)) + Decimal(net)
    assert len(totals) == CUSTOMERS


def _memory(operator: Organisation, month: Month) -> int:
    """Megabytes at most of a fresh process that bills it."""
    from tests.races.processes import at_once

    def most(_: int) -> int:
        _bill(operator, month)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    [found] = at_once(most, 1)
    assert isinstance(found, int), found
    return found


def _timed(do: Any) -> tuple[float, float]:
    began, used = perf_counter(), process_time()
    do()
    return perf_counter() - began, process_time() - used
