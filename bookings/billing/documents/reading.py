"""Reading an invoice of EN 16931 from a file: CII or UBL, as XML by itself or attached to a PDF (Factur-X, ZUGFeRD)."""

from __future__ import annotations

import re
from typing import Final

import pycountry
from lxml import etree

from bookings.billing.documents.document import Span
from bookings.billing.documents.embedded import embedded_xml
from bookings.billing.documents.received import ReceivedDocument, ReceivedLine, ReceivedParty, ReceivedVat
from bookings.billing.documents.syntaxes import PREFIXES, SYNTAXES, Syntax
from bookings.billing.errors import DocumentUnreadable
from bookings.billing.untrusted_xml import Node, parse

MOST_LINES: Final = 20_000


def read_document(file: bytes) -> ReceivedDocument:
    """Raises DocumentUnreadable, which says what is wrong with the file, for a person who can send another."""
    if b"%PDF-" in file[:1024]:
        file = embedded_xml(file)
    root = parse(file, PREFIXES)
    syntax = SYNTAXES.get(root.tag)
    if syntax is None:
        raise DocumentUnreadable(
            "The XML is no invoice of EN 16931, neither in CII (Factur-X, ZUGFeRD 2) nor in UBL 2."
        )
    return _document(root, syntax)


def _document(root: Node, syntax: Syntax) -> ReceivedDocument:
    currency = root.text(syntax.currency, needed="currency")
    if not re.fullmatch("[A-Z]{3}", currency) or pycountry.currencies.get(alpha_3=currency) is None:
        raise DocumentUnreadable(f"“{currency[:40]}” is no currency.")
    _check_currencies(root, currency)
    issued_on = root.date(syntax.issued_on, "date of the invoice")
    if issued_on is None:
        raise DocumentUnreadable("The file does not say its date.")
    net = root.amount(syntax.net_total, "total without VAT")
    gross = root.amount(syntax.gross_total, "total with VAT")
    prepaid = root.amount(syntax.prepaid, "amount paid already", default=gross * 0)
    return ReceivedDocument(
        number=root.text(syntax.number, needed="number"),
        type_code=root.text(syntax.type_code, needed="type"),
        issued_on=issued_on,
        due_on=next((day for path in syntax.due_on if (day := root.date(path, "due date"))), None),
        currency=currency,
        seller=_party(root.first(syntax.seller), syntax, "seller"),
        buyer=_party(root.first(syntax.buyer), syntax, "buyer"),
        lines=_lines(root, syntax),
        vat=tuple(_vat(part, syntax) for part in root.all(syntax.vat)),
        line_total=root.amount(syntax.line_total, "total of the lines", default=net),
        net_total=net,
        tax_total=root.amount(syntax.tax_total_in(currency), "VAT", default=gross - net),
        gross_total=gross,
        prepaid=prepaid,
        due=root.amount(syntax.due, "amount to be paid", default=gross - prepaid),
        preceding=tuple(number for node in root.all(syntax.preceding) if (number := node.text("."))),
        iban=root.text(syntax.iban),
    )


def _check_currencies(root: Node, currency: str) -> None:
    """All amounts are in the invoice's (BT-5), but for a total of VAT in that of the seller's books (BT-111)."""
    for element in root.element.iter("{*}*"):
        said, name = element.get("currencyID", currency), etree.QName(element).localname
        is_total_of_vat = name == "TaxTotalAmount" or (
            name == "TaxAmount" and etree.QName(element.getparent()).localname == "TaxTotal"
        )
        if said != currency and not is_total_of_vat:
            raise DocumentUnreadable(f"An amount is in “{said[:40]}”, and the invoice in {currency}.")


def _party(node: Node | None, syntax: Syntax, role: str) -> ReceivedParty:
    if node is None:
        raise DocumentUnreadable(f"The file does not say its {role}.")
    return ReceivedParty(
        name=node.text(syntax.party_name, needed=role),
        vat_id=node.text(syntax.party_vat_id),
        country=node.text(syntax.party_country),
        reference=node.text(syntax.party_reference),
    )


def _lines(root: Node, syntax: Syntax) -> tuple[ReceivedLine, ...]:
    lines = []
    for place, node in enumerate(root.all(syntax.lines), 1):
        if place > MOST_LINES:
            raise DocumentUnreadable(f"The invoice has more than {MOST_LINES} lines.")
        lines.append(_line(node, syntax, place))
    return tuple(lines)


def _line(node: Node, syntax: Syntax, place: int) -> ReceivedLine:
    net = node.amount(syntax.line_net, f"amount of line {place}")
    first = node.date(syntax.line_first, f"first day of line {place}")
    last = node.date(syntax.line_last, f"last day of line {place}") or first
    quantity = node.first(syntax.line_quantity)
    return ReceivedLine(
        number=node.text(syntax.line_number) or str(place),
        description=node.text(syntax.line_description),
        net=net,
        quantity=quantity.amount(".", f"quantity of line {place}") if quantity else net * 0 + 1,
        unit=quantity.element.get("unitCode", "") if quantity else "",
        vat_category=node.text(syntax.line_vat_category),
        vat_rate=node.amount(syntax.line_vat_rate, f"VAT of line {place}", default=net * 0),
        span=Span(first, last) if first and last else None,
        reference=node.text(syntax.line_reference),
    )


def _vat(node: Node, syntax: Syntax) -> ReceivedVat:
    tax = node.amount(syntax.vat_tax, "VAT of a rate")
    return ReceivedVat(
        category=node.text(syntax.vat_category),
        rate=node.amount(syntax.vat_rate, "rate of VAT", default=tax * 0),
        basis=node.amount(syntax.vat_basis, "amount that VAT is reckoned on"),
        tax=tax,
    )
