"""What is to be billed: the records on no invoice yet, added up by the database.

Rows are summed up where they lie and come through a server-side cursor, one for each document, country and rate, so that a
run needs no more memory for a million records than for ten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection
from psycopg.rows import namedtuple_row

from bookings.billing.months import Month
from depots.models import Depot

# A credit stands on a note of its own about the invoice that bills its original; before that it nets with it.
_UNBILLED = """
    SELECT c.id, c.customer_id, c.currency, c.before_taxes, c.net_by_rate, d.country, original.invoice_id AS corrects_id
    FROM bookings_chargedetailrecord c
    JOIN depots_depot d ON d.id = c.depot_id
    JOIN unnest(%(zones)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS m (zone, starts_at, ends_at)
        ON m.zone = d.time_zone
    LEFT JOIN bookings_invoicedcdr original ON original.cdr_id = c.credits_id
    WHERE c.operator_id = %(operator)s AND c.customer_id <> c.operator_id AND c.received IS NULL
        AND c.ends_at >= m.starts_at AND c.ends_at < m.ends_at
        -- What the index is asked for: the month in whichever zone.
        AND c.ends_at >= %(first)s AND c.ends_at < %(last)s
        AND NOT EXISTS (SELECT FROM bookings_invoicedcdr billed WHERE billed.cdr_id = c.id)
"""
# A record counts once, its parts by rate each for itself; one without parts has a row all the same.
_SUMS = f"""
SELECT c.customer_id, c.currency, c.corrects_id, c.country, (part.told ->> 0)::numeric AS rate,
       count(*) FILTER (WHERE coalesce(part.number, 1) = 1) AS cdrs,
       coalesce(sum(c.before_taxes) FILTER (WHERE coalesce(part.number, 1) = 1), 0) AS before_taxes,
       coalesce(sum((part.told ->> 1)::numeric), 0) AS net,
       bool_or(c.before_taxes <> 0) AS is_of_value
FROM ({_UNBILLED}) c
LEFT JOIN LATERAL jsonb_array_elements(c.net_by_rate) WITH ORDINALITY AS part (told, number) ON true
GROUP BY c.customer_id, c.currency, c.corrects_id, c.country, rate
ORDER BY c.customer_id, c.currency, c.corrects_id NULLS FIRST
"""  # noqa: S608 - made of constants
_TAKE = f"""
WITH taken AS (
    INSERT INTO bookings_invoicedcdr (cdr_id, invoice_id)
    SELECT c.id, document.id
    FROM ({_UNBILLED}) c
    JOIN unnest(%(ids)s::bigint[], %(customers)s::bigint[], %(currencies)s::text[], %(corrects)s::bigint[])
        AS document (id, customer_id, currency, corrects_id)
        ON document.customer_id = c.customer_id AND document.currency = c.currency
        AND document.corrects_id IS NOT DISTINCT FROM c.corrects_id
    RETURNING invoice_id
)
SELECT invoice_id, count(*) FROM taken GROUP BY invoice_id
"""  # noqa: S608 - made of constants


class DocumentKey(NamedTuple):
    """What stands on one document: of one customer in one currency; `corrects_id` is the invoice that a credit note corrects."""

    customer_id: int
    currency: str
    corrects_id: int | None


@dataclass
class Sums:
    """What the records of one document come to. `nets` is by the country of the chargers and the tariff's rate in percent
    (None: it states none)."""

    key: DocumentKey
    cdrs: int = 0
    before_taxes: Decimal = Decimal(0)
    nets: dict[tuple[str, Decimal | None], Decimal] = field(default_factory=dict)
    is_of_value: bool = False


class MonthOfOperator(NamedTuple):
    """Whose records of which month; the parameters of the statements above."""

    operator_id: int
    month: Month

    def parameters(self) -> dict[str, Any]:
        zones = Depot.objects.filter(operator=self.operator_id).values_list("time_zone", flat=True).distinct()
        periods = self.month.in_zones(zones.order_by("time_zone")) or {"UTC": self.month.in_zone("UTC")}
        starts, ends = zip(*((one.starts_at, one.ends_at) for one in periods.values()), strict=True)
        return {
            "operator": self.operator_id, "zones": list(periods), "starts": list(starts), "ends": list(ends),
            "first": min(starts), "last": max(ends),
        }  # fmt: skip


def unbilled(of: MonthOfOperator) -> Iterator[Sums]:
    """One for each document that is due, in order of its key."""
    found: Sums | None = None
    for row in _streamed(_SUMS, of.parameters()):
        key = DocumentKey(row.customer_id, row.currency, row.corrects_id)
        if found is None or found.key != key:
            if found is not None:
                yield found
            found = Sums(key)
        found.cdrs += row.cdrs
        found.before_taxes += row.before_taxes
        found.is_of_value |= row.is_of_value
        found.nets[row.country, row.rate] = row.net
    if found is not None:
        yield found


def take(of: MonthOfOperator, documents: dict[int, DocumentKey]) -> dict[int, int]:
    """Put the records on these invoices, by id, whose rows follow in the same transaction; gives how many are on each.

    A record that was issued since it was added up is taken along; the count tells.
    """
    keys = list(documents.values())
    told: dict[str, Any] = {
        "ids": list(documents), "customers": [key.customer_id for key in keys],
        "currencies": [key.currency for key in keys], "corrects": [key.corrects_id for key in keys],
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, {**of.parameters(), **told})
        return dict(cursor.fetchall())


def _streamed(statement: str, parameters: dict[str, Any]) -> Iterator[Any]:
    """Rows of a server-side cursor, by name; within a transaction."""
    # Django's own cursors of this kind come with querysets only.
    with connection.connection.cursor(name="unbilled", row_factory=namedtuple_row) as cursor:
        cursor.execute(statement, parameters)
        yield from cursor
