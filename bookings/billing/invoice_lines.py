"""From an issued invoice and its records to the document that says so (bookings.billing.documents)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal

from bookings.billing.documents.document import (
    BankTransfer,
    DirectDebit,
    InvoiceDocument,
    InvoiceKind,
    InvoiceLine,
    LegalParty,
    Offset,
    Payment,
    PrecedingInvoice,
    Span,
    cents,
)
from bookings.billing.documents.printable import printable
from bookings.billing.parties import Party, alpha_2, vat_treatment
from bookings.billing.settlement import still_due
from bookings.billing.taxation import Taxation
from bookings.models import ChargeDetailRecord, Invoice

# Beyond so many records a document sums them up by depot and rate; the CSV names each.
MOST_RECORDS = 300
_KINDS = {
    (Invoice.Kind.INVOICE, False): InvoiceKind.INVOICE,
    (Invoice.Kind.INVOICE, True): InvoiceKind.SELF_BILLED_INVOICE,
    (Invoice.Kind.CREDIT_NOTE, False): InvoiceKind.CREDIT_NOTE,
    (Invoice.Kind.CREDIT_NOTE, True): InvoiceKind.SELF_BILLED_CREDIT_NOTE,
}


def document_of(invoice: Invoice) -> InvoiceDocument:
    """Raises InvoiceIncomplete."""
    seller, buyer = (Party.from_json(invoice.parties[side]) for side in ("supplier", "customer"))
    lines = _lines(invoice, seller, buyer)
    spans = [line.span for line in lines if line.span]
    return InvoiceDocument(
        number=invoice.number,
        kind=_KINDS[Invoice.Kind(invoice.kind), invoice.is_reverse],
        issued_on=invoice.issued_on,
        due_on=invoice.due_on,
        currency=invoice.currency,
        seller=_legal(seller),
        buyer=_legal(buyer),
        lines=lines,
        payment=_payment(invoice, seller, buyer),
        span=Span(min(span.first for span in spans), max(span.last for span in spans)) if spans else None,
        prepaid=cents(invoice.total - max(still_due(invoice), Decimal(0))),
        preceding=PrecedingInvoice(invoice.corrects.number, invoice.corrects.issued_on)
        if invoice.corrects
        else None,
        notes=(f"Reason: {printable(invoice.reason)}",) if invoice.reason else (),
    )


def records_of(invoice: Invoice) -> Iterator[ChargeDetailRecord]:
    """In order of time, with depot and booking; read in pieces."""
    rows = ChargeDetailRecord.objects.filter(invoiced__invoice=invoice).select_related("depot", "booking")
    return rows.defer("bill", "periods", "received").order_by("ends_at", "pk").iterator(1000)


def _legal(party: Party) -> LegalParty:
    return LegalParty(
        name=printable(party.legal_name), address=(printable(party.address),), postal_code=printable(party.postal_code),
        city=printable(party.city), country=alpha_2(party.country), vat_id=party.vat_id, email=printable(party.billing_email),
        reference=party.reference,
    )  # fmt: skip


def _payment(invoice: Invoice, seller: Party, buyer: Party) -> Payment:
    if debit := invoice.parties.get("debit"):
        return DirectDebit(printable(debit["mandate"]), debit["creditor_id"], debit["iban"])
    payee = buyer if invoice.kind == Invoice.Kind.CREDIT_NOTE else seller
    if not payee.iban:
        return Offset("It is set off against what is due.")
    return BankTransfer(payee.iban, printable(payee.legal_name))


def _lines(invoice: Invoice, seller: Party, buyer: Party) -> tuple[InvoiceLine, ...]:
    """One for each record and rate, or summed up; in cents, which add up to what the invoice says of each rate."""
    sign = -1 if invoice.kind == Invoice.Kind.CREDIT_NOTE else 1
    parts = _parts(records_of(invoice), seller, buyer, sign)
    lines = list(parts) if invoice.cdr_count <= MOST_RECORDS else _summed(parts)
    for part in Taxation.from_json(invoice.tax_breakdown).parts:
        alike = [number for number, line in enumerate(lines) if line.vat == part.vat]
        off = part.before_taxes - sum((lines[number].net for number in alike), Decimal(0))
        if off and alike:
            largest = max(alike, key=lambda number: lines[number].net)
            lines[largest] = replace(lines[largest], net=lines[largest].net + off)
    return tuple(lines)


def _parts(
    records: Iterable[ChargeDetailRecord], seller: Party, buyer: Party, sign: int
) -> Iterator[InvoiceLine]:
    for cdr in records:
        treatment = vat_treatment(seller, buyer, cdr.depot.country)
        depot, plate = printable(cdr.depot.name), printable(cdr.plate)
        for rate, net in cdr.net_by_rate or [[None, cdr.before_taxes]]:
            told = None if rate is None else Decimal(rate)
            yield InvoiceLine(
                description=f"{cdr.kind_words}, {depot}{f', {plate}' if plate else ''}",
                net=cents(sign * Decimal(net)),
                vat=treatment.vat_of(told, seller_vat_id=seller.vat_id),
                span=Span(_day(cdr, first=True), _day(cdr, first=False)),
                reference=cdr.code,
                booking=printable(cdr.booking.reference) if cdr.booking else "",
                depot=depot,
                vehicle=plate,
            )


def _day(cdr: ChargeDetailRecord, *, first: bool) -> date:
    moment = cdr.starts_at if first else cdr.ends_at
    return moment.astimezone(cdr.depot.zone).date()


def _summed(parts: Iterable[InvoiceLine]) -> list[InvoiceLine]:
    """By depot and VAT."""
    found: dict[tuple[object, ...], InvoiceLine] = {}
    counts: dict[tuple[object, ...], int] = {}
    for line in parts:
        key = (line.depot, line.vat)
        known = found.get(key)
        counts[key] = counts.get(key, 0) + 1
        found[key] = (
            replace(line, net=line.net + known.net, span=_joined(known.span, line.span)) if known else line
        )
    return [
        replace(
            line, description=f"{counts[key]} records at {line.depot}", reference="", booking="", vehicle=""
        )
        for key, line in found.items()
    ]


def _joined(one: Span | None, other: Span | None) -> Span | None:
    if one is None or other is None:
        return one or other
    return Span(min(one.first, other.first), max(one.last, other.last))
