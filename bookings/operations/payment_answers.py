"""What is heard of a payment that a booking waits for, and what follows from it for the booking."""

from __future__ import annotations

from datetime import datetime

from bookings.actors import SCHEDULER
from bookings.core import calendars, lifecycle
from bookings.core.locking import lock_booking
from bookings.errors import NothingToDecide
from bookings.models import Booking, BookingPayment, BookingRequest, BookingStatus
from bookings.operations import request_log
from bookings.payments import booking_payments
from bookings.payments.prepaid import Account
from bookings.payments.providers import PREPAID, Outcome, PaymentAnswer
from bookings.rules.deadlines import decide_until


def waiting_for_payment(account: Account) -> list[int]:
    """The bookings that wait for money on this account, by id, in order of asking. One that needs more than there is leaves
    what there is to those behind it."""
    rows = BookingPayment.objects.filter(
        operator=account.operator_id, customer=account.customer_id, currency=account.currency,
        status=BookingPayment.Status.ASKED, provider=PREPAID,
    )  # fmt: skip
    return list(rows.order_by("asked_at", "pk").values_list("pk", flat=True))


def secure_from_balance(*, booking_id: int, now: datetime) -> Booking:
    """Reserve what a booking waits for, now that the balance covers it.

    Raises PaymentMissing where it does not, and NothingToDecide where it waits no more, or its time is over.
    """
    with calendars.one_operation():
        booking, payment = _awaited(booking_id)
        if payment.provider != PREPAID or not payment.can_still_come(now):
            raise NothingToDecide("Nothing of this booking waits for a prepaid balance.")
        booking_payments.secure(payment, now=now)
        _go_on(booking, payment, now)
    return booking


def take_answer(*, booking_id: int, answer: PaymentAnswer, now: datetime) -> Booking:
    """What a provider said when it was asked to secure a payment. A yes that comes too late is given back.

    Raises NothingToDecide where the booking waits no more.
    """
    with calendars.one_operation():
        booking, payment = _awaited(booking_id)
        if answer.outcome is Outcome.REFUSED:
            booking_payments.refuse(payment, answer, now=now)
            _fail(booking, f"The payment was refused: {answer.reason}"[:200], now)
        elif answer.outcome is Outcome.WAITING:
            booking_payments.wait(payment, answer, now=now)
        elif payment.can_still_come(now):
            booking_payments.adopt(payment, answer, now=now)
            _go_on(booking, payment, now)
        # Else the tick is about to fail the booking, which gives the money back.
    return booking


def _awaited(booking_id: int) -> tuple[Booking, BookingPayment]:
    booking = lock_booking(booking_id)
    payment = booking_payments.awaited(booking)
    if payment is None or booking.status != BookingStatus.REQUESTED:
        raise NothingToDecide("Nothing of this booking waits for a payment.")
    return booking, payment


def _go_on(booking: Booking, payment: BookingPayment, now: datetime) -> None:
    """Confirm it, unless its depot has yet to decide."""
    request = booking.pending_request
    detail = {"payment": booking_payments.brief(payment)}
    if booking.terms.approval and payment.approved_at is None:
        asked_at = request.asked_at if request is not None else now
        booking.decide_until = decide_until(booking, booking.period, asked_at)
        lifecycle.record(
            booking, kind="payment_secured", actor=SCHEDULER, at=now, detail=detail, fields=["decide_until"]
        )
        return
    if request is not None:
        request_log.settle(request, BookingRequest.Decision.ACCEPTED, actor=SCHEDULER, now=now)
    booking.decide_until = None
    lifecycle.move(
        booking, BookingStatus.CONFIRMED, actor=SCHEDULER, at=now, detail=detail, fields=["decide_until"]
    )


def _fail(booking: Booking, text: str, now: datetime) -> None:
    request = booking.pending_request
    if request is not None:
        request_log.settle(request, BookingRequest.Decision.FAILED, reason=text, actor=SCHEDULER, now=now)
    booking.decide_until, booking.note = None, text
    lifecycle.move(
        booking, BookingStatus.FAILED, actor=SCHEDULER, at=now, detail={"reason": text}, fields=["decide_until", "note"]
    )  # fmt: skip
