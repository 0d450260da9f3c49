"""What is to be billed: the records on no invoice yet, added up and put on invoices by the database.

What comes back is one row for each document, country and rate: a run needs no more memory for a million records than for ten.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from itertools import groupby
from typing import Any, NamedTuple

from django.db import connection

from bookings.billing.billed_elsewhere import NAMED_BY_CUSTOMERS, NAMED_BY_OPERATORS
from bookings.billing.months import Month
from bookings.models import ChargeDetailRecord
from depots.models import Depot
from depots.periods import Period

# A credit stands on a note of its own about the invoice that bills its original; before that it nets with it.
_UNBILLED = """
    SELECT c.id, c.customer_id, c.currency, c.code, c.before_taxes, c.net_by_rate, d.country,
           original.invoice_id AS corrects_id
    FROM bookings_chargedetailrecord c
    JOIN depots_depot d ON d.id = c.depot_id
    LEFT JOIN bookings_invoicedcdr original ON original.cdr_id = c.credits_id
    WHERE c.operator_id = %(operator)s AND c.customer_id <> c.operator_id AND {is_ours}
        AND c.ends_at >= %(first)s AND c.ends_at < %(last)s {and_of}
        AND NOT EXISTS (SELECT FROM bookings_invoicedcdr billed WHERE billed.cdr_id = c.id)
"""
# Without what others invoice. Of our depots: what networks owe that write it themselves, and what stands on an invoice of theirs
# that somebody entered; what they announce keeps nobody from billing. Of a network's: what it invoiced or announced itself before
# our fleets did. A credit goes where its original went.
_OF_OURS = """c.received IS NULL AND (original.invoice_id IS NOT NULL
        OR c.customer_id <> ALL(%(writing_elsewhere)s::bigint[]) AND NOT EXISTS (SELECT FROM named WHERE named.id = c.id))"""
_OF_THEIRS = """c.received IS NOT NULL
        AND (original.invoice_id IS NOT NULL OR NOT EXISTS (SELECT FROM named WHERE named.id = c.id))"""
# A record counts once, its parts by rate each for itself; one without parts has a row all the same.
_SUMS = """
    SELECT due.customer_id, due.currency, due.corrects_id, {document} AS document_id, due.country,
           (part.told ->> 0)::numeric AS rate,
           count(*) FILTER (WHERE coalesce(part.number, 1) = 1) AS cdrs,
           coalesce(sum(due.before_taxes) FILTER (WHERE coalesce(part.number, 1) = 1), 0) AS before_taxes,
           coalesce(sum((part.told ->> 1)::numeric), 0) AS net,
           bool_or(due.before_taxes <> 0) AS is_of_value
    FROM due {join}
    LEFT JOIN LATERAL jsonb_array_elements(due.net_by_rate) WITH ORDINALITY AS part (told, number) ON true
    GROUP BY due.customer_id, due.currency, due.corrects_id, document_id, due.country, rate
    ORDER BY due.customer_id, due.currency, due.corrects_id NULLS FIRST
"""
_IS_ON = """document.customer_id = due.customer_id AND document.currency = due.currency
        AND document.corrects_id IS NOT DISTINCT FROM due.corrects_id"""
_LOOK = f"WITH RECURSIVE {{named}}, due AS ({{unbilled}}) {_SUMS.format(document='NULL::bigint', join='')}"
# One statement has one snapshot: what it adds up, it takes. The invoices' own rows follow by the ids drawn here.
_TAKE = f"""
WITH RECURSIVE {{named}},
due AS MATERIALIZED ({{unbilled}}),
document AS (
    SELECT nextval(pg_get_serial_sequence('bookings_invoice', 'id')) AS id, key.*
    FROM (
        SELECT customer_id, currency, corrects_id FROM due
        WHERE corrects_id IS NOT NULL OR customer_id <> ALL(%(left_out)s::bigint[])
        GROUP BY customer_id, currency, corrects_id
        HAVING bool_or(before_taxes <> 0) AND (corrects_id IS NOT NULL OR sum(before_taxes) >= 0)
        ORDER BY customer_id, currency, corrects_id NULLS FIRST
    ) key
),
taken AS (
    INSERT INTO bookings_invoicedcdr (cdr_id, invoice_id)
    SELECT due.id, document.id FROM due JOIN document ON {_IS_ON}
),
told AS (
    INSERT INTO bookings_invoicereconciliationrecord
        (owner_id, counterparty_id, code, invoice_number, cdr_codes, invoice_id, is_withdrawn, last_updated)
    SELECT %(operator)s, document.customer_id, gen_random_uuid()::text, '', jsonb_agg(due.code ORDER BY due.id),
           document.id, false, %(now)s
    FROM due JOIN document ON {_IS_ON}
    GROUP BY document.customer_id, document.id
)
{_SUMS.format(document="document.id", join=f"LEFT JOIN document ON {_IS_ON}")}
"""  # noqa: S608 - made of constants


class DocumentKey(NamedTuple):
    """What stands on one document: of one customer in one currency; `corrects_id` is the invoice that a credit note corrects."""

    customer_id: int
    currency: str
    corrects_id: int | None


@dataclass
class Sums:
    """What the records of one document come to. `nets` is by the country of the chargers and the tariff's rate in percent
    (None: it states none). `document_id` is the invoice's, where its records were taken."""

    key: DocumentKey
    document_id: int | None = None
    cdrs: int = 0
    before_taxes: Decimal = Decimal(0)
    nets: dict[tuple[str, Decimal | None], Decimal] = field(default_factory=dict)
    is_of_value: bool = False


@dataclass(frozen=True)
class MonthOfOperator:
    """Whose records of which month; all, or only credits of what one invoice bills, or only what one customer owes.

    `is_network`: what the operator, a network, told our fleets. `writing_elsewhere` are networks that write what they owe
    themselves.
    """

    operator_id: int
    month: Month
    corrects_id: int | None = None
    customer_id: int | None = None
    is_network: bool = False
    writing_elsewhere: frozenset[int] = frozenset()

    @cached_property
    def ends_at(self) -> datetime:
        """When it is over at the last of the depots."""
        return max(period.ends_at for period in self._periods.values())

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """Of the statements above."""
        periods = list(self._periods.values())
        told: dict[str, Any] = {
            "operator": self.operator_id,
            "operators": [self.operator_id],
            "corrects": self.corrects_id,
            "customer": self.customer_id,
            "writing_elsewhere": sorted(self.writing_elsewhere),
            "first": min(period.starts_at for period in periods),
            "last": max(period.ends_at for period in periods),
        }
        for number, (zone, period) in enumerate(self._periods.items()):
            told |= {
                f"zone_{number}": zone,
                f"start_{number}": period.starts_at,
                f"end_{number}": period.ends_at,
            }
        return told

    def statement(self, template: str) -> str:
        """One zone needs no condition of its own, and the planner then knows how many rows it is about."""
        zones = range(len(self._periods) if len(self._periods) > 1 else 0)
        each = [
            f"(d.time_zone = %(zone_{n})s AND c.ends_at >= %(start_{n})s AND c.ends_at < %(end_{n})s)"
            for n in zones
        ]
        and_of = f"AND ({' OR '.join(each)})" if each else ""
        if self.corrects_id is not None:
            and_of += " AND original.invoice_id = %(corrects)s"
        if self.customer_id is not None:
            and_of += " AND c.customer_id = %(customer)s"
        is_ours = _OF_THEIRS if self.is_network else _OF_OURS
        named = NAMED_BY_OPERATORS if self.is_network else NAMED_BY_CUSTOMERS
        return template.format(named=named, unbilled=_UNBILLED.format(is_ours=is_ours, and_of=and_of))

    @cached_property
    def _periods(self) -> dict[str, Period]:
        zones = Depot.objects.filter(operator=self.operator_id).values_list("time_zone", flat=True)
        return self.month.in_zones(sorted(set(zones)) or ["UTC"])


def unbilled(of: MonthOfOperator) -> list[Sums]:
    """One for each document that is due, in order of its key; nothing is written."""
    with connection.cursor() as cursor:
        cursor.execute(of.statement(_LOOK), of.parameters)
        return list(_joined(cursor.fetchall()))


def take(of: MonthOfOperator, *, left_out: Collection[int], now: datetime) -> list[Sums]:
    """The same, each with its records put on an invoice and named in its InvoiceReconciliationRecord; the invoices follow in the
    same transaction. Not taken are documents of
    nothing or less, and invoices to customers that are left out."""
    with connection.cursor() as cursor:
        cursor.execute(of.statement(_TAKE), of.parameters | {"left_out": list(left_out), "now": now})
        return list(_joined(cursor.fetchall()))


def reasons_of(document_ids: Iterable[int | None]) -> dict[int, str]:
    """Why records were credited, by the credit note that they were put on."""
    ids = [pk for pk in document_ids if pk is not None]
    if not ids:
        return {}
    rows = ChargeDetailRecord.objects.filter(invoiced__invoice__in=ids).exclude(reason="").order_by()
    found: dict[int, list[str]] = {}
    for invoice_id, reason in sorted(rows.values_list("invoiced__invoice", "reason").distinct()):
        found.setdefault(invoice_id, []).append(reason)
    return {invoice_id: "; ".join(reasons)[:300] for invoice_id, reasons in found.items()}


def _joined(rows: Iterable[tuple[Any, ...]]) -> Iterator[Sums]:
    """From a row for each document, country and rate to one for each document."""
    for (customer, currency, corrects, document), parts in groupby(rows, key=lambda row: row[:4]):
        found = Sums(DocumentKey(customer, currency, corrects), document)
        for *_, country, rate, cdrs, before_taxes, net, is_of_value in parts:
            found.cdrs += cdrs
            found.before_taxes += before_taxes
            found.is_of_value |= is_of_value
            found.nets[country, rate] = net
        yield found
