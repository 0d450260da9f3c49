"""An invoice that somebody sent us, as a value. `reading.py` makes one of a file; one that is typed in is made by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from bookings.billing.documents.document import InvoiceKind, Span, cents

# Of UNTDID 1001: credit notes of every kind; their amounts take back.
CREDIT_CODES: Final = frozenset(
    {"81", "83", "261", "296", "308", "381", "396", "420", "458", "502", "503", "532"}
)
_SELF_BILLED: Final = frozenset(kind.value for kind in InvoiceKind if kind.is_self_billed)


@dataclass(frozen=True)
class ReceivedParty:
    """Who a file says it is from or for. `vat_id` is as written, and not checked."""

    name: str
    vat_id: str = ""
    country: str = ""
    reference: str = ""


@dataclass(frozen=True)
class ReceivedLine:
    """`reference` is the CDR or other object that the line bills (BT-128), "" where the file names none."""

    number: str
    description: str
    net: Decimal
    quantity: Decimal
    unit: str
    vat_category: str
    vat_rate: Decimal
    span: Span | None
    reference: str


@dataclass(frozen=True)
class ReceivedVat:
    category: str
    rate: Decimal
    basis: Decimal
    tax: Decimal


@dataclass(frozen=True)
class ReceivedDocument:
    """What a file says, as it says it; `differences` tells where it contradicts itself.

    Credit notes have positive amounts, as ours have. `type_code` is of UNTDID 1001. `preceding` numbers the invoices
    that are taken back or replaced. Between `line_total` and `net_total` stand allowances and charges of the whole document.
    """

    number: str
    type_code: str
    issued_on: date
    due_on: date | None
    currency: str
    seller: ReceivedParty
    buyer: ReceivedParty
    lines: tuple[ReceivedLine, ...]
    vat: tuple[ReceivedVat, ...]
    line_total: Decimal
    net_total: Decimal
    tax_total: Decimal
    gross_total: Decimal
    prepaid: Decimal
    due: Decimal
    preceding: tuple[str, ...] = ()
    iban: str = ""

    @property
    def is_credit(self) -> bool:
        return self.type_code in CREDIT_CODES

    @property
    def is_self_billed(self) -> bool:
        return self.type_code in _SELF_BILLED

    def differences(self) -> tuple[str, ...]:
        """Sums that are not what they are the sum of, in sentences for a person."""
        return tuple(_differences(self))


def _differences(document: ReceivedDocument) -> Iterable[str]:
    lines = sum((line.net for line in document.lines), Decimal())
    if document.lines and lines != document.line_total:
        yield f"The lines add up to {lines}, and {document.line_total} is stated."
    basis = sum((part.basis for part in document.vat), Decimal())
    taxes = sum((part.tax for part in document.vat), Decimal())
    if document.vat and basis != document.net_total:
        yield f"VAT is reckoned on {basis}, and the total without VAT is {document.net_total}."
    if document.vat and taxes != document.tax_total:
        yield f"The VAT of the rates adds up to {taxes}, and {document.tax_total} is stated."
    for part in document.vat:
        if abs(cents(part.basis * part.rate / 100) - part.tax) > Decimal("0.01"):
            yield f"{part.rate} % of {part.basis} is not {part.tax}."
    if document.net_total + document.tax_total != document.gross_total:
        yield f"{document.net_total} and {document.tax_total} VAT do not make {document.gross_total}."
