"""Reconciliation records of others (OCPI 2.3.0 edition 2): which records an invoice is about, also of invoices not here yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Upper

from bookings.billing.months import Month
from bookings.billing.reconciliation.books import Books
from bookings.billing.reconciliation.families import Families, Family, families
from bookings.billing.reconciliation.findings import Finding, FindingKind, Subject, finding_key
from bookings.models import IncomingInvoice, InvoiceReconciliationRecord
from depots.templatetags.berth import money

Kind = FindingKind
# An invoice is announced at most so long after its month.
LATEST = timedelta(days=120)


@dataclass(frozen=True)
class ReconciliationReading:
    """What one's own records say of an invoice. `sums` by currency, before taxes: no amount travels."""

    count: int
    sums: dict[str, Decimal]
    unknown: list[str]
    repeated: list[str]


def read_records(
    records: Iterable[InvoiceReconciliationRecord], *, organisation_id: int, is_payable: bool
) -> ReconciliationReading:
    """Of all that name one invoice. One statement."""
    named = [(str(code).upper(), record) for record in records for code in record.cdr_codes]
    times = Counter(code for code, _ in named)
    known = families(times, organisation_id=organisation_id, is_payable=is_payable)
    found = {code: known.named_by(record, code) for code, record in named}
    sums: dict[str, Decimal] = {}
    for code, family in found.items():
        # Each id stands for its own record: a credit is listed by itself.
        for member in family.members if family is not None else ():
            if member.code.upper() == code:
                sums[member.currency] = sums.get(member.currency, Decimal()) + member.before_taxes
    unknown = [code for code, family in found.items() if family is None]
    repeated = sorted(code for code, number in times.items() if number > 1)
    return ReconciliationReading(len(named), sums, unknown, repeated)


def announcements(books: Books) -> list[InvoiceReconciliationRecord]:
    """Of invoices that are not here: one statement. Withdrawn ones fall away."""
    first = datetime.combine(books.month.first_day, time(), UTC)
    entered = (
        IncomingInvoice.objects.annotate(known_as=Upper("number"))
        .filter(recipient=OuterRef("counterparty"), sender=OuterRef("owner"), known_as=Upper(OuterRef("invoice_number")))
        .exclude(state=IncomingInvoice.State.WITHDRAWN)
    )  # fmt: skip
    rows = InvoiceReconciliationRecord.objects.filter(
        ~Exists(entered), counterparty=books.organisation_id, is_reverse=not books.is_payable, is_withdrawn=False,
        invoice__isnull=True, incoming__isnull=True,
        last_updated__gte=first, last_updated__lt=first + LATEST,
    )  # fmt: skip
    if books.counterparty_id is not None:
        rows = rows.filter(owner=books.counterparty_id)
    return list(rows.exclude(owner=F("counterparty")).select_related("owner").order_by("pk"))


@dataclass(frozen=True)
class Announced:
    """An invoice that was announced for the month of some books and is not there. `sums` is what its records come to here, by
    currency before taxes."""

    record: InvoiceReconciliationRecord
    codes: list[str]
    sums: dict[str, Decimal]
    unknown: list[str]

    @property
    def count(self) -> int:
        return len(set(self.codes))

    @property
    def worth(self) -> str:
        return (
            " and ".join(money(net, currency) for currency, net in self.sums.items()) or "nothing we know of"
        )


def announced_of(
    books: Books, rows: Iterable[InvoiceReconciliationRecord], known: Families
) -> list[Announced]:
    """Those of the books' month."""
    found = []
    for row in rows:
        codes = [str(code).upper() for code in row.cdr_codes]
        named = {code: known.named_by(row, code) for code in codes}
        ours = [family for family in named.values() if family is not None]
        if not _is_of(books, row, ours):
            continue
        sums: dict[str, Decimal] = {}
        for family in {family.latest.id: family for family in ours}.values():
            currency = family.latest.currency
            sums[currency] = sums.get(currency, Decimal()) + family.before_taxes
        found.append(Announced(row, codes, sums, [code for code, family in named.items() if family is None]))
    return found


def missing_invoices(announced: Iterable[Announced]) -> Iterator[Finding]:
    """What was announced and is not there, and what it names that we do not have."""
    for each in announced:
        sums, count = each.sums, each.count
        words = (
            f"was announced, about {count} record{'' if count == 1 else 's'}: {each.worth}. It is not here."
        )
        yield of_announced(
            each, Kind.INVOICE_MISSING, f"Invoice {each.record.invoice_number} {words}", facts=each.worth,
            currency=next(iter(sums), ""), expected=next(iter(sums.values())) if len(sums) == 1 else None,
        )  # fmt: skip
        for code in each.unknown:
            words = f"{each.record.invoice_number}, announced: it names {code}, which we do not have."
            yield of_announced(each, Kind.RECORD_UNKNOWN, words, code, facts=code)


def of_announced(
    each: Announced, kind: FindingKind, words: str, *of: object, cdr_id: int | None = None, **told: Any
) -> Finding:
    row = each.record
    return Finding(
        kind=kind, key=finding_key(kind, "announced", row.pk, *of), words=words, counterparty=row.owner.name,
        counterparty_id=row.owner_id, at=row.last_updated, about=Subject(cdr_id=cdr_id, is_received=True), **told,
    )  # fmt: skip


def _is_of(books: Books, row: InvoiceReconciliationRecord, ours: list[Family]) -> bool:
    """In the month in which a record it names ended; of those we do not have in the month before it was told."""
    if ours:
        return any(Month.of(family.latest.ends_at.date()) == books.month for family in ours)
    return Month.of(row.last_updated.date()).previous == books.month
