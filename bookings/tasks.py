"""Jobs: each looks again at the truth, makes one call, and may run twice."""

from __future__ import annotations

import dramatiq
from django.utils import timezone

from bookings.billing import delivery, reminders
from bookings.billing.reconciliation.price_checks import check_prices
from bookings.models import ChargeDetailRecord


@dramatiq.actor(max_retries=20, max_backoff=3_600_000)
def deliver_invoice(invoice_id: int) -> None:
    """Price its records again, write it and send it; a mail server that is down is asked again."""
    check_prices(ChargeDetailRecord.objects.filter(invoiced__invoice=invoice_id), now=timezone.now())
    delivery.write_invoice(invoice_id=invoice_id, now=timezone.now())
    delivery.send_invoice(invoice_id=invoice_id, now=timezone.now())


@dramatiq.actor(max_retries=20, max_backoff=3_600_000)
def send_reminder(reminder_id: int) -> None:
    reminders.send_reminder(reminder_id=reminder_id, now=timezone.now())
