from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from bookings.billing.documents.document import InvoiceKind
from bookings.billing.errors import InvoiceIncomplete
from bookings.billing.vat import EXEMPT, NOT_SUBJECT, OUTSIDE_SCOPE, REVERSE_CHARGE, Vat, VatCategory
from tests.bookings.billing.documents.examples import (
    BUYER,
    GERMAN_7,
    GERMAN_19,
    SELLER,
    credit_note,
    invoice,
    line,
)


def test_vat_is_reckoned_on_the_sum_of_a_rate_and_not_line_by_line():
    # 19 % of 0.13 is 0.0247: ten lines each for itself would come to 0.20.
    document = invoice(*[line("0.13")] * 10, line("100.00", GERMAN_7), prepaid=Decimal("8.55"))

    assert [(part.vat, part.basis, part.tax) for part in document.breakdown] == [
        (GERMAN_19, Decimal("1.30"), Decimal("0.25")),
        (GERMAN_7, Decimal("100.00"), Decimal("7.00")),
    ]
    assert (document.net_total, document.tax_total) == (Decimal("101.30"), Decimal("7.25"))
    assert (document.gross_total, document.due) == (Decimal("108.55"), Decimal("100.00"))


def test_half_a_cent_of_vat_is_rounded_up_and_of_a_negative_basis_away_from_zero():
    ten = Vat(VatCategory.STANDARD, Decimal(10))

    assert invoice(line("0.05", ten)).tax_total == Decimal("0.01")
    assert invoice(line("-0.05", ten)).tax_total == Decimal("-0.01")


def test_a_self_billed_invoice_is_issued_by_the_buyer():
    document = invoice(kind=InvoiceKind.SELF_BILLED_INVOICE)

    assert (document.issuer, document.recipient) == (BUYER, SELLER)
    assert (invoice().issuer, invoice().recipient) == (SELLER, BUYER)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"number": " "}, "The number is missing."),
        ({"currency": ""}, "The currency is missing."),
        ({"due_on": date(2026, 11, 1)}, "It is due before it is issued."),
        ({"kind": InvoiceKind.CREDIT_NOTE}, "A credit note names the invoice it takes back."),
        ({"prepaid": Decimal("1.005")}, "What is prepaid has parts of a cent."),
        ({"buyer": replace(BUYER, name="", city="")}, "Of the buyer legal name, city are missing."),
        ({"buyer": replace(BUYER, country="DEU")}, "The buyer's country is no code of two letters: DEU."),
        ({"seller": replace(SELLER, vat_id="")}, "The seller's VAT id is missing"),
    ],
)  # fmt: skip
def test_what_an_invoice_must_name_is_asked_for(fields, fault):
    with pytest.raises(InvoiceIncomplete, match=fault):
        invoice(**fields)


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ([line("1.005")], "Line 1 has parts of a cent: 1.005."),
        ([line(), line(description="")], "Line 2 has no description."),
        ([line(quantity=Decimal(0))], "Line 1 has a quantity of 0."),
        ([line(unit_price=Decimal("0.30"))], "41.237 times 0.30 does not make 12.50"),
        ([line(vat=GERMAN_19), line(vat=OUTSIDE_SCOPE)], "stands on an invoice of its own"),
        ([line(vat=OUTSIDE_SCOPE), line(vat=NOT_SUBJECT)], "One category of VAT has two reasons."),
    ],
)
def test_a_line_that_no_reader_could_follow_is_refused(lines, fault):
    with pytest.raises(InvoiceIncomplete, match=fault):
        invoice(*lines)


def test_all_faults_are_said_at_once():
    with pytest.raises(InvoiceIncomplete) as refusal:
        invoice(line(vat=REVERSE_CHARGE), buyer=replace(BUYER, vat_id="", address=()), number="")

    assert len(refusal.value.faults) == 3


def test_a_seller_without_vat_id_is_known_by_its_reference():
    nobody = replace(SELLER, vat_id="", reference="")

    assert invoice(line(vat=NOT_SUBJECT), seller=replace(nobody, reference="DE*RHS")).tax_total == 0
    with pytest.raises(InvoiceIncomplete, match="own reference"):
        invoice(line(vat=NOT_SUBJECT), seller=nobody)
    with pytest.raises(InvoiceIncomplete, match="VAT id"):
        invoice(line(vat=EXEMPT), seller=nobody)


def test_a_credit_note_has_the_amounts_of_what_it_takes_back():
    assert credit_note(line("20.00")).due == Decimal("23.80")
