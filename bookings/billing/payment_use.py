"""What becomes of a payment before the promise once its booking is over.

It stays while a record of the booking stands that no invoice bills yet. A prepayment then pays that invoice, a guarantee stays
until it is paid otherwise, and is taken up again when a bank takes that payment back. Where nothing is left to be paid it is
given back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from itertools import groupby
from operator import itemgetter

from django.db import connection, transaction

from bookings.actors import SCHEDULER
from bookings.billing.settlement import record_payment, still_due
from bookings.models import Booking, BookingPayment, BookingStatus, ChargeDetailRecord, Invoice, Payment
from bookings.payments import booking_payments
from bookings.payments.prepaid import Account, Prepaid
from bookings.payments.providers import PREPAID, PaymentAsk

CENT = Decimal("0.01")
NOTHING_DUE = "Nothing was left to be paid."
PAID = "Its invoice is paid."
LOST = "The guarantee was given back when its invoice was paid; when that payment came back, not all of it was there again."
Secured, Released = BookingPayment.Status.SECURED, BookingPayment.Status.RELEASED

# Where an invoice has no taxes, its records' own are not owed.
_BILLED = """
SELECT p.booking_id, billed.invoice_id, count(*), sum(c.before_taxes + CASE WHEN i.taxes = 0 THEN 0 ELSE c.taxes END)
FROM bookings_bookingpayment p
JOIN bookings_chargedetailrecord c ON c.booking_id = p.booking_id
JOIN bookings_invoicedcdr billed ON billed.cdr_id = c.id
JOIN bookings_invoice i ON i.id = billed.invoice_id
WHERE p.operator_id = %s AND p.status = 'secured' AND p.invoice_id IS NULL AND i.kind = 'invoice' AND i.id = ANY(%s)
GROUP BY p.booking_id, billed.invoice_id
ORDER BY billed.invoice_id, p.booking_id
"""


def follow(booking: Booking, *, now: datetime) -> None:
    """Give back what a booking that is over has secured, unless something of it is still to be billed or paid: then what was
    secured for a dearer change that it came before. Behind the numbers of its records: the account is locked last."""
    with transaction.atomic():
        payment = booking_payments.locked(booking)
        if payment.invoice_id is not None or booking.is_live:
            return
        if is_underway(booking) or _is_to_be_billed(booking):
            booking_payments.fit(booking, booking.quote, now=now)
        else:
            booking_payments.release(payment, booking.note or NOTHING_DUE, now=now)


def use_for(invoices: Sequence[Invoice], *, now: datetime) -> None:
    """Pay what was just issued by one supplier, in the same transaction, from what its bookings have secured."""
    costs = _costs(invoices)
    # Once more behind the lock: what was given back meanwhile pays nothing.
    rows = BookingPayment.objects.select_for_update(no_key=True, of=("self",)).filter(
        pk__in=costs, status=Secured, invoice=None
    )
    payments = list(rows.select_related("booking", "customer").order_by("pk"))
    payments.sort(key=lambda payment: (payment.customer_id, payment.currency, payment.pk))
    by_id = {invoice.pk: invoice for invoice in invoices}
    left = {invoice.pk: invoice.total for invoice in invoices}
    for account, group in groupby(payments, key=Account.of):
        account.lock()
        for payment in group:
            invoice_id, cost = costs[payment.pk]
            payment.invoice_id = invoice_id
            left[invoice_id] -= _use(payment, min(cost, left[invoice_id]), account, now)
    for invoice_id, rest in left.items():
        invoice = by_id[invoice_id]
        if rest < invoice.total:
            record_payment(
                invoice_id=invoice_id, amount=invoice.total - rest, paid_on=invoice.issued_on, means=Payment.Means.PREPAID,
                reference="prepaid balance", actor=SCHEDULER, now=now,
            )  # fmt: skip


def release_guarantees(invoice: Invoice, *, now: datetime) -> None:
    """All of it is paid: what was kept until then is given back."""
    rows = BookingPayment.objects.select_for_update(no_key=True, of=("self",)).filter(
        invoice=invoice, status=Secured, before="guarantee"
    )
    for payment in rows.select_related("booking", "customer").order_by("pk"):
        booking_payments.release(payment, PAID, now=now)


def take_up_guarantees(invoice: Invoice, *, now: datetime) -> None:
    """A bank took a payment back: what was kept until then is reserved again, as far as the invoice is open and the balance
    goes. What a provider elsewhere gave back would need whoever pays."""
    rows = BookingPayment.objects.select_for_update(no_key=True, of=("self",)).filter(
        invoice=invoice, status=Released, before="guarantee", reason__in=[PAID, LOST]
    )
    still_open = still_due(invoice)
    for payment in rows.select_related("booking", "customer").order_by("pk"):
        if still_open > 0:
            still_open -= booking_payments.take_up_again(payment, still_open, otherwise=LOST, now=now)


def _costs(invoices: Sequence[Invoice]) -> dict[int, tuple[int, Decimal]]:
    """By booking that has a payment secured, the invoice that bills it now, and what of that is for it."""
    if (
        not invoices
        or not BookingPayment.objects.filter(operator=invoices[0].supplier_id, status=Secured).exists()
    ):
        return {}
    by_id = {invoice.pk: invoice for invoice in invoices}
    with connection.cursor() as cursor:
        cursor.execute(_BILLED, [invoices[0].supplier_id, list(by_id)])
        rows = cursor.fetchall()
    found: dict[int, tuple[int, Decimal]] = {}
    for invoice_id, group in groupby(rows, key=itemgetter(1)):
        found |= _parts(by_id[invoice_id], [(booking, count, cost) for booking, _, count, cost in group])
    return found


def _parts(invoice: Invoice, costs: list[tuple[int, int, Decimal]]) -> dict[int, tuple[int, Decimal]]:
    """What of an invoice is for each booking, of which so many records cost so much. Its taxes are reckoned on its sum: where
    it bills nothing else, what the records' own taxes round otherwise falls to the dearest booking."""
    parts = {booking_id: cost for booking_id, _, cost in costs}
    if sum(count for _, count, _ in costs) == invoice.cdr_count:
        parts[max(parts, key=parts.__getitem__)] += invoice.total - sum(parts.values())
    return {booking_id: (invoice.pk, cost) for booking_id, cost in parts.items()}


def _use(payment: BookingPayment, cost: Decimal, account: Account, now: datetime) -> Decimal:
    """How much of the prepaid balance the invoice was paid with. What the booking costs more than it reserved is taken as far
    as the balance goes."""
    amount = max(cost, Decimal(0)).quantize(CENT, ROUND_DOWN)
    if payment.is_guarantee or not amount:
        payment.save(update_fields=["invoice"])
        if not amount:
            booking_payments.release(payment, NOTHING_DUE, now=now)
        return Decimal(0)
    if payment.provider != PREPAID:
        takes = min(amount, payment.amount.quantize(CENT, ROUND_DOWN))
        booking_payments.owe_settlement(payment, takes, now=now)
        return Decimal(0)
    amount = min(amount, (payment.reserved + account.available()).quantize(CENT, ROUND_DOWN))
    Prepaid(payment, now).settle(PaymentAsk.of(payment), amount)
    booking_payments.mark_used(payment, now=now)
    return amount


def is_underway(booking: Booking) -> bool:
    """Whether it may come to have a record yet: it is live, or over while its session runs on."""
    return booking.is_live or (
        booking.status == BookingStatus.COMPLETED
        and booking.session is not None
        and booking.session.ended_at is None
    )


def _is_to_be_billed(booking: Booking) -> bool:
    """Whether a record of it stands that no invoice bills yet."""
    standing = ChargeDetailRecord.objects.filter(
        booking=booking, credits=None, credited_by=None, invoiced=None, before_taxes__gt=0
    )
    return standing.exists()
