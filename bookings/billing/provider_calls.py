"""Telling payment providers what they are owed: secure, settle, give back. By a job, under no lock, as often as it takes.

`BookingPayment.owed` says what is left to be told; it commits with what caused it, so nothing is lost with a process. One call
at a time is made for a booking: whoever calls has claimed the row until `calling_until`. So what gives a payment back can
never overtake the ask it takes back, and a yes that comes after the booking is gone finds that it is to be given back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from bookings.actors import SCHEDULER
from bookings.billing.settlement import record_payment
from bookings.errors import NothingToDecide
from bookings.models import BookingPayment, Payment
from bookings.operations.payment_answers import take_answer
from bookings.payments.providers import CALL_TIMEOUT, Outcome, PaymentAnswer, PaymentAsk, provider
from bookings.signals import provider_owed

logger = logging.getLogger(__name__)
Owed, Status = BookingPayment.Owed, BookingPayment.Status
# Longer than a call may take: a process that was killed while it called holds nobody up for more.
CLAIM = CALL_TIMEOUT * 2
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=15), timedelta(minutes=15)
# Whoever pays is looked after more often than a provider that fails.
ASK_AGAIN = timedelta(seconds=10)
AT_ONCE = 500


def remind_due(*, now: datetime) -> None:
    """The scheduler's: a job for each payment whose provider is to be told something now."""
    with transaction.atomic():
        rows = BookingPayment.objects.select_for_update(skip_locked=True).filter(next_try_at__lte=now)
        for payment in rows.filter(_nobody_calls(now)).order_by("next_try_at")[:AT_ONCE]:
            # Until the job is done with it; another is queued where that takes too long.
            payment.next_try_at = now + FIRST_PAUSE
            payment.save(update_fields=["next_try_at"])
            provider_owed.send(sender=BookingPayment, payment=payment, at=now)


def tell_provider(*, booking_id: int, clock: Callable[[], datetime]) -> None:
    """Tell its provider what the payment of a booking owes it, if anybody has to and nobody does. What the provider raises is
    logged, and it is told again later. `clock` is read before the call and after it."""
    payment = _claim(booking_id, clock())
    if payment is None:
        return
    owed = payment.owed
    try:
        answer = _call(payment)
    except Exception:
        logger.exception("Payment provider %s failed for %s", payment.provider, payment.booking.reference)
        answer = None
    _take(booking_id, owed, answer, clock())


def _claim(booking_id: int, now: datetime) -> BookingPayment | None:
    with transaction.atomic():
        rows = BookingPayment.objects.select_for_update(no_key=True, of=("self",)).filter(
            _nobody_calls(now), pk=booking_id
        )
        payment = rows.exclude(owed="").select_related("booking", "customer", "invoice").first()
        if payment is not None:
            payment.calling_until = now + CLAIM
            payment.next_try_at, payment.tries = now + _pause(payment.tries), min(payment.tries + 1, 1000)
            payment.save(update_fields=["calling_until", "next_try_at", "tries"])
    return payment


def _call(payment: BookingPayment) -> PaymentAnswer:
    at, ask = provider(payment.provider), PaymentAsk.of(payment)
    if payment.owed == Owed.SECURE:
        return at.secure(ask)
    if payment.owed == Owed.SETTLE:
        return at.settle(ask, payment.settles)
    at.release(ask)
    return PaymentAnswer(Outcome.SECURED)


def _take(booking_id: int, told: str, answer: PaymentAnswer | None, now: datetime) -> None:
    """The answer, and the end of the claim. What the payment owes may have become another thing during the call."""
    if answer is not None and told == Owed.SECURE:
        # Where it waits no more, what was secured is given back: that is owed by now.
        with suppress(NothingToDecide):
            take_answer(booking_id=booking_id, answer=answer, now=now)
    with transaction.atomic():
        payment = BookingPayment.objects.select_for_update(no_key=True).get(pk=booking_id)
        payment.calling_until = None
        if payment.owed and payment.owed != told:
            payment.next_try_at, payment.tries = now, 0
            provider_owed.send(sender=BookingPayment, payment=payment, at=now)
        elif payment.owed and answer is not None:
            _go_on(payment, answer, now)
        payment.save(update_fields=_WRITTEN)


def _go_on(payment: BookingPayment, answer: PaymentAnswer, now: datetime) -> None:
    """What was settled pays its invoice, what was given back is over, what waits is asked again."""
    if payment.owed == Owed.SECURE or answer.outcome is Outcome.WAITING:
        payment.next_try_at, payment.tries = now + ASK_AGAIN, 0
        return
    if payment.owed == Owed.SETTLE and payment.invoice_id is not None:
        payment.changed_at, payment.reference = now, answer.reference[:140] or payment.reference
        if answer.outcome is Outcome.REFUSED:  # the invoice is open, and paid otherwise
            payment.status, payment.reason = Status.REFUSED, answer.reason[:300]
        else:
            payment.status = Status.USED
            record_payment(
                invoice_id=payment.invoice_id, amount=payment.settles, paid_on=now.date(), means=Payment.Means.PROVIDER,
                reference=f"{payment.provider} {payment.key}", actor=SCHEDULER, now=now,
            )  # fmt: skip
    payment.owed, payment.next_try_at, payment.tries = "", None, 0


_WRITTEN = ("calling_until", "next_try_at", "tries", "owed", "status", "reason", "reference", "changed_at")


def _nobody_calls(now: datetime) -> Q:
    return Q(calling_until__isnull=True) | Q(calling_until__lte=now)


def _pause(tries: int) -> timedelta:
    return min(FIRST_PAUSE * 2 ** min(tries, 10), LONGEST_PAUSE)
