"""Months that are over and not all billed: records and credits on no invoice yet, of the last year."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from bookings.billing.billed_elsewhere import NAMED_BY_CUSTOMERS
from bookings.billing.customers import writing_elsewhere
from bookings.billing.errors import ParticularsMissing
from bookings.billing.months import Month
from bookings.billing.parties import Party
from depots.models import Organisation

LOOKS_BACK = timedelta(days=400)
# One row a document that is due (bookings.billing.unbilled); those of nothing are not made. No month is
# reckoned of what is billed, nearly all: that would take longer than all else.
_DUE = f"""
WITH RECURSIVE {NAMED_BY_CUSTOMERS},
open AS MATERIALIZED (
    SELECT c.operator_id, c.depot_id, c.customer_id, c.currency, c.credits_id, c.ends_at, c.before_taxes
    FROM bookings_chargedetailrecord c
    WHERE c.operator_id = ANY(%(operators)s) AND c.ends_at >= %(since)s AND c.ends_at < %(now)s
        AND c.customer_id <> c.operator_id AND c.received IS NULL
        AND (EXISTS (SELECT FROM bookings_invoicedcdr original WHERE original.cdr_id = c.credits_id)
            OR NOT %(writing_elsewhere)s::jsonb -> c.operator_id::text @> to_jsonb(c.customer_id)
                AND NOT EXISTS (SELECT FROM named WHERE named.id = c.id))
        AND NOT EXISTS (SELECT FROM bookings_invoicedcdr billed WHERE billed.cdr_id = c.id)
)
SELECT open.operator_id, date_trunc('month', open.ends_at AT TIME ZONE d.time_zone)::date AS month, open.customer_id,
       open.currency, original.invoice_id AS corrects_id, count(*) AS cdrs, sum(open.before_taxes) AS before_taxes
FROM open
JOIN depots_depot d ON d.id = open.depot_id
LEFT JOIN bookings_invoicedcdr original ON original.cdr_id = open.credits_id
WHERE date_trunc('month', open.ends_at AT TIME ZONE d.time_zone) < date_trunc('month', %(now)s AT TIME ZONE d.time_zone)
GROUP BY open.operator_id, month, open.customer_id, open.currency, original.invoice_id
HAVING bool_or(open.before_taxes <> 0)
ORDER BY open.operator_id, month, open.customer_id, open.currency
"""  # noqa: S608 - made of constants


@dataclass
class OpenMonth:
    """What of a month is on no invoice: how many documents and records, what they come to before taxes by currency, and who
    would be left out with the reason."""

    operator_id: int
    month: Month
    documents: int = 0
    cdrs: int = 0
    totals: dict[str, Decimal] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def open_months(operator_ids: Collection[int], *, now: datetime) -> list[OpenMonth]:
    """By operator and month, oldest first; five queries however many operators and months."""
    if not operator_ids:
        return []
    elsewhere = {pk: sorted(networks) for pk, networks in writing_elsewhere(operator_ids).items()}
    told: dict[str, Any] = {
        "operators": list(operator_ids), "since": now - LOOKS_BACK, "now": now, "writing_elsewhere": json.dumps(elsewhere),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_DUE, told)
        rows = cursor.fetchall()
    customers = Organisation.objects.in_bulk({row[2] for row in rows}) if rows else {}
    found: dict[tuple[int, Month], OpenMonth] = {}
    for operator_id, first_day, customer_id, currency, corrects_id, cdrs, before_taxes in rows:
        month = Month.of(first_day)
        one = found.setdefault((operator_id, month), OpenMonth(operator_id, month))
        one.documents, one.cdrs = one.documents + 1, one.cdrs + cdrs
        one.totals[currency] = one.totals.get(currency, Decimal(0)) + before_taxes
        if corrects_id is None:
            one.left_out |= _left_out(customers[customer_id], currency, before_taxes)
    return list(found.values())


def _left_out(customer: Organisation, currency: str, before_taxes: Decimal) -> dict[str, str]:
    """As a billing run says it."""
    if faults := Party.of(customer).faults(as_supplier=False):
        return {customer.name: str(ParticularsMissing(faults))}
    return {customer.name: f"More {currency} are credited than billed."} if before_taxes < 0 else {}
