"""What a booking has secured before it is promised, in the transaction that makes, changes or ends it: its caller has the
booking's lock (a new one nobody else knows yet).

A booking whose agreement asks for something first says so in its terms (`Booking.pays_before`) and has one BookingPayment; all
others are looked at no further. What the database can answer is answered here; a provider elsewhere is told by a job.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from bookings.errors import CreditLimitReached, PaymentAwaited, PaymentMissing
from bookings.models import Booking, BookingPayment, PaymentTerms
from bookings.payments import prepaid
from bookings.payments.on_invoice import OnInvoice
from bookings.payments.prepaid import Account, Prepaid
from bookings.payments.providers import PREPAID, Outcome, PaymentAnswer, PaymentAsk, asks_before, label_of
from bookings.rules.configuration import Configuration
from bookings.signals import provider_owed

Status, Owed = BookingPayment.Status, BookingPayment.Owed
Quote = dict[str, Any]
LONGEST_URL = 500


def plan(booking: Booking, there: Configuration, now: datetime) -> BookingPayment | None:
    """What an unsaved, priced booking has to secure, if anything; its depot is asked for what goes beyond the credit limit.
    Raises CreditLimitReached."""
    terms = there.payment_terms_for(booking.fleet_id, now=now)
    if terms is None:
        return None
    payment = _payment(booking, booking.quote, there, terms, now)
    pays_before = asks_before(terms)
    if _on_invoice(payment, OnInvoice(terms, pays_before)):
        booking.terms_json["approval"] = True
    if not pays_before:
        return None
    booking.terms_json["pays_before"] = terms.before
    return payment


def is_beyond_credit(booking: Booking, quote: Quote, there: Configuration, now: datetime) -> bool:
    """Whether a booking at this price in place of its own goes beyond the credit limit and its depot is to be asked. Raises
    CreditLimitReached."""
    terms = there.payment_terms_for(booking.fleet_id, now=now)
    if terms is None:
        return False
    # Not what the agreement asks for by now: the booking keeps what it was made under.
    invoice = OnInvoice(terms, bool(booking.pays_before), without=booking.pk)
    return _on_invoice(_payment(booking, quote, there, terms, now), invoice)


def ask(payment: BookingPayment, booking: Booking, now: datetime) -> None:
    """Ask for it from now on: SECURED where the prepaid balance, whose account is locked, covers it, else ASKED. Nothing is
    written. Raises PaymentMissing where the slot begins before anybody could pay."""
    lacks = _missing(payment)
    payment.asked_at, payment.until = (
        now,
        min(now + timedelta(minutes=payment.payment_min), booking.starts_at),
    )
    payment.status = Status.ASKED if lacks else Status.SECURED
    if lacks and payment.until <= now:
        raise PaymentMissing(
            f"{payment.currency} {lacks:.2f} have to be secured first, and the slot begins before that.",
            lacks,
        )


def keep(payment: BookingPayment, booking: Booking, now: datetime) -> None:
    """Write it beside the booking, which has been saved, with what it reserves; its provider elsewhere is to be asked."""
    payment.booking, payment.changed_at = booking, now
    if payment.is_waited_for and payment.provider != PREPAID:
        _owe(payment, Owed.SECURE, now)
    payment.save(force_insert=payment._state.adding)  # noqa: SLF001
    if payment.is_secured and payment.provider == PREPAID:
        _reserve(payment, now)
    _tell(payment, now)


def locked(booking: Booking) -> BookingPayment:
    """The payment of a booking that pays before, behind the booking's lock."""
    rows = BookingPayment.objects.select_for_update(no_key=True, of=("self",)).select_related("customer")
    payment = rows.get(pk=booking.pk)
    payment.booking = booking
    return payment


def awaited(booking: Booking) -> BookingPayment | None:
    """The payment a booking waits for, locked; None where it waits for none."""
    payment = locked(booking) if booking.pays_before else None
    return payment if payment is not None and payment.is_waited_for else None


def check_answered(booking: Booking) -> None:
    """Raises PaymentAwaited: a change of what is not paid for would be another ask."""
    if awaited(booking) is not None:
        raise PaymentAwaited("The booking waits for its payment. Once that is there it can be changed.")


def secure(payment: BookingPayment, *, now: datetime) -> None:
    """Reserve it of the prepaid balance. Raises PaymentMissing where that is too low."""
    lacks = _missing(payment)
    if lacks:
        raise PaymentMissing(f"{payment.currency} {lacks:.2f} are missing.", lacks)
    payment.status, payment.changed_at = Status.SECURED, now
    payment.save(update_fields=["status", "changed_at"])
    _reserve(payment, now)


def adopt(payment: BookingPayment, answer: PaymentAnswer, *, now: datetime) -> None:
    """Its provider has secured it."""
    payment.status = Status.SECURED
    _hear(payment, answer, now)


def refuse(payment: BookingPayment, answer: PaymentAnswer, *, now: datetime) -> None:
    payment.status, payment.reason = Status.REFUSED, answer.reason[:300]
    _hear(payment, answer, now)


def wait(payment: BookingPayment, answer: PaymentAnswer, *, now: datetime) -> None:
    """Its provider waits for whoever pays; it is asked again."""
    is_page = answer.url.startswith(("https://", "http://")) and len(answer.url) <= LONGEST_URL
    payment.reason, payment.url = answer.reason[:300], answer.url if is_page else ""
    payment.reference, payment.changed_at = answer.reference[:140] or payment.reference, now
    payment.save(update_fields=["reason", "url", "reference", "changed_at"])


def fit(booking: Booking, *quotes: Quote, now: datetime) -> None:
    """Have as much secured as the dearest of these prices: the difference is reserved, or given back. Nothing where the booking
    asks for no payment. Raises PaymentMissing."""
    if not booking.pays_before:
        return
    payment = locked(booking)
    if not payment.is_secured:
        return
    prices = [_priced(quote) for quote in quotes]
    if len({each["currency"] for each in prices if each["amount"]}) > 1:
        # Once the change is declined, the old price would have to be reserved anew, and might not be there any more.
        raise PaymentMissing(
            "What is secured is in another currency than this is priced in. Make another booking.",
            prices[0]["amount"],
        )
    priced = max(prices, key=lambda each: each["amount"])
    if (priced["amount"], priced["currency"]) == (payment.amount, payment.currency):
        return
    if payment.provider == PREPAID:
        _fit_reserved(payment, priced, now)
    elif priced["amount"] > payment.amount or priced["currency"] != payment.currency:
        more = priced["amount"] - payment.amount
        through = label_of(payment.provider)
        raise PaymentMissing(
            f"{payment.currency} {payment.amount:.2f} are secured through {through}, which cannot be raised. Make another booking"
            f" for what costs more.",
            more,
        )


def release(payment: BookingPayment, reason: str, *, now: datetime) -> None:
    """Give back what it has secured; once. A provider elsewhere is told, also where its yes may be on its way."""
    if payment.status in {Status.RELEASED, Status.USED, Status.REFUSED}:
        return
    if payment.provider == PREPAID:
        Prepaid(payment, now).release(PaymentAsk.of(payment))
    elif payment.status != Status.PLANNED:
        _owe(payment, Owed.RELEASE, now)
    payment.status, payment.reason, payment.changed_at = Status.RELEASED, reason[:300], now
    payment.save(update_fields=[*_STATE, *_OWED])
    _tell(payment, now)


def take_up_again(payment: BookingPayment, most: Decimal, *, otherwise: str, now: datetime) -> Decimal:
    """How much of what was given back is reserved again: up to `most`, as far as the prepaid balance goes. Where that is less,
    `otherwise` is the reason that stays with it."""
    wanted, covered = min(payment.amount, most), Decimal(0)
    if payment.provider == PREPAID:
        account = Account.of(payment)
        account.lock()
        covered = min(wanted, account.available())
    payment.status = Status.SECURED if covered else Status.RELEASED
    payment.reason, payment.changed_at = "" if covered == wanted else otherwise, now
    payment.save(update_fields=_STATE)
    if covered:
        Prepaid(payment, now).secure(replace(PaymentAsk.of(payment), amount=covered))
    return covered


def owe_settlement(payment: BookingPayment, amount: Decimal, *, now: datetime) -> None:
    """Its provider is to take so much for `payment.invoice`, and to give the rest back."""
    payment.settles, payment.changed_at = amount, now
    _owe(payment, Owed.SETTLE, now)
    payment.save(update_fields=["settles", "invoice", "changed_at", *_OWED])
    _tell(payment, now)


def mark_used(payment: BookingPayment, *, now: datetime) -> None:
    """For `payment.invoice`."""
    payment.status, payment.changed_at = Status.USED, now
    payment.save(update_fields=["status", "invoice", "changed_at"])


def brief(payment: BookingPayment) -> dict[str, Any]:
    """For the history."""
    told = {
        "status": payment.status, "before": payment.before, "amount": f"{payment.amount:.2f}", "currency": payment.currency,
        "provider": payment.provider,
    }  # fmt: skip
    if payment.is_waited_for and payment.until is not None:
        told["until"] = payment.until.isoformat()
    return told


_STATE = ("status", "reason", "changed_at")
_OWED = ("owed", "next_try_at", "tries")


def _payment(
    booking: Booking, quote: Quote, there: Configuration, terms: PaymentTerms, now: datetime
) -> BookingPayment:
    """Not saved."""
    return BookingPayment(
        booking=booking, operator_id=there.site.operator_id, customer=booking.fleet, before=terms.before,
        provider=terms.provider, payment_min=terms.payment_min, changed_at=now, **_priced(quote),
    )  # fmt: skip


def _on_invoice(payment: BookingPayment, invoice: OnInvoice) -> bool:
    """Whether the depot is to be asked. Raises CreditLimitReached."""
    answer = invoice.secure(PaymentAsk.of(payment))
    if answer.outcome is Outcome.REFUSED:
        raise CreditLimitReached(answer.reason)
    return answer.outcome is Outcome.WAITING


def _priced(quote: Quote) -> dict[str, Any]:
    return {"amount": Decimal(quote.get("total", 0)), "currency": quote.get("currency", "")}


def _missing(payment: BookingPayment) -> Decimal:
    if not payment.amount:
        return Decimal(0)
    if payment.provider != PREPAID:
        return payment.amount
    return prepaid.missing(Account.of(payment), payment.amount)


def _fit_reserved(payment: BookingPayment, priced: Quote, now: datetime) -> None:
    """What is too much goes back before the amount is lowered, what is too little is reserved once it is raised: no more is
    ever reserved than the amount."""
    account, asked = Prepaid(payment, now), PaymentAsk.of(payment)
    if priced["currency"] != payment.currency:
        account.release(asked)
    elif priced["amount"] < payment.amount:
        account.secure(replace(asked, amount=priced["amount"]))
    payment.amount, payment.currency, payment.changed_at = priced["amount"], priced["currency"], now
    payment.save(update_fields=["amount", "currency", "changed_at"])
    _reserve(payment, now)


def _reserve(payment: BookingPayment, now: datetime) -> None:
    """As much as it asks for. Raises PaymentMissing."""
    if Prepaid(payment, now).secure(PaymentAsk.of(payment)).outcome is Outcome.SECURED:
        return
    lacks = prepaid.missing(Account.of(payment), payment.amount - payment.reserved)
    raise PaymentMissing(
        f"This comes to {payment.currency} {payment.amount:.2f}; your prepaid balance lacks {lacks:.2f} of it.",
        lacks,
    )


def _hear(payment: BookingPayment, answer: PaymentAnswer, now: datetime) -> None:
    payment.reference, payment.changed_at = answer.reference[:140] or payment.reference, now
    payment.owed, payment.next_try_at, payment.tries = "", None, 0
    payment.save(update_fields=[*_STATE, *_OWED, "reference"])


def _owe(payment: BookingPayment, what: BookingPayment.Owed, now: datetime) -> None:
    payment.owed, payment.next_try_at, payment.tries = what, now, 0


def _tell(payment: BookingPayment, now: datetime) -> None:
    if payment.owed:
        provider_owed.send(sender=BookingPayment, payment=payment, at=now)
