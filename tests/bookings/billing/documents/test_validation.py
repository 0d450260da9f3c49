from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bookings.billing.documents.cii import write_cii
from bookings.billing.documents.document import (
    BankTransfer,
    DirectDebit,
    InvoiceDocument,
    InvoiceKind,
    Offset,
    PrecedingInvoice,
    Unit,
    VatInOwnCurrency,
)
from bookings.billing.documents.validation import check, faults_of
from bookings.billing.errors import InvoiceNotValid
from bookings.billing.vat import EXEMPT, NOT_SUBJECT, OUTSIDE_SCOPE, REVERSE_CHARGE, Vat, VatCategory
from tests.bookings.billing.documents.examples import (
    BUYER,
    DUTCH_BUYER,
    GERMAN_7,
    GERMAN_19,
    IBAN,
    SELLER,
    credit_note,
    invoice,
    line,
)

ZERO = Vat(VatCategory.ZERO)
INVOICES: dict[str, Callable[[], InvoiceDocument]] = {
    "one rate": invoice,
    "two rates": lambda: invoice(line("0.13", GERMAN_19), line("0.13", GERMAN_19), line("99.99", GERMAN_7)),
    "two rates and nothing taxed": lambda: invoice(line(), line(vat=ZERO), line(vat=EXEMPT)),
    "reverse charge": lambda: invoice(line(vat=REVERSE_CHARGE), buyer=DUTCH_BUYER),
    "outside the scope of VAT": lambda: invoice(
        line(vat=OUTSIDE_SCOPE), buyer=replace(DUTCH_BUYER, country="CH", vat_id="CHE107787577MWST")
    ),
    "a seller without VAT id": lambda: invoice(line(vat=NOT_SUBJECT), seller=replace(SELLER, vat_id="")),
    "zero rated": lambda: invoice(line(vat=ZERO)),
    "exempt": lambda: invoice(line(vat=EXEMPT)),
    "a credit note": credit_note,
    "a credit note that is set off": lambda: credit_note(payment=Offset("Set off against RHS-2026-000019.")),
    "self-billed": lambda: invoice(kind=InvoiceKind.SELF_BILLED_INVOICE),
    "a self-billed credit note": lambda: credit_note(kind=InvoiceKind.SELF_BILLED_CREDIT_NOTE),
    "a foreign currency": lambda: invoice(
        currency="CHF", vat_in_own_currency=VatInOwnCurrency("EUR", Decimal("2.51"))
    ),
    "a foreign currency without cents": lambda: invoice(line("1250"), currency="HUF"),
    "prepaid in part": lambda: invoice(prepaid=Decimal("10.00")),
    "prepaid in full": lambda: invoice(prepaid=Decimal("14.88"), payment=Offset("Paid from your balance.")),
    "taken by direct debit": lambda: invoice(payment=DirectDebit("M-17", "DE98ZZZ09999999999", IBAN)),
    "a price a unit": lambda: invoice(
        line("14.43", unit_price=Decimal("0.35"), quantity=Decimal("41.237")),
        line("-7.00", unit=Unit.HOUR, unit_price=Decimal(2), quantity=Decimal("3.5")),
    ),
    "a line taken back": lambda: invoice(line("20.00"), line("-3.10"), line("-2.00", GERMAN_7)),
    "nothing at all": lambda: invoice(line("0.00")),
    "all taken back": lambda: invoice(line("-20.00")),
    "a new one for an old one": lambda: invoice(preceding=PrecedingInvoice("RHS-2026-000009", date(2026, 9, 1))),
    "sparse": lambda: invoice(
        line(span=None, reference="", booking="", depot="", vehicle=""),
        seller=replace(SELLER, email="", reference=""),
        buyer=replace(BUYER, email="", reference="", vat_id="", postal_code=""),
        span=None,
        payment=BankTransfer(IBAN, "x"),
    ),
    "signs of all scripts": lambda: invoice(
        line(description='<b>&amp; "#eval" ]]> Łódź Ελλάδα 中文 🚛 \x0b\x00'), notes=("a < b & c",)
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", INVOICES)
def test_every_kind_of_invoice_keeps_schema_and_business_rules(kind):
    assert faults_of(write_cii(INVOICES[kind]())) == []


@pytest.mark.parametrize(
    ("amount", "right", "wrong", "rules"),
    [
        ("GrandTotalAmount", "14.88", "14.89", {"BR-CO-15", "BR-CO-16"}),
        ("TaxBasisTotalAmount", "12.50", "12.51", {"BR-CO-13", "BR-CO-15"}),
        ("CalculatedAmount", "2.38", "3.88", {"BR-CO-14", "BR-CO-17"}),
    ],
)
def test_a_wrong_total_is_caught_and_its_rules_are_named(amount, right, wrong, rules):
    xml = write_cii(invoice()).decode()
    assert f"<ram:{amount}>{right}<" in xml

    with pytest.raises(InvoiceNotValid) as refusal:
        check(xml.replace(f"<ram:{amount}>{right}<", f"<ram:{amount}>{wrong}<").encode())

    assert rules <= {fault.split("]")[0].lstrip("[") for fault in refusal.value.faults}


@settings(max_examples=25, deadline=None)
@given(
    lines=st.lists(
        st.builds(
            line,
            st.decimals(-9999, 9999, places=2).map(str),
            st.sampled_from([GERMAN_19, GERMAN_7, Vat(VatCategory.STANDARD, Decimal("8.1")), ZERO, EXEMPT]),
            quantity=st.decimals("0.001", 99999, places=3),
        ),
        min_size=1,
        max_size=12,
    ),
    prepaid=st.decimals(0, 999, places=2),
)
def test_whatever_lines_come_to_the_rules_of_arithmetic_hold(lines, prepaid):
    document = invoice(*lines, prepaid=prepaid)

    assert faults_of(write_cii(document)) == []
    assert document.due == sum(part.basis + part.tax for part in document.breakdown) - prepaid


def test_what_the_schema_does_not_know_is_caught_with_its_line():
    xml = write_cii(invoice()).replace(b"ram:DuePayableAmount", b"ram:PayableAmount")

    with pytest.raises(InvoiceNotValid, match=r"line .*PayableAmount"):
        check(xml)
