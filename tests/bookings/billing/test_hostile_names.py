"""Names that somebody typed, in what leaves the house: invoices, mails and spreadsheets."""

from __future__ import annotations

import csv

import pytest

from bookings.billing.delivery import send_invoice, write_invoice
from bookings.billing.invoice_csv import csv_lines
from bookings.billing.spreadsheets import cell
from bookings.models import Invoice
from tests.bookings.billing.billed import ISSUED, bill_november, make_buyer, make_seller, make_site, record

pytestmark = pytest.mark.django_db
# A byte that XML has no place for, an override of the reading direction, and what typst, HTML and XML take for their own.
ODD = "A\x01\x0b\ufffe\u202eB #import <b>& \\ $x$ @y *z* `q` ]]>"


def invoice_with(name: str, **seller: str) -> Invoice:
    depot = make_site(make_seller(**seller), name=name)
    record(depot, make_buyer(legal_name=name), plate=name[:20])
    bill_november(depot.operator)
    return Invoice.objects.get()


def test_an_invoice_that_was_issued_can_be_written_whatever_it_names():
    file = write_invoice(invoice_id=invoice_with(ODD, legal_name=ODD).pk, now=ISSUED)

    assert bytes(file.pdf).startswith(b"%PDF")
    assert file.xml.count("A B #import &lt;b&gt;&amp; \\ $x$ @y *z* `q` ]]&gt;") >= 3


def test_a_line_break_in_a_name_makes_no_header_of_a_mail(mailoutbox):
    invoice = invoice_with("Venlo", legal_name="Ladepark\r\nBcc: somebody@else.example")

    assert send_invoice(invoice_id=invoice.pk, now=ISSUED)

    [sent] = mailoutbox
    assert sent.subject == "Invoice INV-2029-000001, Ladepark Bcc: somebody@else.example"
    assert sent.recipients() == ["billing@nordfracht.example"]
    assert sent.message()["Bcc"] is None


@pytest.mark.parametrize("start", ["=", "+", "-", "-1+", "@", "\t=", "\r", "\n", " =", "＝", "－"])
def test_a_name_is_no_formula_in_a_spreadsheet(start):
    name = f"{start}cmd|' /C calc'!A0"
    invoice = invoice_with(name)

    _, row = csv.reader(csv_lines(invoice))

    assert row[3] == f"'{name}"


@pytest.mark.parametrize("value", ["-12.50", "0", "12.5", "Venlo", "HH-NF 100", "2026-11-26", "", None, 5])
def test_what_is_no_formula_stays_as_it_is(value):
    assert cell(value) == value
