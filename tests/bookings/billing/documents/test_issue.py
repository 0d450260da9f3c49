import io
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal

import facturx
import pypdf
import pytest

from bookings.billing.documents import cii, issue
from bookings.billing.documents.document import (
    DirectDebit,
    InvoiceDocument,
    InvoiceKind,
    Offset,
    VatInOwnCurrency,
)
from bookings.billing.documents.printed_words import money, number, printed_words
from bookings.billing.documents.printing import write_pdf
from bookings.billing.errors import InvoiceNotValid
from bookings.billing.vat import REVERSE_CHARGE
from tests.bookings.billing.documents.examples import (
    BUYER,
    DUTCH_BUYER,
    GERMAN_7,
    IBAN,
    SELLER,
    credit_note,
    invoice,
    line,
)

EVIL = '#panic("x") #{1/0} $x$ *b* `r` <label> @ref \\u{41} "quoted" #eval("1")'


def pages_of(pdf: bytes) -> list[str]:
    return [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages]


def test_an_invoice_leaves_as_a_pdf_that_carries_its_xml():
    issued = issue.issue(invoice())

    name, xml = facturx.get_xml_from_pdf(issued.pdf, check_xsd=True)
    assert (name, xml) == ("factur-x.xml", issued.xml)
    pdf = pypdf.PdfReader(io.BytesIO(issued.pdf))
    about = pdf.trailer["/Root"]["/Metadata"].get_data().decode()
    assert "<pdfaid:part>3<" in about
    assert "<pdfaid:conformance>B<" in about
    assert "<fx:ConformanceLevel>EN 16931<" in about
    assert pdf.metadata is not None
    assert pdf.metadata.title == "Invoice RHS-2026-000017"
    assert {"/OutputIntents", "/AF", "/Lang"} <= pdf.trailer["/Root"].keys()


def test_an_invoice_that_breaks_a_rule_never_leaves(monkeypatch):
    monkeypatch.setattr(InvoiceDocument, "gross_total", property(lambda self: Decimal("14.89")))

    with pytest.raises(InvoiceNotValid, match="BR-CO-15"):
        issue.issue(invoice())


def test_the_page_says_what_the_law_wants_said():
    (first, second) = pages_of(write_pdf(invoice(line("1234.50"), prepaid=Decimal("9.99"))))

    for words in (
        "Invoice RHS-2026-000017",
        "2 November 2026",
        "16 November 2026",
        "1 October 2026 to 31 October 2026",
        *(SELLER.name, SELLER.address[0], "50667 Köln", "Germany", "VAT id DE136695976"),
        *(BUYER.name, *BUYER.address, "10317 Berlin", "DE129273398", "4711"),
        *("19 %", "1,234.50", "234.56", "EUR 1,469.06", "EUR -9.99", "EUR 1,459.07"),
        "DE89 3704 0044 0532 0130 00",
        "page 1 of 2",
    ):
        assert words in first
    for words in ("Charging, 3 October 2026", "Record CDR-000123, booking B-42", "41.237 kWh", "K-OW 1001"):
        assert words in second


def test_words_from_outside_are_text_and_never_code():
    document = invoice(
        line(description=EVIL, depot=EVIL, reference=EVIL),
        buyer=replace(BUYER, name=EVIL, address=(EVIL,), reference=EVIL),
        notes=(EVIL,),
    )

    first, second = ("".join(page.split()) for page in pages_of(write_pdf(document)))

    assert first.count("".join(EVIL.split())) >= 3
    assert '#panic("x")' in second


def test_signs_without_a_glyph_are_said_in_latin_letters():
    document = invoice(
        line(description="中文 Ёлка Łódź 🚛\x07"), buyer=replace(BUYER, name="Ελλάδα Μεταφορές")
    )

    first, second = pages_of(write_pdf(document))

    assert "Ελλάδα Μεταφορές" in first
    assert "Zhong Wen" in second.replace("ZhongWen", "Zhong Wen")
    assert "Ёлка Łódź ?" in second


def test_hundreds_of_lines_flow_over_pages_that_all_say_what_their_columns_are():
    lines = [line("0.10", vehicle=f"K-OW {place % 3}", reference=f"C{place}") for place in range(300)]

    first, *rest = pages_of(write_pdf(invoice(*lines, line("7.00", GERMAN_7, depot="Bremen"))))

    assert len(rest) > 5
    assert all("Amount without VAT" in page and "Quantity" in page for page in rest)
    assert f"page 1 of {1 + len(rest)}" in first
    assert "4,123.7 kWh" in first
    assert sum(page.count("Record C") for page in rest) == 301


def test_a_long_word_may_be_broken():
    words = printed_words(invoice(line(description="x" * 60)))["groups"][0]["lines"][0]["what"]

    assert words == "x" * 24 + "\u200b" + "x" * 24 + "\u200b" + "x" * 12


def test_what_is_said_follows_the_kind_of_document():
    self_billed = printed_words(invoice(kind=InvoiceKind.SELF_BILLED_INVOICE))
    assert self_billed["issuer"]["name"] == BUYER.name
    assert self_billed["recipient"] | {"lines": []} == {"role": "Supplier", "name": SELLER.name, "lines": []}
    assert "Self-billing" in self_billed["subtitle"]

    credit = printed_words(credit_note(payment=Offset("Set off against RHS-2026-000019.")))
    assert credit["due"] == ("To be credited", "EUR 14.88")
    assert ("Refers to", "RHS-2026-000017, 2 November 2026") in credit["facts"]
    assert credit["payment"]["heading"] == "Set off against RHS-2026-000019."

    reverse = printed_words(invoice(line(vat=REVERSE_CHARGE), buyer=DUTCH_BUYER))
    assert reverse["reasons"][0].startswith("Reverse charge")

    swiss = printed_words(
        invoice(currency="CHF", vat_in_own_currency=VatInOwnCurrency("EUR", Decimal("2.51")))
    )
    assert ("VAT in EUR", "EUR 2.51") in swiss["totals"]
    assert swiss["payment"]["qr"] == ""


def test_what_is_paid_already_asks_for_no_money():
    settled = printed_words(invoice(line("10.00"), prepaid=Decimal("11.90")))["payment"]

    assert settled == {"heading": "Nothing is to be paid", "rows": [], "qr": ""}


def test_a_direct_debit_says_when_what_is_taken_by_whose_leave():
    payment = printed_words(invoice(payment=DirectDebit("M-17", "DE98ZZZ09999999999", IBAN)))["payment"]

    assert dict(payment["rows"])["Mandate"] == "M-17"
    assert payment["qr"] == ""


def test_many_vehicles_are_summed_up_by_depot():
    lines = [line(vehicle=f"K-OW {place}", depot=("Köln", "Bremen")[place % 2]) for place in range(40)]

    rows = printed_words(invoice(*lines))["summary"]

    assert [(row["depot"], row["vehicle"], row["lines"]) for row in rows] == [
        ("Bremen", "all", "20"),
        ("Köln", "all", "20"),
        ("Total", "", "40"),
    ]


def test_money_and_numbers_are_written_plainly():
    assert money(Decimal("1234.5"), "EUR") == "EUR 1,234.50"
    assert [number(Decimal(text)) for text in ("19.00", "1E+2", "1041.2370", "0.35")] == [
        "19", "100", "1,041.237", "0.35",
    ]  # fmt: skip


def test_control_signs_reach_neither_xml_nor_page():
    assert cii.text("a\x00b\x0b\ud800c\n") == "abc\n"


def test_who_never_issues_an_invoice_loads_nothing_of_what_writes_it():
    program = (
        "import sys, bookings.billing.documents.issue, bookings.billing.documents.reading;"
        "print(*({'typst', 'facturx', 'pypdf', 'saxonche', 'drafthorse', 'segno'} & sys.modules.keys()))"
    )

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert loaded.stdout.strip() == ""


def test_printing_keeps_nothing_of_the_invoices_before():
    program = (
        "from pathlib import Path\n"
        "from bookings.billing.documents.printing import write_pdf\n"
        "from tests.bookings.billing.documents.examples import invoice, line\n"
        "for month in range(8):\n"
        "    write_pdf(invoice(*(line(reference=f'{month}-{place}') for place in range(150))))\n"
        "    print(int(Path('/proc/self/statm').read_text().split()[1]) * 4 // 1024)\n"
    )

    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    megabytes = [int(line) for line in printed.stdout.split()]
    assert megabytes[-1] - megabytes[1] < 20
