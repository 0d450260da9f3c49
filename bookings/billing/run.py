"""The billing run: a month's records of an operator into invoices and credit notes, one for each customer and currency.

One transaction: it is all there or nothing is, whoever is killed, and the key of InvoicedCdr keeps a record from a second
invoice whatever else goes wrong. Runs of one operator queue, so that the later finds what the earlier has billed.
Decision 69 has the reasons.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import connection, transaction

from bookings.actors import Actor
from bookings.billing import reverse_billing
from bookings.billing.customers import InvoiceTerms, InvoiceTermsOf, writing_elsewhere
from bookings.billing.errors import BilledElsewhere, MonthNotOver, ParticularsMissing
from bookings.billing.months import Month
from bookings.billing.numbers import next_number
from bookings.billing.parties import Party
from bookings.billing.taxation import Taxation, taxation
from bookings.billing.unbilled import MonthOfOperator, Sums, reasons_of, take, unbilled
from bookings.billing.versions import BILLED, billing_version, check_seen
from bookings.models import Invoice
from bookings.signals import invoices_issued
from depots.models import Depot, Organisation

PREFIX = {Invoice.Kind.INVOICE: "INV", Invoice.Kind.CREDIT_NOTE: "CN"}
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('billing_run', %s))"
_NAME_INVOICES = """
UPDATE bookings_invoicereconciliationrecord r SET invoice_number = i.number, owner_id = i.issuer_id, is_reverse = i.is_reverse,
    counterparty_id = CASE WHEN i.is_reverse THEN i.supplier_id ELSE i.customer_id END
FROM bookings_invoice i WHERE i.id = r.invoice_id AND i.id = ANY(%s)
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
    refused: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Draft:
    """`corrects` is the invoice a credit note is about."""

    sums: Sums
    organisation: Organisation
    taxation: Taxation
    supplier: Party
    customer: Party
    is_reverse: bool
    due_days: int
    debit: dict[str, str]
    corrects: Invoice | None

    @property
    def kind(self) -> Invoice.Kind:
        return Invoice.Kind.CREDIT_NOTE if self.corrects else Invoice.Kind.INVOICE

    @property
    def issuer_id(self) -> int:
        return (self.customer if self.is_reverse else self.supplier).organisation_id


def bill(
    *,
    operator: Organisation,
    month: Month,
    corrects_id: int | None = None,
    customer_id: int | None = None,
    dry_run: bool = False,
    seen_version: int | None = None,
    actor: Actor,
    now: datetime,
) -> BillingRun:
    """Bill what ended in a month at the operator's depots, by their clocks, and is on no invoice yet; again: what came since.
    With `corrects_id` only what was credited of that invoice, with `customer_id` only what that customer owes.

    Of a network our fleets write the invoices, where that is agreed (reverse billing). Raises BilledElsewhere where it is not,
    MonthNotOver (not for a dry run, which writes nothing), ParticularsMissing, of the operator, and ChangedMeanwhile where
    something was billed since `seen_version`.
    """
    terms = InvoiceTermsOf(operator.pk)
    of = MonthOfOperator(
        operator.pk, month, corrects_id, customer_id, is_network=operator.is_partner,
        writing_elsewhere=frozenset(writing_elsewhere([operator.pk])[operator.pk]),
    )  # fmt: skip
    if operator.is_partner and corrects_id is None and operator.pk not in reverse_billing.agreed().suppliers:
        raise BilledElsewhere(f"{operator} writes its invoices itself: no reverse billing is agreed with it.")
    if not dry_run and of.ends_at > now:
        raise MonthNotOver(f"{month} is not over yet at every depot of {operator}.")
    with transaction.atomic():
        queue(operator.pk)
        if seen_version is not None:
            check_seen(seen_version, billing_version(operator.pk), BILLED)
        earlier = Invoice.objects.filter(supplier=operator, month=month.first_day).select_related("customer")
        if customer_id is not None:
            earlier = earlier.filter(customer=customer_id)
        run = BillingRun([BilledDocument(invoice, created=False) for invoice in earlier.order_by("pk")])
        drafts = _drafts(operator, of, terms, run, now=None if dry_run else now)
        issued_on = now.astimezone(_zone(operator)).date()
        reasons = reasons_of(draft.sums.document_id for draft in drafts if draft.corrects)
        invoices = [_invoice(draft, month, issued_on, actor, now) for draft in drafts]
        for invoice in invoices:
            invoice.reason = reasons.get(invoice.pk, "")
        if invoices and not dry_run:
            _issue(invoices, now)
        run.documents += [BilledDocument(invoice, created=not dry_run) for invoice in invoices]
    return run


def queue(operator_id: int) -> None:
    """Behind other runs of the operator's, until the transaction ends: the first lock of all that issues invoices, or moves
    money on the accounts of several customers."""
    with connection.cursor() as cursor:
        cursor.execute(_ONE_AT_A_TIME, [operator_id])


def _drafts(
    operator: Organisation,
    of: MonthOfOperator,
    terms: InvoiceTermsOf,
    run: BillingRun,
    now: datetime | None,
) -> list[_Draft]:
    """What is to be issued, its records taken at `now`, or only looked at; customers that cannot be billed are noted in the
    run. Raises ParticularsMissing."""
    supplier = Party.of(operator)
    incomplete = _incomplete()
    missing = supplier.faults(as_supplier=True)
    due = unbilled(of) if now is None or missing else take(of, left_out=incomplete, now=now)
    due = [sums for sums in due if sums.is_of_value]
    if due and missing:
        raise ParticularsMissing(missing)
    customers = Organisation.objects.in_bulk({sums.key.customer_id for sums in due})
    corrected = Invoice.objects.in_bulk({sums.key.corrects_id for sums in due if sums.key.corrects_id})
    drafts = []
    for sums in due:
        organisation = customers[sums.key.customer_id]
        if organisation.pk in incomplete and sums.key.corrects_id is None:
            run.refused[organisation.name] = str(ParticularsMissing(incomplete[organisation.pk]))
        elif sums.before_taxes < 0 and sums.key.corrects_id is None:
            run.refused[organisation.name] = f"More {sums.key.currency} are credited than billed."
        else:
            corrects = corrected.get(sums.key.corrects_id or 0)
            drafts.append(_draft(sums, operator, organisation, terms, corrects))
    return drafts


def _incomplete() -> dict[int, dict[str, str]]:
    """Organisations that no invoice can name as its customer, by id, with what is missing."""
    parties = map(Party.of, Organisation.objects.all())
    faults = {party.organisation_id: party.faults(as_supplier=False) for party in parties}
    return {pk: missing for pk, missing in faults.items() if missing}


def _draft(
    sums: Sums,
    operator: Organisation,
    organisation: Organisation,
    terms: InvoiceTermsOf,
    corrects: Invoice | None,
) -> _Draft:
    """A credit note goes by what its invoice went by: the same parties, the same VAT."""
    supplier, creditor_id = Party.of(operator), operator.creditor_id
    agreed, customer = terms.of(organisation.pk), Party.of(organisation)
    is_reverse = agreed.is_reverse or operator.is_partner
    if corrects is not None:
        supplier = Party.from_json(corrects.parties["supplier"])
        customer = Party.from_json(corrects.parties["customer"])
        is_reverse = corrects.is_reverse
    taxed = taxation(sums, seller=supplier, buyer=customer)
    is_debited = corrects is None and not is_reverse and sums.key.currency == "EUR"
    debit = _debit(creditor_id, customer, agreed) if is_debited else {}
    return _Draft(sums, organisation, taxed, supplier, customer, is_reverse, agreed.due_days, debit, corrects)


def _debit(creditor_id: str, customer: Party, agreed: InvoiceTerms) -> dict[str, str]:
    """What a direct debit is announced with; nothing where there will be none (bookings.billing.bank.collectable)."""
    if not (creditor_id and customer.iban and agreed.mandate):
        return {}
    return {"mandate": agreed.mandate, "creditor_id": creditor_id, "iban": customer.iban}


def _zone(operator: Organisation) -> ZoneInfo:
    """Of its calendar: that of its first depot."""
    first = Depot.objects.filter(operator=operator).order_by("pk").values_list("time_zone", flat=True).first()
    return ZoneInfo(first or "UTC")


def _invoice(draft: _Draft, month: Month, issued_on: date, actor: Actor, now: datetime) -> Invoice:
    """Not saved, and without a number."""
    return Invoice(
        pk=draft.sums.document_id,
        issuer_id=draft.issuer_id,
        supplier_id=draft.supplier.organisation_id,
        customer=draft.organisation,
        kind=draft.kind,
        is_reverse=draft.is_reverse,
        month=month.first_day,
        currency=draft.sums.key.currency,
        year=issued_on.year,
        issued_on=issued_on,
        due_on=issued_on + timedelta(days=draft.due_days),
        before_taxes=draft.taxation.before_taxes,
        taxes=draft.taxation.taxes,
        total=draft.taxation.total,
        tax_breakdown=draft.taxation.to_json(),
        parties={
            "supplier": draft.supplier.to_json(),
            "customer": draft.customer.to_json(),
            **({"debit": draft.debit} if draft.debit else {}),
        },
        cdr_count=draft.sums.cdrs,
        corrects=draft.corrects,
        made_at=now,
        **actor.columns("made_by"),
    )


def _issue(invoices: list[Invoice], now: datetime) -> None:
    # In the order of the rows that numbers are taken from, as all who take several.
    for invoice in sorted(invoices, key=lambda invoice: (invoice.issuer_id, invoice.kind, invoice.pk)):
        _number(invoice)
        # Where as much was credited as billed there is nothing to wait for.
        invoice.settled_at = None if invoice.total else now
    Invoice.objects.bulk_create(invoices)
    with connection.cursor() as cursor:
        cursor.execute(_NAME_INVOICES, [[invoice.pk for invoice in invoices]])
    invoices_issued.send(sender=Invoice, invoices=invoices, at=now)


def _number(invoice: Invoice) -> None:
    invoice.sequence = next_number(invoice.issuer_id, f"{invoice.kind}-{invoice.year}")
    invoice.number = f"{PREFIX[Invoice.Kind(invoice.kind)]}-{invoice.year}-{invoice.sequence:06}"
