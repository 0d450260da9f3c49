"""Reconciliation records of others (OCPI 2.3.0 edition 2): which records an invoice is about, also of invoices not here yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Upper

from bookings.billing.months import Month
from bookings.billing.reconciliation.books import Books
from bookings.billing.reconciliation.families import Family, families
from bookings.billing.reconciliation.findings import Finding, FindingKind, Subject, finding_key
from bookings.models import IncomingInvoice, InvoiceReconciliationRecord
from depots.templatetags.berth import money

Kind = FindingKind
# An invoice is announced at most so long after its month.
LATEST = timedelta(days=120)


@dataclass(frozen=True)
class ReconciliationReading:
    """What one's own records say of it. `sums` by currency, before taxes: no amount travels."""

    record: InvoiceReconciliationRecord
    count: int
    sums: dict[str, Decimal]
    unknown: list[str]
    repeated: list[str]


def read_record(
    record: InvoiceReconciliationRecord, *, organisation_id: int, is_payable: bool
) -> ReconciliationReading:
    """One statement."""
    codes = [str(code).upper() for code in record.cdr_codes]
    known = families(set(codes), organisation_id=organisation_id, is_payable=is_payable)
    sums: dict[str, Decimal] = {}
    for code in dict.fromkeys(codes):
        # Each id stands for its own record: a credit is listed by itself.
        for member in known[code].members if code in known else ():
            if member.code.upper() == code:
                sums[member.currency] = sums.get(member.currency, Decimal()) + member.before_taxes
    unknown = [code for code in dict.fromkeys(codes) if code not in known]
    repeated = (
        sorted({code for code in codes if codes.count(code) > 1}) if len(set(codes)) < len(codes) else []
    )
    return ReconciliationReading(record, len(codes), sums, unknown, repeated)


def announcements(books: Books) -> list[InvoiceReconciliationRecord]:
    """Of invoices that are not here: one statement. Withdrawn ones fall away."""
    first = datetime.combine(books.month.first_day, time(), UTC)
    entered = (
        IncomingInvoice.objects.annotate(known_as=Upper("number"))
        .filter(recipient=OuterRef("counterparty"), sender=OuterRef("owner"), known_as=Upper(OuterRef("invoice_number")))
        .exclude(state=IncomingInvoice.State.WITHDRAWN)
    )  # fmt: skip
    rows = InvoiceReconciliationRecord.objects.filter(
        ~Exists(entered), counterparty=books.organisation_id, is_withdrawn=False, invoice__isnull=True, incoming__isnull=True,
        last_updated__gte=first, last_updated__lt=first + LATEST,
    )  # fmt: skip
    if books.counterparty_id is not None:
        rows = rows.filter(owner=books.counterparty_id)
    return list(rows.exclude(owner=F("counterparty")).select_related("owner").order_by("pk"))


def missing_invoices(
    books: Books, rows: Iterable[InvoiceReconciliationRecord], known: dict[str, Family]
) -> Iterator[Finding]:
    """What was announced for the month and is not there, and what it names that we do not have."""
    for row in rows:
        codes = list(dict.fromkeys(str(code).upper() for code in row.cdr_codes))
        ours = [known[code] for code in codes if code in known]
        if not _is_of(books, row, ours):
            continue
        sums: dict[str, Decimal] = {}
        for family in {family.latest.id: family for family in ours}.values():
            currency = family.latest.currency
            sums[currency] = sums.get(currency, Decimal()) + family.before_taxes
        worth = " and ".join(money(net, currency) for currency, net in sums.items()) or "nothing we know of"
        yield Finding(
            kind=Kind.INVOICE_MISSING, key=finding_key(Kind.INVOICE_MISSING, "announced", row.pk), facts=worth,
            words=f"Invoice {row.invoice_number} was announced, about {len(codes)} records: {worth}. It is not here.",
            counterparty=row.owner.name, counterparty_id=row.owner_id, currency=next(iter(sums), ""),
            expected=next(iter(sums.values())) if len(sums) == 1 else None, at=row.last_updated,
            about=Subject(is_received=True),
        )  # fmt: skip
        for code in codes:
            if code not in known:
                yield Finding(
                    kind=Kind.RECORD_UNKNOWN, key=finding_key(Kind.RECORD_UNKNOWN, "announced", row.pk, code), facts=code,
                    words=f"{row.invoice_number}, announced: it names {code}, which we do not have.",
                    counterparty=row.owner.name, counterparty_id=row.owner_id, at=row.last_updated,
                    about=Subject(is_received=True),
                )  # fmt: skip


def _is_of(books: Books, row: InvoiceReconciliationRecord, ours: list[Family]) -> bool:
    """In the month in which a record it names ended; of those we do not have in the month before it was told."""
    if ours:
        return any(Month.of(family.latest.ends_at.date()) == books.month for family in ours)
    return books.is_payable and Month.of(row.last_updated.date()).previous == books.month
