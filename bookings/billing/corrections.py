"""Taking an invoice back: its records are credited, and the credits stand on a credit note at once."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from bookings.actors import Actor
from bookings.billing import cdrs
from bookings.billing.errors import NothingToCredit
from bookings.billing.months import Month
from bookings.billing.run import bill, queue
from bookings.billing.versions import CHANGED, check_seen, invoice_version
from bookings.models import ChargeDetailRecord, Invoice


def credit_invoice(
    *, invoice_id: int, reason: str, seen_version: int | None = None, actor: Actor, now: datetime
) -> Invoice:
    """Credit every record on it that still stands; gives the credit note. Raises NothingToCredit, ChangedMeanwhile.

    To bill the same anew, with other amounts, the records are issued anew (bookings.billing.disputes, a corrected session).
    """
    with transaction.atomic():
        # Before the invoice: a run that holds the queue may set another credit note off against it.
        queue(Invoice.objects.values_list("supplier_id", flat=True).get(pk=invoice_id))
        invoice = (
            Invoice.objects.select_for_update(no_key=True, of=("self",))
            .select_related("supplier")
            .get(pk=invoice_id)
        )
        check_seen(seen_version, invoice_version(invoice), CHANGED)
        rows = ChargeDetailRecord.objects.filter(
            invoiced__invoice=invoice, credits__isnull=True, credited_by__isnull=True
        )
        billed = cdrs.lock_all(rows) if invoice.kind == Invoice.Kind.INVOICE else []
        standing = [cdr for cdr in billed if not hasattr(cdr, "credited_by")]
        if not standing:
            raise NothingToCredit("Nothing of this invoice is left to be credited.")
        for cdr in standing:
            cdrs.take_back(cdr, cdrs.Issue(actor, now, reason))
        bill(
            operator=invoice.supplier,
            month=Month.of(invoice.month),
            corrects_id=invoice.pk,
            actor=actor,
            now=now,
        )
        return Invoice.objects.filter(corrects=invoice).latest("pk")
