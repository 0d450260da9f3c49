"""An invoice as it leaves: written once, kept, and sent by e-mail to whom it concerns."""

from __future__ import annotations

import logging
from datetime import datetime
from email.utils import formataddr

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction

from bookings.billing.documents.issue import issue
from bookings.billing.documents.printable import printable
from bookings.billing.invoice_lines import document_of
from bookings.billing.versions import CHANGED, check_seen, invoice_version
from bookings.models import Invoice, InvoiceFile
from depots.models import Organisation

logger = logging.getLogger(__name__)


def write_invoice(*, invoice_id: int, now: datetime) -> InvoiceFile:
    """Its PDF and XML, which are kept as they were written first. Raises InvoiceIncomplete, InvoiceNotValid."""
    invoice = Invoice.objects.select_related("corrects").get(pk=invoice_id)
    kept = InvoiceFile.objects.filter(invoice=invoice).first()
    if kept is not None:
        return kept
    issued = issue(document_of(invoice))
    # Two that write at once: the first counts, since it may have been sent.
    InvoiceFile.objects.bulk_create(
        [InvoiceFile(invoice=invoice, pdf=issued.pdf, xml=issued.xml.decode(), made_at=now)],
        ignore_conflicts=True,
    )
    return InvoiceFile.objects.get(invoice=invoice)


def send_invoice(*, invoice_id: int, now: datetime) -> bool:
    """Send it to its recipient's address for invoices, once; False where there is none or it was sent.

    A mail server that does not answer raises OSError. One that took the mail before this process was killed gets it twice:
    an invoice must arrive.
    """
    invoice = Invoice.objects.select_related("issuer", "supplier", "customer").get(pk=invoice_id)
    if not recipient(invoice).billing_email or invoice.sent_at is not None:
        return False
    _send(invoice, now)
    Invoice.objects.filter(pk=invoice.pk).update(sent_at=now)
    return True


def send_again(*, invoice_id: int, seen_version: int | None = None, now: datetime) -> bool:
    """Send it once more, because a person asks; False where there is no address. It counts as sent before it is, so that of two
    who ask at once one sends; a mail server that does not answer gives that back.

    Raises ChangedMeanwhile, OSError.
    """
    with transaction.atomic():
        rows = Invoice.objects.select_for_update(no_key=True, of=("self",))
        invoice = rows.select_related("issuer", "supplier", "customer").get(pk=invoice_id)
        check_seen(seen_version, invoice_version(invoice), CHANGED)
        if not recipient(invoice).billing_email:
            return False
        Invoice.objects.filter(pk=invoice.pk).update(sent_at=now)
    try:
        _send(invoice, now)
    except OSError:
        Invoice.objects.filter(pk=invoice.pk, sent_at=now).update(sent_at=invoice.sent_at)
        raise
    return True


def recipient(invoice: Invoice) -> Organisation:
    return invoice.supplier if invoice.is_reverse else invoice.customer


def words(invoice: Invoice) -> str:
    return (
        f"Self-billed {invoice.get_kind_display().lower()}"
        if invoice.is_reverse
        else invoice.get_kind_display()
    )


def mail(invoice: Invoice, *, subject: str, text: str, file: InvoiceFile) -> None:
    """To its recipient, with the PDF, answers going to the issuer. Raises OSError."""
    issuer = invoice.issuer
    name = printable(issuer.legal_name or issuer.name)  # a header is one line
    EmailMessage(
        subject=f"{subject}, {name}",
        body=text,
        from_email=formataddr((name, settings.DEFAULT_FROM_EMAIL)),
        to=[recipient(invoice).billing_email],
        reply_to=[issuer.billing_email] if issuer.billing_email else None,
        attachments=[(f"{invoice.number}.pdf", bytes(file.pdf), "application/pdf")],
    ).send()


def _send(invoice: Invoice, now: datetime) -> None:
    file = write_invoice(invoice_id=invoice.pk, now=now)
    mail(invoice, subject=f"{words(invoice)} {invoice.number}", text=_text(invoice), file=file)


def _text(invoice: Invoice) -> str:
    is_credit = invoice.kind == Invoice.Kind.CREDIT_NOTE
    due = "" if is_credit else f" It is due on {invoice.due_on:%-d %B %Y}."
    return (
        f"Attached is {words(invoice).lower()} {invoice.number} over {invoice.currency} {invoice.total:.2f} for"
        f" {invoice.month:%B %Y}.{due}\n\nThe PDF carries the invoice as XML too (EN 16931, Factur-X). Every record it bills"
        f" is listed at {settings.BERTH_BASE_URL}/invoices/{invoice.pk}/.\n"
    )
