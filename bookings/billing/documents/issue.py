"""An invoice as it leaves: one PDF for people that carries the XML for their programs."""

from __future__ import annotations

from dataclasses import dataclass

from bookings.billing.documents.document import InvoiceDocument
from bookings.billing.documents.printed_words import TITLES, day


@dataclass(frozen=True)
class IssuedInvoice:
    """`pdf` is a PDF/A-3b with `xml` inside (Factur-X, which is ZUGFeRD), `xml` the same by itself."""

    pdf: bytes
    xml: bytes


def issue(document: InvoiceDocument) -> IssuedInvoice:
    """Write an invoice, 2 to 3 ms of processor time a line. Raises InvoiceNotValid: then there is nothing to send.

    Written again it says the same, but is not the same file byte for byte: keep what was sent.
    """
    # What writes and checks is 90 MB, which a process that never issues an invoice does not need.
    from facturx import generate_from_binary

    from bookings.billing.documents.cii import write_cii
    from bookings.billing.documents.printing import write_pdf
    from bookings.billing.documents.validation import check

    xml = write_cii(document)
    check(xml)
    title = f"{TITLES[document.kind]} {document.number}"
    pdf = generate_from_binary(
        write_pdf(document),
        xml,
        flavor="factur-x",
        level="en16931",
        check_xsd=False,  # has been checked above, with the business rules
        pdf_metadata={
            "author": document.issuer.name,
            "keywords": "Factur-X",
            "title": title,
            "subject": f"{title}, {day(document.issued_on)}, for {document.recipient.name}",
        },
        lang="en",
    )
    return IssuedInvoice(pdf, xml)
