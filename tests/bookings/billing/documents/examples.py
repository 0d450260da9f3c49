"""Invoices of every kind, for tests: an operator in Cologne bills a haulier."""

from datetime import date
from decimal import Decimal
from typing import Any

from bookings.billing.documents.document import (
    BankTransfer,
    InvoiceDocument,
    InvoiceKind,
    InvoiceLine,
    LegalParty,
    PrecedingInvoice,
    Span,
    Unit,
)
from bookings.billing.vat import Vat, VatCategory

GERMAN_19, GERMAN_7 = Vat(VatCategory.STANDARD, Decimal(19)), Vat(VatCategory.STANDARD, Decimal(7))
IBAN = "DE89370400440532013000"
SELLER = LegalParty(
    name="Rheinstrom Ladeparks GmbH",
    address=("Hafenstraße 12",),
    postal_code="50667",
    city="Köln",
    country="DE",
    vat_id="DE136695976",
    email="rechnung@rheinstrom.example",
    reference="DE*RHS",
)
BUYER = LegalParty(
    name="Ostwind Spedition AG",
    address=("Am Güterbahnhof 3", "Halle 4"),
    postal_code="10317",
    city="Berlin",
    country="DE",
    vat_id="DE129273398",
    email="buchhaltung@ostwind.example",
    reference="4711",
)
DUTCH_BUYER = LegalParty(
    name="Waalkade Transport B.V.",
    address=("Waalkade 9",),
    postal_code="6511 XR",
    city="Nijmegen",
    country="NL",
    vat_id="NL123456789B13",
    email="facturen@waalkade.example",
)
OCTOBER = Span(date(2026, 10, 1), date(2026, 10, 31))
SENT_TO_SELLER = BankTransfer(IBAN, SELLER.name)


def line(net: str = "12.50", vat: Vat = GERMAN_19, **fields: Any) -> InvoiceLine:
    values: dict[str, Any] = {
        "description": "Charging, 3 October 2026, 06:12 to 06:58",
        "quantity": Decimal("41.237"),
        "unit": Unit.KWH,
        "span": Span(date(2026, 10, 3), date(2026, 10, 3)),
        "reference": "CDR-000123",
        "booking": "B-42",
        "depot": "Köln Niehl",
        "vehicle": "K-OW 1001",
    }
    return InvoiceLine(net=Decimal(net), vat=vat, **(values | fields))


def invoice(*lines: InvoiceLine, **fields: Any) -> InvoiceDocument:
    values: dict[str, Any] = {
        "number": "RHS-2026-000017",
        "kind": InvoiceKind.INVOICE,
        "issued_on": date(2026, 11, 2),
        "due_on": date(2026, 11, 16),
        "currency": "EUR",
        "seller": SELLER,
        "buyer": BUYER,
        "payment": SENT_TO_SELLER,
        "span": OCTOBER,
    }
    return InvoiceDocument(lines=lines or (line(),), **(values | fields))


def credit_note(*lines: InvoiceLine, **fields: Any) -> InvoiceDocument:
    values = {
        "number": "RHS-2026-000018",
        "kind": InvoiceKind.CREDIT_NOTE,
        "preceding": PrecedingInvoice("RHS-2026-000017", date(2026, 11, 2)),
    }
    return invoice(*lines, **(values | fields))
