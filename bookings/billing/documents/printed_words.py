"""What the page of an invoice says, in words and figures that are ready to be set: `invoice.typ` only lays them out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from io import BytesIO
from typing import Any, Final

from bookings.billing.documents.document import (
    BankTransfer,
    DirectDebit,
    InvoiceDocument,
    InvoiceKind,
    InvoiceLine,
    LegalParty,
    Span,
    Unit,
)
from bookings.billing.vat import Vat, VatCategory

TITLES: Final = {
    InvoiceKind.INVOICE: "Invoice",
    InvoiceKind.CREDIT_NOTE: "Credit note",
    InvoiceKind.SELF_BILLED_INVOICE: "Self-billed invoice",
    InvoiceKind.SELF_BILLED_CREDIT_NOTE: "Self-billed credit note",
}
UNITS: Final = {Unit.KWH: "kWh", Unit.HOUR: "h", Unit.PIECE: ""}
VAT_WORDS: Final = {
    VatCategory.ZERO: "0 %",
    VatCategory.EXEMPT: "exempt",
    VatCategory.REVERSE_CHARGE: "reverse charge",
    VatCategory.OUTSIDE_SCOPE: "not subject",
}
MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
# What no line of a table could hold in one piece.
_LONG_WORD: Final = re.compile(r"[^\s\-]{24}(?=[^\s\-])")


def printed_words(document: InvoiceDocument) -> dict[str, Any]:
    """All that `invoice.typ` shows, by the names it uses."""
    self_billed = document.kind.is_self_billed
    return {
        "title": f"{TITLES[document.kind]} {document.number}",
        "subtitle": "Self-billing: issued by the customer in the supplier's name." if self_billed else "",
        "issuer": {"name": document.issuer.name, "lines": _contact(document.issuer)},
        "recipient": {
            "role": "Supplier" if self_billed else "Customer",
            "name": document.recipient.name,
            "lines": _address(document.recipient),
        },
        "facts": list(_facts(document)),
        "summary": list(_summary(document)),
        "breakdown": [
            {"vat": _vat(part.vat), "basis": money(part.basis), "tax": money(part.tax)}
            for part in document.breakdown
        ],
        "reasons": [part.vat.reason for part in document.breakdown if part.vat.reason],
        "totals": list(_totals(document)),
        "due": (_due_label(document), money(document.due, document.currency)),
        "payment": _payment(document),
        "notes": document.notes,
        "groups": list(_groups(document)),
        "footer": " · ".join(
            filter(None, (document.issuer.name, document.issuer.city, document.issuer.vat_id))
        ),
    }


def _contact(party: LegalParty) -> list[str]:
    return [*_address(party), *(f"{label}{words}" for label, words in _further(party) if words)]


def _further(party: LegalParty) -> Iterable[tuple[str, str]]:
    return ("VAT id ", party.vat_id), ("", party.email), ("", "" if party.vat_id else party.reference)


def _address(party: LegalParty) -> list[str]:
    return [*party.address, f"{party.postal_code} {party.city}".strip(), country_name(party.country)]


def _facts(document: InvoiceDocument) -> Iterable[tuple[str, str]]:
    yield "Number", document.number
    yield "Date", day(document.issued_on)
    yield "Due", day(document.due_on)
    if document.span:
        yield "Period", span(document.span)
    if document.preceding:
        yield "Refers to", f"{document.preceding.number}, {day(document.preceding.issued_on)}"
    if document.recipient.reference:
        yield "Your reference", document.recipient.reference
    if document.recipient.vat_id:
        yield "Your VAT id", document.recipient.vat_id


def _by_depot_and_vehicle(lines: Iterable[InvoiceLine]) -> dict[tuple[str, str], list[InvoiceLine]]:
    grouped: dict[tuple[str, str], list[InvoiceLine]] = {}
    for line in sorted(lines, key=lambda line: (line.depot, line.vehicle)):
        grouped.setdefault((line.depot, line.vehicle), []).append(line)
    return grouped


def _summary(document: InvoiceDocument) -> Iterable[dict[str, Any]]:
    """A row a depot and vehicle; more than a page holds become a row a depot."""
    grouped = _by_depot_and_vehicle(document.lines)
    if len(grouped) > 18:
        of_depots: dict[tuple[str, str], list[InvoiceLine]] = {}
        for (depot, _), lines in grouped.items():
            of_depots.setdefault((depot, "all"), []).extend(lines)
        grouped = of_depots
    for (depot, vehicle), lines in grouped.items():
        yield _summary_row(depot, vehicle, lines)
    if len(grouped) > 1:
        yield _summary_row("Total", "", document.lines) | {"total": True}


def _summary_row(depot: str, vehicle: str, lines: Iterable[InvoiceLine]) -> dict[str, Any]:
    lines = list(lines)
    energy = sum((line.quantity.copy_sign(line.net) for line in lines if line.unit is Unit.KWH), Decimal())
    return {
        "depot": depot or "–",
        "vehicle": vehicle or "–" if depot != "Total" else "",
        "lines": str(len(lines)),
        "energy": f"{number(energy)} kWh" if energy else "",
        "net": money(sum((line.net for line in lines), Decimal("0.00"))),
        "total": False,
    }


def _groups(document: InvoiceDocument) -> Iterable[dict[str, Any]]:
    numbers = {id(line): place for place, line in enumerate(document.lines, 1)}
    for (depot, vehicle), lines in _by_depot_and_vehicle(document.lines).items():
        yield {
            "depot": depot or "Other",
            "vehicle": vehicle,
            "lines": [_line(numbers[id(line)], line) for line in lines],
            "label": f"{len(lines)} {'line' if len(lines) == 1 else 'lines'}",
            "net": money(sum((line.net for line in lines), Decimal("0.00"))),
        }


def _line(place: int, line: InvoiceLine) -> dict[str, Any]:
    quantity = f"{number(line.quantity.copy_sign(line.net))} {UNITS[line.unit]}".rstrip()
    source = [line.reference and f"Record {line.reference}", line.booking and f"booking {line.booking}"]
    if line.unit_price is not None:
        quantity = f"{quantity} × {number(line.unit_price)}"
    return {
        "number": str(place),
        "date": span(line.span, iso=True) if line.span else "",
        "what": _breakable(line.description),
        "source": _breakable(", ".join(filter(None, source))),
        "quantity": quantity,
        "vat": _vat(line.vat),
        "net": money(line.net),
    }


def _breakable(words: str) -> str:
    return _LONG_WORD.sub("\\g<0>\u200b", words)


def _totals(document: InvoiceDocument) -> Iterable[tuple[str, str]]:
    yield "Total without VAT", money(document.net_total, document.currency)
    yield "VAT", money(document.tax_total, document.currency)
    if own := document.vat_in_own_currency:
        yield f"VAT in {own.currency}", money(own.amount, own.currency)
    yield "Total with VAT", money(document.gross_total, document.currency)
    if document.prepaid:
        yield "Paid already", money(-document.prepaid, document.currency)


def _due_label(document: InvoiceDocument) -> str:
    return "To be credited" if document.kind.is_credit else "To be paid"


def _payment(document: InvoiceDocument) -> dict[str, Any]:
    amount = ("Amount", money(document.due, document.currency))
    if not document.due:
        return {"heading": "Nothing is to be paid", "rows": [], "qr": ""}
    match document.payment:
        case BankTransfer() as transfer:
            rows = [
                ("To", transfer.account_name),
                ("IBAN", grouped_by_four(transfer.iban)),
                amount,
                ("Due", day(document.due_on)),
                ("Reference", document.number),
            ]
            return {"heading": "Payment by bank transfer", "rows": rows, "qr": _epc_code(document, transfer)}
        case DirectDebit() as debit:
            rows = [
                amount,
                ("On", day(document.due_on)),
                ("From account", grouped_by_four(debit.debtor_iban)),
                ("Mandate", debit.mandate),
                ("Creditor id", debit.creditor_id),
            ]
            return {"heading": "We take the amount by SEPA direct debit", "rows": rows, "qr": ""}
        case _:
            return {"heading": document.payment.words, "rows": [amount], "qr": ""}


def _epc_code(document: InvoiceDocument, transfer: BankTransfer) -> str:
    """The European Payments Council's code for a credit transfer, as SVG; it knows euros above zero alone."""
    import segno.helpers

    if document.currency != "EUR" or not 0 < document.due < 10**9:
        return ""
    code = segno.helpers.make_epc_qr(
        name=transfer.account_name[:70], iban=transfer.iban, amount=document.due, text=document.number[:140]
    )
    svg = BytesIO()
    code.save(svg, kind="svg", border=0, xmldecl=False)
    return svg.getvalue().decode()


def _vat(vat: Vat) -> str:
    return VAT_WORDS.get(vat.category) or f"{number(vat.rate)} %"


def money(amount: Decimal, currency: str = "") -> str:
    """EUR 1,234.50, or 1,234.50 where the currency is said elsewhere."""
    return f"{currency} {amount:,.2f}".lstrip()


def number(value: Decimal) -> str:
    """With as many decimals as it has: 1,041.237 and 19, never 19.00 or 1E+2."""
    words = f"{value:,f}"
    return words.rstrip("0").rstrip(".") if "." in words else words


def day(value: date) -> str:
    return f"{value.day} {MONTHS[value.month - 1]} {value.year}"


def span(value: Span, *, iso: bool = False) -> str:
    words = [each.isoformat() if iso else day(each) for each in (value.first, value.last)]
    return words[0] if words[0] == words[1] else f"{words[0]} to {words[1]}"


def grouped_by_four(iban: str) -> str:
    return " ".join(iban[place : place + 4] for place in range(0, len(iban), 4))


def country_name(alpha_2: str) -> str:
    from pycountry import countries  # reads its tables when first asked

    found = countries.get(alpha_2=alpha_2)
    return found.name if found else alpha_2
