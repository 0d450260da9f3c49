from __future__ import annotations

from datetime import datetime

from bookings.actors import Actor
from bookings.core import calendars, lifecycle
from bookings.core.locking import lock_booking
from bookings.core.versions import SEEN_WHOLE, check_version
from bookings.errors import WrongStatus
from bookings.models import Booking, BookingRequest, BookingStatus
from bookings.operations import request_log
from bookings.payments import booking_payments
from bookings.rules.deadlines import answers_until


def confirm_hold(*, booking_id: int, seen_version: int | None = None, actor: Actor, now: datetime) -> Booking:
    """Turn a hold into a booking, or into a request where the depot decides or something is to be paid first.

    Raises WrongStatus when it ran out, PaymentMissing when it begins before that could be paid, ChangedMeanwhile when the
    depot has closed its EVSE since `seen_version` and put it elsewhere.
    """
    with calendars.one_operation():
        booking = lock_booking(booking_id)
        _check_held(booking, now)
        check_version(booking, seen_version, SEEN_WHOLE)
        approval = booking.terms.approval
        payment = booking_payments.locked(booking) if booking.pays_before else None
        if payment is not None:
            booking_payments.ask(payment, booking, now)
        waits = approval or (payment is not None and payment.is_waited_for)
        asked = request_log.Asked(
            period=booking.period, option=booking.option, evse=booking.evse, vehicle=booking.vehicle,
            tokens=list(booking.tokens.all()), power_w=booking.wished_power_w,
        ).to_json()  # fmt: skip
        ask = request_log.entry(BookingRequest.Kind.CREATE, asked, accepted=not waits, actor=actor, now=now)
        booking.held_until = None
        booking.decide_until = answers_until(booking, payment, approval=approval, now=now)
        lifecycle.move(
            booking,
            BookingStatus.REQUESTED if waits else BookingStatus.CONFIRMED,
            actor=actor,
            at=now,
            fields=["held_until", "decide_until"],
            ask=ask,
            detail={"payment": booking_payments.brief(payment)} if payment is not None else None,
        )
        if payment is not None:
            booking_payments.keep(payment, booking, now)
    return booking


def _check_held(booking: Booking, now: datetime) -> None:
    """Raises WrongStatus."""
    if booking.status != BookingStatus.HELD or booking.held_until is None:
        raise WrongStatus(booking.status, BookingStatus.CONFIRMED)
    if min(booking.held_until, booking.no_show_at()) <= now:
        gone = "The hold has run out; the slot has to be found anew."
        raise WrongStatus(booking.status, BookingStatus.CONFIRMED, gone)
