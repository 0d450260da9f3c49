"""Everything that is wrong in a month of an organisation's books, and how much is right: a fixed number of statements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from django.db import connection

from bookings.billing.reconciliation.acceptance import accepted_of
from bookings.billing.reconciliation.announced import (
    Announced,
    announced_of,
    announcements,
    missing_invoices,
)
from bookings.billing.reconciliation.books import Books
from bookings.billing.reconciliation.findings import Finding, FindingGroup
from bookings.billing.reconciliation.incoming import IncomingMonth, incoming_month, wrong_incoming
from bookings.billing.reconciliation.invoices import uninvoiced_records, wrong_invoices
from bookings.billing.reconciliation.named_twice import named_twice
from bookings.billing.reconciliation.records import odd_records
from bookings.billing.reconciliation.unrecorded import (
    unowned_sessions,
    unrecorded_bookings,
    unrecorded_elsewhere,
    unrecorded_sessions,
)
from bookings.models import AcceptedFinding, InvoiceReconciliationRecord

# Before taxes as the records have it; a credit note takes back.
_SUMS = """
WITH r AS ({records})
SELECT r.currency, count(*) FILTER (WHERE r.credits_id IS NULL AND credit.id IS NULL), sum(r.before_taxes),
       coalesce(sum(r.before_taxes) FILTER (WHERE billed.cdr_id IS NOT NULL), 0),
       count(*) FILTER (WHERE r.credits_id IS NULL AND NOT r.is_received AND r.issued_by_kind = 'berth' AND p.cdr_id IS NULL)
FROM r
LEFT JOIN bookings_chargedetailrecord credit ON credit.credits_id = r.id
LEFT JOIN bookings_invoicedcdr billed ON billed.cdr_id = r.id
LEFT JOIN bookings_pricecheck p ON p.cdr_id = r.id
GROUP BY r.currency
ORDER BY 3 DESC, r.currency
"""


class CurrencySums(NamedTuple):
    """`invoiced` is what of the records stands on Berth's invoices."""

    currency: str
    records: int
    recorded: Decimal
    invoiced: Decimal
    unchecked: int


@dataclass(frozen=True)
class Reconciliation:
    """`findings` lead: the dearest first within each group. `accepted` are those that somebody lets rest."""

    books: Books
    findings: list[Finding]
    accepted: list[tuple[Finding, AcceptedFinding]]
    sums: list[CurrencySums]
    incoming: IncomingMonth
    announced: list[Announced]

    @property
    def matched(self) -> int:
        """Records that stand and about which nothing is wrong, or what is was accepted."""
        return max(sum(each.records for each in self.sums) - len(self.doubted), 0)

    @property
    def doubted(self) -> set[int]:
        """Records that a finding is about, by id."""
        return {finding.about.cdr_id for finding in self.findings if finding.about.cdr_id is not None}

    @property
    def unchecked(self) -> int:
        """Records whose price was not reckoned again yet."""
        return sum(each.unchecked for each in self.sums)

    def count(self, group: FindingGroup) -> int:
        return sum(finding.kind.group is group for finding in self.findings)


def reconcile(books: Books, *, now: datetime) -> Reconciliation:
    told = announcements(books)
    codes = {str(code).upper() for row in told for code in row.cdr_codes}
    incoming = incoming_month(books, codes)
    accepted = accepted_of(books.organisation_id)
    left: list[Finding] = []
    settled: list[tuple[Finding, AcceptedFinding]] = []
    announced = announced_of(books, told, incoming.known)
    of_told = (*missing_invoices(announced), *named_twice(announced, told, incoming))
    for finding in (*_found(books, incoming, _named(incoming, told), now), *of_told):
        row = accepted.get((finding.key, finding.facts[:300]))
        if row is None:
            left.append(finding)
        else:
            settled.append((finding, row))
    return Reconciliation(books, sorted(left, key=_rank), settled, _sums(books), incoming, announced)


def _named(incoming: IncomingMonth, told: Iterable[InvoiceReconciliationRecord]) -> set[int]:
    """Ids of the records that the books' incoming invoices, or what was told of others, are about."""
    named = [(code, incoming.family(row, code)) for row in incoming.rows for code in incoming.codes(row)]
    named += [(str(code), incoming.known.named_by(row, str(code))) for row in told for code in row.cdr_codes]
    return {
        member.id
        for code, family in named
        for member in (family.members if family is not None else ())
        if member.code.upper() == code.upper()
    }


def _found(books: Books, incoming: IncomingMonth, announced: set[int], now: datetime) -> Iterator[Finding]:
    yield from unrecorded_sessions(books)
    yield from unrecorded_bookings(books, now=now)
    yield from unrecorded_elsewhere(books, now=now)
    yield from uninvoiced_records(books, announced, now=now)
    yield from odd_records(books)
    yield from wrong_invoices(books)
    yield from wrong_incoming(incoming)
    yield from unowned_sessions(books)


def _sums(books: Books) -> list[CurrencySums]:
    with connection.cursor() as cursor:
        cursor.execute(_SUMS.format(records=books.records), books.parameters)
        return [CurrencySums._make(row) for row in cursor.fetchall()]


_GROUPS = list(FindingGroup)


def _rank(finding: Finding) -> tuple[int, Decimal, str]:
    return _GROUPS.index(finding.kind.group), -abs(finding.difference or Decimal()), finding.key
