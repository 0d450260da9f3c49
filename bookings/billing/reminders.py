"""Reminders of invoices that are overdue: at most one mail a level."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, Max, OuterRef

from bookings.billing.delivery import mail, write_invoice
from bookings.billing.errors import NothingToRemind
from bookings.billing.settlement import still_due
from bookings.billing.versions import CHANGED, check_seen, invoice_version
from bookings.models import Invoice, PaymentReturn, Reminder
from bookings.signals import reminder_due

# Days after the due date at which the next level is due.
LEVELS = (3, 14, 28)
AT_ONCE = 100


def remind_overdue(*, now: datetime) -> int:
    """Note every reminder that is due by now, which a job then sends; gives how many. An invoice the customer issued itself
    reminds nobody. Where the bank took a payment back, the days count from then."""
    noted = 0
    # The highest first: an invoice that is long overdue is reminded once and not three times.
    for level, days in reversed(list(enumerate(LEVELS, 1))):
        since = now.date() - timedelta(days=days)
        due = Invoice.objects.filter(
            ~Exists(Reminder.objects.filter(invoice=OuterRef("pk"), level__gte=level)),
            ~Exists(PaymentReturn.objects.filter(invoice=OuterRef("pk"), returned_on__gt=since)),
            due_on__lte=since, settled_at__isnull=True,
            kind=Invoice.Kind.INVOICE, is_reverse=False, customer__billing_email__gt="",
        )  # fmt: skip
        for pk in due.order_by("due_on", "pk").values_list("pk", flat=True)[:AT_ONCE]:
            noted += _note(pk, level, now)
    return noted


def remind(*, invoice_id: int, seen_version: int | None = None, now: datetime) -> Reminder:
    """The next level at once, because a person asks. Raises NothingToRemind, ChangedMeanwhile."""
    with transaction.atomic():
        invoice = (
            Invoice.objects.select_for_update(no_key=True, of=("self",))
            .select_related("customer")
            .get(pk=invoice_id)
        )
        check_seen(seen_version, invoice_version(invoice), CHANGED)
        sent = Reminder.objects.filter(invoice=invoice).aggregate(level=Max("level"))["level"] or 0
        if why := _why_not(invoice, sent, now):
            raise NothingToRemind(why)
        _note(invoice.pk, sent + 1, now)
    return Reminder.objects.get(invoice=invoice, level=sent + 1)


def may_remind(invoice: Invoice, *, now: datetime) -> bool:
    """Whether `remind` would be carried out; one query."""
    sent = invoice.reminders.aggregate(level=Max("level"))["level"] or 0
    return not _why_not(invoice, sent, now)


def _why_not(invoice: Invoice, sent: int, now: datetime) -> str:
    """In words; `sent` is the last level."""
    is_owed = invoice.settled_at is None and invoice.kind == Invoice.Kind.INVOICE and not invoice.is_reverse
    if not is_owed or invoice.due_on >= now.date():
        return "Nothing of this invoice is overdue."
    if sent >= len(LEVELS):
        return "The last reminder has been sent already."
    if not invoice.customer.billing_email:
        return f"{invoice.customer} has no e-mail address for invoices."
    return ""


def send_reminder(*, reminder_id: int, now: datetime) -> bool:
    """Send one that was noted, once: it counts as sent before it is, and only a mail server that cannot be reached gives it
    back. Raises OSError then."""
    if not Reminder.objects.filter(pk=reminder_id, sent_at__isnull=True).update(sent_at=now):
        return False
    reminder = Reminder.objects.select_related(
        "invoice__issuer", "invoice__supplier", "invoice__customer"
    ).get(pk=reminder_id)
    invoice = reminder.invoice
    if invoice.settled_at is not None:
        return False
    file = write_invoice(invoice_id=invoice.pk, now=now)
    try:
        mail(invoice, subject=f"Reminder of invoice {invoice.number}", text=_text(reminder, now), file=file)
    except OSError:
        Reminder.objects.filter(pk=reminder_id).update(sent_at=None)
        raise
    return True


def _note(invoice_id: int, level: int, now: datetime) -> int:
    with transaction.atomic():
        Reminder.objects.bulk_create([Reminder(invoice_id=invoice_id, level=level)], ignore_conflicts=True)
        noted = Reminder.objects.filter(invoice_id=invoice_id, level=level, sent_at__isnull=True).first()
        if noted is None:
            return 0
        reminder_due.send(sender=Reminder, reminder=noted, at=now)
    return 1


def _text(reminder: Reminder, now: datetime) -> str:
    invoice = reminder.invoice
    late = (now.date() - invoice.due_on).days
    return (
        f"Invoice {invoice.number} was due on {invoice.due_on:%-d %B %Y}, {late} days ago; {invoice.currency}"
        f" {still_due(invoice):.2f} of it are open. This is reminder {reminder.level}.\n\n"
        f"{_taken_back(invoice)}The invoice is attached, and at"
        f" {settings.BERTH_BASE_URL}/invoices/{invoice.pk}/. If you have paid meanwhile, nothing is to be done.\n"
    )


def _taken_back(invoice: Invoice) -> str:
    payment = invoice.payments.exclude(returned=None).select_related("returned").order_by("returned").last()
    if payment is None:
        return ""
    returned = payment.returned
    return (
        f"Your payment of {invoice.currency} {payment.amount:.2f} was taken back on {returned.returned_on:%-d %B %Y}"
        f" ({returned.reason_words}).\n\n"
    )
