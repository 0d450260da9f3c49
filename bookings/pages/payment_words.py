"""What is read of a payment before the promise: of a booking that is held, waits, or has secured it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.urls import reverse

from bookings.billing.payment_use import LOST
from bookings.models import Booking, BookingPayment, Invoice, PaymentTerms
from bookings.pages.wording import local
from bookings.payments.prepaid import Account
from bookings.payments.providers import PREPAID, label_of
from depots.templatetags.berth import money

Status = BookingPayment.Status


@dataclass(frozen=True)
class PaymentNotice:
    """`level` and `icon` are of a notice; `pay_url` is where whoever pays is sent to, `balance_url` the customer's balance."""

    title: str
    words: str
    level: str
    icon: str
    pay_url: str = ""
    balance_url: str = ""


def payment_of(booking: Booking) -> BookingPayment | None:
    """None where the booking asks for nothing first."""
    if not booking.pays_before:
        return None
    return (
        BookingPayment.objects.select_related("customer", "operator", "invoice").filter(pk=booking.pk).first()
    )


def payment_notice(
    booking: Booking, payment: BookingPayment | None, *, now: datetime
) -> PaymentNotice | None:
    """What a booking has to secure, or has secured; None where there is nothing to say."""
    if payment is None or not payment.amount:
        return None
    if payment.status == Status.PLANNED:
        return _planned(booking, payment, now) if booking.is_live else None
    if payment.status == Status.ASKED:
        return _asked(booking, payment)
    if payment.status == Status.SECURED:
        return _notice(payment, _secured_title(payment), _secured(payment), "info", "lock")
    if is_lost(payment):
        amount = money(payment.amount, payment.currency)
        words = f"{amount} were given back when its invoice was paid. The bank took that payment back: it is open again."
        return _notice(payment, "No guarantee any more", words, "warning", "alert-triangle")
    return None


def guarantee_words(invoice: Invoice) -> str:
    """What still guarantees an invoice that is open, and that something does so no more; empty where nothing was to."""
    payments = list(BookingPayment.objects.filter(invoice=invoice, before=PaymentTerms.Before.GUARANTEE))
    held = sum((_held(payment) for payment in payments), Decimal(0))
    words = [f"{money(held, invoice.currency)} of it are guaranteed."] if held else []
    if any(payment.reason == LOST for payment in payments):
        no_more = "for the rest there is no guarantee any more" if held else "It has no guarantee any more"
        words.append(f"{no_more[0].upper()}{no_more[1:]}: that was given back when it had been paid.")
    return " ".join(words)


def is_lost(payment: BookingPayment) -> bool:
    """Whether it guaranteed an invoice that is open again and does so no more."""
    return payment.reason == LOST and payment.invoice is not None and payment.invoice.settled_at is None


def payment_words(payment: dict[str, Any], booking: Booking) -> str:
    """One of an event, for the timeline."""
    amount = money(payment["amount"], payment["currency"]) if payment.get("currency") else ""
    if not amount or not Decimal(payment["amount"]):
        return ""
    what = "a guarantee" if payment.get("before") == "guarantee" else "a prepayment"
    if "until" in payment:
        until = datetime.fromisoformat(payment["until"])
        return f"Waits for {what} of {amount} until {local(until, booking.period, booking.depot)}"
    where = " from the prepaid balance" if payment.get("provider") == PREPAID else ""
    return f"{amount} are secured{where} as {what}"


def waits_for(payment: BookingPayment | None, booking: Booking) -> str:
    """What a booking that is asked for still needs, as it stands behind *Waiting for*."""
    is_paid_for = payment is None or not payment.is_waited_for
    if is_paid_for:
        return "the depot"
    is_decided = not booking.terms.approval or (payment is not None and payment.approved_at is not None)
    return "the payment" if is_decided else "the depot and the payment"


def _planned(booking: Booking, payment: BookingPayment, now: datetime) -> PaymentNotice:
    """Before it is confirmed."""
    amount, operator = money(payment.amount, payment.currency), payment.operator.name
    until = min(now + timedelta(minutes=payment.payment_min), booking.starts_at)
    kept = f"Once confirmed, the slot is kept until {local(until, booking.period, booking.depot)} while it waits for that."
    if payment.provider != PREPAID:
        words = f"{amount} have to be secured first, through {label_of(payment.provider)}. {kept}"
        return _notice(payment, "To be paid first", words, "warning", "credit-card")
    left = Account.of(payment).available() - payment.amount
    if left >= 0:
        words = f"{amount} are reserved from your prepaid balance with {operator}: {money(left, payment.currency)} are left."
        return _notice(payment, "Paid from your balance", words, "info", "credit-card")
    lacks = money(-left, payment.currency)
    words = (
        f"{amount} have to be reserved first: your prepaid balance with {operator} needs {lacks} more. {kept}"
    )
    return _notice(payment, "Needs a top-up", words, "warning", "credit-card")


def _asked(booking: Booking, payment: BookingPayment) -> PaymentNotice:
    amount = money(payment.amount, payment.currency)
    until = local(payment.until, booking.period, booking.depot) if payment.until else ""
    if payment.provider == PREPAID:
        lacks = max(payment.amount - Account.of(payment).available(), Decimal(0))
        where = f"the prepaid balance with {payment.operator.name}"
        words = (
            f"{amount} are to be reserved from {where}, which needs {money(lacks, payment.currency)} more."
        )
    else:
        words = f"{amount} are to be secured through {label_of(payment.provider)}. {payment.reason}".strip()
    words += f" The slot is kept until {until}; then it is given up."
    notice = _notice(payment, f"Waiting for {waits_for(payment, booking)}", words, "warning", "hourglass")
    return PaymentNotice(**{**vars(notice), "pay_url": payment.url})


def _secured_title(payment: BookingPayment) -> str:
    return "Guaranteed" if payment.is_guarantee else "Paid in advance"


def _secured(payment: BookingPayment) -> str:
    amount = money(_held(payment), payment.currency)
    where = (
        f"reserved from the prepaid balance with {payment.operator.name}"
        if payment.provider == PREPAID
        else f"secured through {label_of(payment.provider)}"
    )
    then = "They stay so until its invoice is paid." if payment.is_guarantee else "They pay its invoice."
    less = " When the bank took a payment of it back, the balance had no more." if is_lost(payment) else ""
    return f"{amount} are {where}. {then}{less}"


def _held(payment: BookingPayment) -> Decimal:
    """What is secured now."""
    if not payment.is_secured:
        return Decimal(0)
    return payment.reserved if payment.provider == PREPAID else payment.amount


def _notice(payment: BookingPayment, title: str, words: str, level: str, icon: str) -> PaymentNotice:
    url = reverse("bookings:balance", args=[payment.operator_id, payment.customer_id, payment.currency])
    return PaymentNotice(title, words, level, icon, balance_url=url if payment.provider == PREPAID else "")
