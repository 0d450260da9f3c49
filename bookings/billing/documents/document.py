"""An invoice as a value, from which its PDF and XML are written. BT-, BG- and BR- numbers are those of EN 16931-1.

The caller feeds the net amount of each line, rounded to the cent (`BillLine`s and CDR totals before taxes); all sums
are made here, once, so that the rules of arithmetic (BR-CO-10 to BR-CO-17) hold by construction: VAT is reckoned on the
sum of all lines of one category and rate and rounded half up, never line by line. It may differ by cents from the VAT
that CDRs show each for itself; the invoice's is the one that is owed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from enum import Enum, StrEnum
from functools import cached_property
from typing import Final

from bookings.billing.errors import InvoiceIncomplete
from bookings.billing.vat import Vat, VatCategory

CENT: Final = Decimal("0.01")


def cents(amount: Decimal) -> Decimal:
    """Rounded half up to the two decimals that EN 16931 allows an amount (BR-DEC), in currencies without cents too.

    Never -0.00, with which its sums do not hold.
    """
    return amount.quantize(CENT, ROUND_HALF_UP) + 0


class InvoiceKind(Enum):
    """What a document is, in codes of UNTDID 1001. The buyer issues the self-billed ones (reverse billing).

    A credit note takes back with positive amounts what an invoice charged.
    """

    INVOICE = "380"
    CREDIT_NOTE = "381"
    SELF_BILLED_INVOICE = "389"
    SELF_BILLED_CREDIT_NOTE = "261"

    @property
    def is_credit(self) -> bool:
        return self in (InvoiceKind.CREDIT_NOTE, InvoiceKind.SELF_BILLED_CREDIT_NOTE)

    @property
    def is_self_billed(self) -> bool:
        return self in (InvoiceKind.SELF_BILLED_INVOICE, InvoiceKind.SELF_BILLED_CREDIT_NOTE)


class Unit(StrEnum):
    """Of a quantity, in codes of UN/ECE recommendation 20."""

    KWH = "KWH"
    HOUR = "HUR"
    PIECE = "C62"


@dataclass(frozen=True)
class Span:
    """From the first day to the last, both counted."""

    first: date
    last: date


@dataclass(frozen=True)
class LegalParty:
    """A seller or buyer as the law wants it named. `address` has one to three lines, `country` is ISO 3166 alpha-2.

    `reference` is what the other side knows it by: an OCPI party id, a customer number. A seller without VAT id needs it.
    """

    name: str
    address: tuple[str, ...]
    postal_code: str
    city: str
    country: str
    vat_id: str = ""
    email: str = ""
    reference: str = ""


@dataclass(frozen=True)
class InvoiceLine:
    """One amount without VAT: a CDR's part of one rate, or several summed up. Negative takes back.

    `quantity` is above zero, in `unit`; `unit_price` is shown where the quantity times it makes `net`, and left out
    where no single price does. `reference` is the CDR's id. Depot and vehicle are what the PDF's summary groups by.
    """

    description: str
    net: Decimal
    vat: Vat
    quantity: Decimal = Decimal(1)
    unit: Unit = Unit.PIECE
    unit_price: Decimal | None = None
    span: Span | None = None
    reference: str = ""
    booking: str = ""
    depot: str = ""
    vehicle: str = ""


@dataclass(frozen=True)
class BankTransfer:
    """Whoever owes the amount sends it to this account, with the document's number as remittance information."""

    iban: str
    account_name: str


@dataclass(frozen=True)
class DirectDebit:
    """The issuer takes the amount from the debtor's account by SEPA direct debit, on the due date."""

    mandate: str
    creditor_id: str
    debtor_iban: str


@dataclass(frozen=True)
class Offset:
    """No money moves for this document: `words` say what it was or will be set off against."""

    words: str


Payment = BankTransfer | DirectDebit | Offset


@dataclass(frozen=True)
class PrecedingInvoice:
    """The document that a credit note takes back, or a new invoice replaces (BG-3)."""

    number: str
    issued_on: date


@dataclass(frozen=True)
class VatBreakdown:
    """What all lines of one category and rate come to (BG-23)."""

    vat: Vat
    basis: Decimal
    tax: Decimal


@dataclass(frozen=True)
class VatInOwnCurrency:
    """The whole VAT once more in the currency that the seller's tax office counts in (BT-6, BT-111; article 230)."""

    currency: str
    amount: Decimal


@dataclass(frozen=True)
class InvoiceDocument:
    """All that is written into an invoice. Raises InvoiceIncomplete, naming all that is missing or cannot be.

    `prepaid` is what the buyer has paid already, from a balance or by instalments (BT-113). `notes` are printed below
    the totals; why no VAT is due is said by itself. `currency` is ISO 4217.
    """

    number: str
    kind: InvoiceKind
    issued_on: date
    due_on: date
    currency: str
    seller: LegalParty
    buyer: LegalParty
    lines: tuple[InvoiceLine, ...]
    payment: Payment
    span: Span | None = None
    prepaid: Decimal = Decimal("0.00")
    preceding: PrecedingInvoice | None = None
    vat_in_own_currency: VatInOwnCurrency | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if faults := [*_faults_of_document(self), *_faults_of_lines(self.lines)]:
            raise InvoiceIncomplete(faults)

    @property
    def issuer(self) -> LegalParty:
        return self.buyer if self.kind.is_self_billed else self.seller

    @property
    def recipient(self) -> LegalParty:
        return self.seller if self.kind.is_self_billed else self.buyer

    @cached_property
    def net_total(self) -> Decimal:
        return sum((line.net for line in self.lines), Decimal("0.00"))

    @cached_property
    def breakdown(self) -> tuple[VatBreakdown, ...]:
        """One entry a category and rate, the highest rate first."""
        bases: dict[Vat, Decimal] = {}
        for line in self.lines:
            bases[line.vat] = bases.get(line.vat, Decimal("0.00")) + line.net
        ordered = sorted(bases, key=lambda vat: (-vat.rate, vat.category))
        return tuple(VatBreakdown(vat, bases[vat], cents(bases[vat] * vat.rate / 100)) for vat in ordered)

    @cached_property
    def tax_total(self) -> Decimal:
        return sum((part.tax for part in self.breakdown), Decimal("0.00"))

    @property
    def gross_total(self) -> Decimal:
        return self.net_total + self.tax_total

    @property
    def due(self) -> Decimal:
        """What is still to be paid: to the seller, or of a credit note to the buyer."""
        return self.gross_total - self.prepaid


def _faults_of_document(document: InvoiceDocument) -> Iterable[str]:
    if not document.number.strip():
        yield "The number is missing."
    if len(document.currency) != 3:
        yield "The currency is missing."
    if not document.lines:
        yield "There is no line."
    if document.due_on < document.issued_on:
        yield "It is due before it is issued."
    if document.kind.is_credit and document.preceding is None:
        yield "A credit note names the invoice it takes back."
    if document.prepaid != cents(document.prepaid):
        yield "What is prepaid has parts of a cent."
    yield from _faults_of_party("seller", document.seller)
    yield from _faults_of_party("buyer", document.buyer)
    yield from _faults_of_categories(document)


def _faults_of_party(role: str, party: LegalParty) -> Iterable[str]:
    required = {
        "legal name": party.name,
        "street address": "".join(party.address),
        "city": party.city,
        "country": party.country,
    }
    missing = [what for what, value in required.items() if not value.strip()]
    if missing:
        yield f"Of the {role} {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing."
    if party.country and len(party.country) != 2:
        yield f"The {role}'s country is no code of two letters: {party.country}."
    if len(party.address) > 3:
        yield f"The {role}'s address has more than three lines."


def _faults_of_categories(document: InvoiceDocument) -> Iterable[str]:
    categories = {line.vat.category for line in document.lines}
    taxed = categories - {VatCategory.OUTSIDE_SCOPE}
    if taxed and not document.seller.vat_id:
        yield "The seller's VAT id is missing (BR-S-02, BR-Z-02, BR-E-02, BR-AE-02)."
    if taxed and len(taxed) < len(categories):
        yield "What is not subject to VAT stands on an invoice of its own (BR-O-11)."
    if len({line.vat for line in document.lines}) > len(
        {(line.vat.category, line.vat.rate) for line in document.lines}
    ):
        yield "One category of VAT has two reasons."
    if VatCategory.REVERSE_CHARGE in categories and not document.buyer.vat_id:
        yield "Reverse charge needs the buyer's VAT id (BR-AE-02)."
    if not taxed and not document.seller.reference:
        yield "The seller's own reference is missing, which stands for the VAT id (BR-CO-26)."


def _faults_of_lines(lines: tuple[InvoiceLine, ...]) -> Iterable[str]:
    for number, line in enumerate(lines, 1):
        if not line.description.strip():
            yield f"Line {number} has no description."
        if line.net != cents(line.net):
            yield f"Line {number} has parts of a cent: {line.net}."
        if line.quantity <= 0:
            yield f"Line {number} has a quantity of {line.quantity}."
        if line.unit_price is not None and cents(line.quantity * line.unit_price) != abs(line.net):
            yield f"Line {number}: {line.quantity} times {line.unit_price} does not make {line.net}."
        if line.span and line.span.last < line.span.first:
            yield f"Line {number} ends before it begins."
