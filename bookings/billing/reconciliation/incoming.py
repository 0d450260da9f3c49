"""Invoices of others against one's own records, line by line and as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

from django.db.models import Q

from bookings.billing.parties import Party
from bookings.billing.reconciliation.books import Books
from bookings.billing.reconciliation.families import Families, Family, families
from bookings.billing.reconciliation.findings import Finding, FindingKind, Subject, amounts, finding_key
from bookings.billing.reconciliation.invoices import expected_taxes
from bookings.billing.unbilled import DocumentKey, Sums
from bookings.models import IncomingInvoice, InvoiceReconciliationRecord
from depots import currencies
from depots.templatetags.berth import money

Kind = FindingKind
NOTHING = Decimal()
CENT = Decimal("0.01")


@dataclass
class BilledRecord:
    """What incoming invoices bill of one family of records: per document in its currency its lines added up, credit notes below
    zero."""

    family: Family
    nets: dict[int, Decimal] = field(default_factory=dict)
    invoices: dict[int, IncomingInvoice] = field(default_factory=dict)

    @property
    def billed(self) -> Decimal:
        return sum(self.nets.values(), NOTHING)


@dataclass
class IncomingMonth:
    """The incoming invoices of the books' month, those of other months that name the same records, and the records."""

    books: Books
    rows: list[IncomingInvoice]
    others: list[IncomingInvoice]
    told: dict[int, list[InvoiceReconciliationRecord]]
    known: Families

    @cached_property
    def _told_of(self) -> dict[tuple[int, str], InvoiceReconciliationRecord]:
        named = [(pk, record) for pk, records in self.told.items() for record in records]
        return {(pk, str(code).upper()): record for pk, record in named for code in record.cdr_codes}

    def family(self, row: IncomingInvoice, code: str) -> Family | None:
        """What an invoice means by a code: as its reconciliation record says, else what whoever wrote it issued or got."""
        record = self._told_of.get((row.pk, code.upper()))
        if record is not None:
            return self.known.named_by(record, code)
        return self.known.of(code, row.recipient_id if row.is_self_billed else row.sender_id)

    def codes(self, row: IncomingInvoice) -> set[str]:
        """In capitals: as its lines name them, and as its reconciliation records do."""
        records = self.told.get(row.pk, ())
        return {*row.cdr_codes, *(code.upper() for record in records for code in record.cdr_codes)}


def incoming_month(books: Books, extra_codes: Iterable[str] = ()) -> IncomingMonth:
    """Four statements: its invoices, what they were said to be about, others that name the same records, the records."""
    live = IncomingInvoice.objects.filter(
        recipient=books.organisation_id, is_self_billed=not books.is_payable
    ).exclude(state=IncomingInvoice.State.WITHDRAWN)
    live = live.select_related("sender", "recipient").defer("file")
    mine = live if books.counterparty_id is None else live.filter(sender=books.counterparty_id)
    rows = list(mine.filter(month=books.month.first_day).order_by("sender_name", "pk"))
    told = reconciliation_records(rows)
    codes = {*extra_codes, *(code for row in rows for code in row.cdr_codes)}
    codes |= {code.upper() for records in told.values() for record in records for code in record.cdr_codes}
    others = list(live.filter(cdr_codes__has_any_keys=sorted(codes)).exclude(pk__in=[row.pk for row in rows]))
    return IncomingMonth(
        books, rows, others, told,
        families(codes, organisation_id=books.organisation_id, is_payable=books.is_payable),
    )  # fmt: skip


def reconciliation_records(rows: list[IncomingInvoice]) -> dict[int, list[InvoiceReconciliationRecord]]:
    """By incoming invoice, what its sender told it is about: an invoice about more than one message holds has several records.
    Withdrawn ones fall away."""
    by_number = {(row.sender_id, row.number.upper()): row.pk for row in rows}
    named = Q(incoming__in=rows) | Q(
        incoming__isnull=True, invoice__isnull=True, owner__in={row.sender_id for row in rows if row.sender_id},
        counterparty__in={row.recipient_id for row in rows},
    )  # fmt: skip
    found: dict[int, list[InvoiceReconciliationRecord]] = {}
    for record in InvoiceReconciliationRecord.objects.filter(named, is_withdrawn=False).order_by("pk"):
        pk = record.incoming_id or by_number.get((record.owner_id, record.invoice_number.upper()))
        if pk is not None:
            found.setdefault(pk, []).append(record)
    return found


def wrong_incoming(month: IncomingMonth) -> Iterator[Finding]:
    billed = billed_records(month)
    for row in month.rows:
        yield from _whole(row, month)
        yield from _lines(row, month, billed)


def billed_records(month: IncomingMonth) -> dict[int, BilledRecord]:
    """By the id of the record that stands, of all documents that name it."""
    found: dict[int, BilledRecord] = {}
    for row in (*month.others, *month.rows):
        sign = -1 if row.kind == IncomingInvoice.Kind.CREDIT_NOTE else 1
        for line in row.lines:
            family = month.family(row, line["cdr"])
            if family is not None:
                entry = found.setdefault(family.latest.id, BilledRecord(family))
                entry.invoices[row.pk] = row
                if row.currency == family.latest.currency:
                    net = sign * Decimal(line["before_taxes"])
                    entry.nets[row.pk] = entry.nets.get(row.pk, NOTHING) + net
    return found


def _lines(row: IncomingInvoice, month: IncomingMonth, billed: dict[int, BilledRecord]) -> Iterator[Finding]:
    is_invoice = row.kind == IncomingInvoice.Kind.INVOICE
    for number, line in enumerate(row.lines):
        if not line["cdr"] and row.cdr_codes and is_invoice:
            yield _finding(
                row, Kind.LINE_UNRECORDED, f"“{line['text'] or 'a line'}” names no record.", number,
                found=Decimal(line["before_taxes"]),
            )  # fmt: skip
    for code in sorted(month.codes(row)):
        family = month.family(row, code)
        if family is None:
            net = [Decimal(line["before_taxes"]) for line in row.lines if line["cdr"].upper() == code]
            words = f"it names {code}, which we do not have."
            yield _finding(row, Kind.RECORD_UNKNOWN, words, code, found=sum(net, NOTHING) if net else None)
    named = [family for code in sorted(row.cdr_codes) if (family := month.family(row, code))]
    latest = {family.latest.id: family for family in named}
    for pk, family in latest.items():
        if pk in billed:
            yield from _against(row, family, billed[pk])


def _against(row: IncomingInvoice, family: Family, billed: BilledRecord) -> Iterator[Finding]:
    """One record. Where two invoices bill it the later one is at fault, and where a credit note has set it right nobody is."""
    record = family.latest
    theirs = record.operator_id if not row.is_self_billed else record.customer_id
    if row.sender_id is not None and theirs != row.sender_id:
        yield _finding(
            row, Kind.WRONG_PARTY, f"{record.code} is not of {row.sender_name}.", record.id, family
        )
    if record.currency != row.currency:
        words = f"{record.code} is in {record.currency}, the invoice in {row.currency}."
        yield _finding(row, Kind.WRONG_CURRENCY, words, record.id, family)
        return
    invoices = sorted(pk for pk, each in billed.invoices.items() if each.kind == IncomingInvoice.Kind.INVOICE)
    # What Berth has billed already nobody else may.
    expected = NOTHING if family.invoice is not None else family.before_taxes
    if row.pk not in invoices or not _differ(billed.billed, expected, row.currency):
        return
    if family.invoice is not None or row.pk != invoices[0]:
        number = family.invoice[1] if family.invoice is not None else billed.invoices[invoices[0]].number
        words = f"{record.code} is on {number} already."
        yield _finding(
            row, Kind.INVOICED_TWICE, words, record.id, family, expected=NOTHING, found=billed.nets[row.pk]
        )
        return
    claimed = billed.billed if len(invoices) == 1 else billed.nets[row.pk]
    if _differ(claimed, expected, row.currency):
        words = (
            f"{record.code} says {money(expected, row.currency)}, the invoice {money(claimed, row.currency)}."
        )
        yield _finding(row, Kind.LINE_DIFFERS, words, record.id, family, expected=expected, found=claimed)


def _differ(one: Decimal, other: Decimal, currency: str) -> bool:
    """As an invoice can say it: records of partners have four decimals."""
    return currencies.rounded(one, currency) != currencies.rounded(other, currency)


def _whole(row: IncomingInvoice, month: IncomingMonth) -> Iterator[Finding]:
    """The document as such: who it is for, what it adds up to, its VAT."""
    buyer = row.told.get("seller" if row.is_self_billed else "buyer", {})
    if buyer.get("vat_id") and row.recipient.vat_id and buyer["vat_id"] != row.recipient.vat_id:
        words = f"it is made out to {buyer.get('name') or buyer['vat_id']}."
        yield _finding(row, Kind.WRONG_PARTY, words, "recipient")
    lines = sum((Decimal(line["before_taxes"]) for line in row.lines), NOTHING)
    said = [str(words) for words in row.told.get("differences", [])]
    if row.lines and _differ(lines, row.before_taxes, row.currency) and not said:
        said = [f"Its lines add up to {money(lines, row.currency)}."]
    if said:
        yield _finding(
            row, Kind.SUM_DIFFERS, " ".join(said), "sum", expected=lines if row.lines else None, found=row.before_taxes
        )  # fmt: skip
        return
    if not month.codes(row) and row.kind == IncomingInvoice.Kind.INVOICE:
        yield _finding(row, Kind.LINE_UNRECORDED, "it names no record.", "all", found=row.before_taxes)
    if row.kind == IncomingInvoice.Kind.INVOICE:
        yield from _sums(row, month)


def _sums(row: IncomingInvoice, month: IncomingMonth) -> Iterator[Finding]:
    """Its total and its VAT against the records it is about; what its lines name is held against them one by one."""
    found = {family.latest.id: family for code in month.codes(row) if (family := month.family(row, code))}
    known = [family for family in found.values() if family.latest.currency == row.currency]
    others = len(found) - len(known)
    if others and not row.cdr_codes:
        words = f"{others} of the records it is about are not in {row.currency}."
        yield _finding(row, Kind.WRONG_CURRENCY, words, "currency")
    expected = sum((family.before_taxes for family in known), NOTHING)
    if not known:
        return
    is_other = _differ(expected, row.before_taxes, row.currency)
    if not row.cdr_codes and is_other:
        words = f"the {len(known)} records it is about add up to {money(expected, row.currency)}."
        yield _finding(row, Kind.SUM_DIFFERS, words, "sum", expected=expected, found=row.before_taxes)
    elif not others and not is_other and row.sender is not None:
        taxes = _taxes(row, known)
        if taxes is not None and abs(taxes - row.taxes) > CENT:
            words = f"by the rules its VAT is {money(taxes, row.currency)}."
            yield _finding(row, Kind.VAT_DIFFERS, words, "vat", expected=taxes, found=row.taxes)


def _taxes(row: IncomingInvoice, known: list[Family]) -> Decimal | None:
    assert row.sender is not None
    seller, buyer = (row.recipient, row.sender) if row.is_self_billed else (row.sender, row.recipient)
    if not (seller.country and buyer.country):
        return None
    sums = Sums(DocumentKey(buyer.pk, row.currency, None), before_taxes=row.before_taxes)
    for family in known:
        for country, rate, net in family.nets():
            sums.nets[country, rate] = sums.nets.get((country, rate), NOTHING) + net
    parties = {"supplier": Party.of(seller).to_json(), "customer": Party.of(buyer).to_json()}
    return expected_taxes(sums, parties)


def _finding(
    row: IncomingInvoice,
    kind: FindingKind,
    words: str,
    of: object,
    family: Family | None = None,
    *,
    expected: Decimal | None = None,
    found: Decimal | None = None,
) -> Finding:
    record = family.latest if family is not None else None
    return Finding(
        kind=kind, key=finding_key(kind, row.pk, of), facts=amounts(expected, found) or words[:200],
        words=f"{row.number}: {words}", counterparty=row.sender_name, counterparty_id=row.sender_id, currency=row.currency,
        expected=expected, found=found, at=record.ends_at if record else None,
        time_zone=record.time_zone if record else "UTC",
        about=Subject(
            incoming_id=row.pk, cdr_id=record and record.id, booking_id=record and record.booking_id,
            dispute_id=record and record.dispute_id,
        ),
    )  # fmt: skip
