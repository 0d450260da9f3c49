"""The billing run: a month's records of an operator into invoices and credit notes, one for each customer and currency.

One transaction: it is all there or nothing is, whoever is killed, and the key of InvoicedCdr keeps a record from a second
invoice whatever else goes wrong. Runs of one operator queue, so that the later finds what the earlier has billed.
Decision 69 has the reasons.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

from django.db import connection, transaction

from bookings.actors import Actor
from bookings.billing.customers import InvoiceTermsOf
from bookings.billing.months import Month
from bookings.billing.numbers import next_number
from bookings.billing.parties import Party
from bookings.billing.taxation import Taxation, taxation
from bookings.billing.unbilled import DocumentKey, MonthOfOperator, Sums, take, unbilled
from bookings.errors import BookingError, MonthNotOver, ParticularsMissing
from bookings.models import Invoice, InvoiceReconciliationRecord
from bookings.signals import invoices_issued
from depots.models import Depot, Organisation

PREFIX = {Invoice.Kind.INVOICE: "INV", Invoice.Kind.CREDIT_NOTE: "CN"}
# Records that are issued while a run adds up are added up with the next try.
_TRIES = 10
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('billing_run', %s))"
_NEXT_IDS = "SELECT nextval(pg_get_serial_sequence('bookings_invoice', 'id')) FROM generate_series(1, %s)"
_NAME_RECORDS = """
UPDATE bookings_invoicereconciliationrecord r SET cdr_codes = told.codes
FROM (
    SELECT i.invoice_id, jsonb_agg(c.code ORDER BY c.id) AS codes
    FROM bookings_invoicedcdr i JOIN bookings_chargedetailrecord c ON c.id = i.cdr_id
    WHERE i.invoice_id = ANY(%s) GROUP BY i.invoice_id
) told WHERE told.invoice_id = r.invoice_id
"""


@dataclass(frozen=True)
class BilledDocument:
    """`invoice` has no number and is not saved when it would only be made."""

    invoice: Invoice
    created: bool


@dataclass
class BillingRun:
    """All documents of the month, those of earlier runs too. `refused` names by customer what an invoice to it would have to
    say and cannot; the others are billed."""

    documents: list[BilledDocument] = field(default_factory=list)
    refused: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Draft:
    """`corrects` is the invoice a credit note is about."""

    key: DocumentKey
    organisation: Organisation
    cdrs: int
    taxation: Taxation
    supplier: Party
    customer: Party
    is_reverse: bool
    due_days: int
    corrects: Invoice | None

    @property
    def kind(self) -> Invoice.Kind:
        return Invoice.Kind.CREDIT_NOTE if self.corrects else Invoice.Kind.INVOICE

    @property
    def issuer_id(self) -> int:
        return (self.customer if self.is_reverse else self.supplier).organisation_id


def bill(
    *, operator: Organisation, month: Month, dry_run: bool = False, actor: Actor, now: datetime
) -> BillingRun:
    """Bill what ended in a month at the operator's depots, by their clocks, and is on no invoice yet; again: what came since.

    Raises MonthNotOver (not for a dry run, which writes nothing) and ParticularsMissing, of the operator.
    """
    of = MonthOfOperator(operator.pk, month)
    if not dry_run and of.parameters()["last"] > now:
        raise MonthNotOver(f"{month} is not over yet at every depot of {operator}.")
    for _ in range(_TRIES):
        try:
            with transaction.atomic():
                return _run(operator, of, dry_run=dry_run, actor=actor, now=now)
        except _MoreCame:
            continue
    raise BookingError("Records of this month are being issued all the time. Try again later.")


class _MoreCame(Exception):
    """Records came between adding up and taking."""


def _run(
    operator: Organisation, of: MonthOfOperator, *, dry_run: bool, actor: Actor, now: datetime
) -> BillingRun:
    with connection.cursor() as cursor:
        cursor.execute(_ONE_AT_A_TIME, [operator.pk])
    earlier = Invoice.objects.filter(supplier=operator, month=of.month.first_day).order_by("pk")
    run = BillingRun(
        [BilledDocument(invoice, created=False) for invoice in earlier.select_related("customer")]
    )
    drafts = _drafts(operator, of, run)
    issued_on = now.astimezone(_zone(operator)).date()
    if dry_run:
        unsaved = (_invoice(draft, of.month, issued_on, actor, now) for draft in drafts)
        run.documents += [BilledDocument(invoice, created=False) for invoice in unsaved]
    elif drafts:
        invoices = _issue(drafts, of, issued_on, actor, now)
        run.documents += [BilledDocument(invoice, created=True) for invoice in invoices]
    return run


def _drafts(operator: Organisation, of: MonthOfOperator, run: BillingRun) -> list[_Draft]:
    """What is to be issued; customers that cannot be billed are noted in the run. Raises ParticularsMissing."""
    due = [sums for sums in unbilled(of) if sums.is_of_value]
    if not due:
        return []
    supplier = Party.of(operator)
    if missing := supplier.missing(as_supplier=True):
        raise ParticularsMissing(missing)
    customers = Organisation.objects.in_bulk({sums.key.customer_id for sums in due})
    corrected = Invoice.objects.in_bulk({sums.key.corrects_id for sums in due if sums.key.corrects_id})
    terms = InvoiceTermsOf(operator.pk)
    drafts = []
    for sums in due:
        organisation = customers[sums.key.customer_id]
        try:
            corrects = corrected.get(sums.key.corrects_id or 0)
            drafts.append(_draft(sums, supplier, organisation, terms, corrects))
        except BookingError as refusal:
            run.refused.setdefault(organisation.name, []).append(str(refusal))
    return drafts


def _draft(
    sums: Sums, supplier: Party, organisation: Organisation, terms: InvoiceTermsOf, corrects: Invoice | None
) -> _Draft:
    """A credit note goes by what its invoice went by: the same parties, the same VAT. Raises BookingError."""
    agreed, customer = terms.of(organisation.pk), Party.of(organisation)
    is_reverse = agreed.is_reverse
    if corrects is not None:
        supplier = Party.from_json(corrects.parties["supplier"])
        customer = Party.from_json(corrects.parties["customer"])
        is_reverse = corrects.is_reverse
    elif missing := customer.missing(as_supplier=False):
        raise ParticularsMissing(missing)
    taxed = taxation(sums, seller=supplier, buyer=customer)
    if taxed.before_taxes < 0:
        raise BookingError(f"More is credited to {customer.name} than billed.")
    return _Draft(
        sums.key, organisation, sums.cdrs, taxed, supplier, customer, is_reverse, agreed.due_days, corrects
    )


def _zone(operator: Organisation) -> ZoneInfo:
    """Of its calendar: that of its first depot."""
    first = Depot.objects.filter(operator=operator).order_by("pk").values_list("time_zone", flat=True).first()
    return ZoneInfo(first or "UTC")


def _invoice(draft: _Draft, month: Month, issued_on: date, actor: Actor, now: datetime) -> Invoice:
    """Not saved, and without a number."""
    return Invoice(
        issuer_id=draft.issuer_id,
        supplier_id=draft.supplier.organisation_id,
        customer=draft.organisation,
        kind=draft.kind,
        is_reverse=draft.is_reverse,
        month=month.first_day,
        currency=draft.key.currency,
        year=issued_on.year,
        issued_on=issued_on,
        due_on=issued_on + timedelta(days=draft.due_days),
        before_taxes=draft.taxation.before_taxes,
        taxes=draft.taxation.taxes,
        total=draft.taxation.total,
        tax_breakdown=draft.taxation.to_json(),
        parties={"supplier": draft.supplier.to_json(), "customer": draft.customer.to_json()},
        cdr_count=draft.cdrs,
        corrects=draft.corrects,
        made_at=now,
        **actor.columns("made_by"),
    )


def _issue(
    drafts: Sequence[_Draft], of: MonthOfOperator, issued_on: date, actor: Actor, now: datetime
) -> list[Invoice]:
    """Raises _MoreCame."""
    ids = _next_ids(len(drafts))
    taken = take(of, {pk: draft.key for pk, draft in zip(ids, drafts, strict=True)})
    if taken != {pk: draft.cdrs for pk, draft in zip(ids, drafts, strict=True)}:
        raise _MoreCame
    invoices = [_invoice(draft, of.month, issued_on, actor, now) for draft in drafts]
    for pk, invoice in zip(ids, invoices, strict=True):
        invoice.pk = pk
    for invoice in _by_issuer(invoices):
        _number(invoice)
    Invoice.objects.bulk_create(invoices)
    _name_records(invoices, now)
    invoices_issued.send(sender=Invoice, invoices=invoices, at=now)
    return invoices


def _by_issuer(invoices: Iterable[Invoice]) -> Iterator[Invoice]:
    """In the order of the rows that numbers are taken from, as all who take several."""
    yield from sorted(invoices, key=lambda invoice: (invoice.issuer_id, invoice.kind, invoice.pk))


def _number(invoice: Invoice) -> None:
    invoice.sequence = next_number(invoice.issuer_id, f"{invoice.kind}-{invoice.year}")
    invoice.number = f"{PREFIX[Invoice.Kind(invoice.kind)]}-{invoice.year}-{invoice.sequence:06}"


def _next_ids(count: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(_NEXT_IDS, [count])
        return [pk for (pk,) in cursor.fetchall()]


def _name_records(invoices: Sequence[Invoice], now: datetime) -> None:
    """Say of each invoice which records it is about."""
    InvoiceReconciliationRecord.objects.bulk_create(
        InvoiceReconciliationRecord(
            owner_id=invoice.issuer_id,
            counterparty_id=invoice.supplier_id if invoice.is_reverse else invoice.customer_id,
            code=str(uuid4()), invoice_number=invoice.number, invoice=invoice, last_updated=now,
        )
        for invoice in invoices
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_NAME_RECORDS, [[invoice.pk for invoice in invoices]])
