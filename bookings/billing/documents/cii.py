"""An invoice as XML of UN/CEFACT's Cross Industry Invoice, profile EN 16931 of Factur-X and ZUGFeRD."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Final

from drafthorse.models.accounting import ApplicableTradeTax
from drafthorse.models.document import Document
from drafthorse.models.note import IncludedNote
from drafthorse.models.party import TaxRegistration, TradeParty
from drafthorse.models.payment import PaymentMeans, PaymentTerms
from drafthorse.models.trade import MonetarySummation
from drafthorse.models.tradelines import LineItem

from bookings.billing.documents.document import (
    BankTransfer,
    DirectDebit,
    InvoiceDocument,
    InvoiceLine,
    LegalParty,
    VatBreakdown,
)
from bookings.billing.vat import Vat, VatCategory

PROFILE: Final = "urn:cen.eu:en16931:2017"
# Codes of UNTDID 4461: a credit transfer within SEPA and elsewhere, a SEPA direct debit, clearing between partners.
_SEPA_TRANSFER, _OTHER_TRANSFER, _SEPA_DEBIT, _CLEARING = "58", "30", "59", "97"
# Of the list VATEX, beside the reason in words.
_REASON_CODES: Final = {VatCategory.REVERSE_CHARGE: "VATEX-EU-AE", VatCategory.OUTSIDE_SCOPE: "VATEX-EU-O"}
_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_cii(document: InvoiceDocument) -> bytes:
    """The XML in UTF-8, checked by nobody yet: see `validation.py`."""
    xml = Document()
    xml.context.guideline_parameter.id = PROFILE
    _write_header(xml, document)
    for number, line in enumerate(document.lines, 1):
        xml.trade.items.add(_line(number, line))
    outside_scope = any(line.vat.category is VatCategory.OUTSIDE_SCOPE for line in document.lines)
    _write_party(xml.trade.agreement.seller, document.seller, without_vat_id=outside_scope, sells=True)
    _write_party(xml.trade.agreement.buyer, document.buyer, without_vat_id=outside_scope)
    xml.trade.delivery.event.occurrence = _delivered_on(document)
    _write_settlement(xml, document)
    written: bytes = xml.serialize(schema=None)
    return written


def _write_header(xml: Document, document: InvoiceDocument) -> None:
    xml.header.id = text(document.number)
    xml.header.type_code = document.kind.value
    xml.header.issue_date_time = document.issued_on
    for words in document.notes:
        note = IncludedNote()
        note.content = text(words)
        xml.header.notes.add(note)


def _line(number: int, line: InvoiceLine) -> LineItem:
    item = LineItem()
    item.document.line_id = str(number)
    item.product.name = text(line.description)
    details = [line.booking and f"Booking {line.booking}", line.depot, line.vehicle]
    item.product.description = text(", ".join(filter(None, details)))
    item.agreement.net.amount, item.agreement.net.basis_quantity = _price(line)
    item.delivery.billed_quantity = (_plain(line.quantity.copy_sign(line.net)), line.unit.value)
    item.settlement.trade_tax.type_code = "VAT"
    item.settlement.trade_tax.category_code = line.vat.category.value
    item.settlement.trade_tax.rate_applicable_percent = _rate(line.vat)
    if line.span:
        item.settlement.period.start = line.span.first
        item.settlement.period.end = line.span.last
    item.settlement.monetary_summation.total_amount = _amount(line.net)
    if line.reference:
        reference = item.settlement.additional_referenced_document
        reference.issuer_assigned_id = text(line.reference)
        reference.type_code = "130"  # an invoiced object (BT-128)
    return item


def _price(line: InvoiceLine) -> tuple[str, tuple[str, str]]:
    """The price of a unit where there is one, else of the whole quantity, which leaves nothing to round (BT-146, BT-149).

    A price is never negative (BR-27): what is taken back has a quantity below zero.
    """
    if line.unit_price is not None:
        return _plain(line.unit_price), ("1", line.unit.value)
    return _plain(abs(line.net)), (_plain(line.quantity), line.unit.value)


def _rate(vat: Vat) -> str | None:
    """What is outside the scope of VAT has no rate, not even zero (BR-O-05)."""
    return None if vat.category is VatCategory.OUTSIDE_SCOPE else _plain(vat.rate)


def _write_party(xml: TradeParty, party: LegalParty, *, without_vat_id: bool, sells: bool = False) -> None:
    """On an invoice outside the scope of VAT no VAT id may stand as such (BR-O-02): the seller's becomes a tax number."""
    xml.name = text(party.name)
    if party.reference:
        xml.id = text(party.reference)
    xml.address.postcode = text(party.postal_code)
    for field, words in zip(("line_one", "line_two", "line_three"), party.address, strict=False):
        setattr(xml.address, field, text(words))
    xml.address.city_name = text(party.city)
    xml.address.country_id = party.country
    if party.email:
        xml.electronic_address.uri_ID = ("EM", text(party.email))
    if party.vat_id and (sells or not without_vat_id):
        scheme = "FC" if without_vat_id else "VA"
        xml.tax_registrations.add(TaxRegistration(id=(scheme, party.vat_id)))


def _delivered_on(document: InvoiceDocument) -> date:
    """The last day of what is billed (BT-72), without which its group were empty."""
    if document.span:
        return document.span.last
    return max((line.span.last for line in document.lines if line.span), default=document.issued_on)


def _write_settlement(xml: Document, document: InvoiceDocument) -> None:
    settlement = xml.trade.settlement
    settlement.currency_code = document.currency
    settlement.payment_reference = text(document.number)
    if document.vat_in_own_currency:
        settlement.tax_currency_code = document.vat_in_own_currency.currency
    if document.span:
        settlement.period.start = document.span.first
        settlement.period.end = document.span.last
    for part in document.breakdown:
        settlement.trade_tax.add(_breakdown(part))
    if document.preceding:
        settlement.invoice_referenced_document.issuer_assigned_id = text(document.preceding.number)
        settlement.invoice_referenced_document.issue_date_time = document.preceding.issued_on
    _write_payment(xml, document)
    _write_totals(settlement.monetary_summation, document)


def _breakdown(part: VatBreakdown) -> ApplicableTradeTax:
    tax = ApplicableTradeTax()
    tax.type_code = "VAT"
    tax.category_code = part.vat.category.value
    tax.rate_applicable_percent = _rate(part.vat)
    tax.basis_amount = _amount(part.basis)
    tax.calculated_amount = _amount(part.tax)
    tax.exemption_reason = text(part.vat.reason)
    tax.exemption_reason_code = _REASON_CODES.get(part.vat.category, "")
    return tax


def _write_payment(xml: Document, document: InvoiceDocument) -> None:
    settlement, payment = xml.trade.settlement, document.payment
    means, terms = PaymentMeans(), PaymentTerms()
    terms.due = document.due_on
    match payment:
        case BankTransfer():
            means.type_code = _SEPA_TRANSFER if document.currency == "EUR" else _OTHER_TRANSFER
            means.payee_account.iban = payment.iban
            means.payee_account.account_name = text(payment.account_name)
        case DirectDebit():
            means.type_code = _SEPA_DEBIT
            means.payer_account.iban = payment.debtor_iban
            settlement.creditor_reference_id = payment.creditor_id
            terms.debit_mandate_id = text(payment.mandate)
        case _:
            means.type_code = _CLEARING
            terms.description = text(payment.words)
    settlement.payment_means.add(means)
    settlement.terms.add(terms)


def _write_totals(summation: MonetarySummation, document: InvoiceDocument) -> None:
    summation.line_total = _amount(document.net_total)
    summation.tax_basis_total = (_amount(document.net_total), None)
    summation.tax_total = (_amount(document.tax_total), document.currency)
    if own := document.vat_in_own_currency:
        summation.tax_total_other_currency.add((_amount(own.amount), own.currency))
    summation.grand_total = (_amount(document.gross_total), None)
    summation.prepaid_total = _amount(document.prepaid)
    summation.due_amount = _amount(document.due)


def text(words: str) -> str:
    """Without what no XML document can hold, such as control characters."""
    return _NOT_IN_XML.sub("", words)


def _amount(money: Decimal) -> str:
    return f"{money + 0:.2f}"  # -0.00 is 0.00


def _plain(number: Decimal) -> str:
    return f"{number:f}"
