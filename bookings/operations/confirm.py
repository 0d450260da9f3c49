from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bookings.actors import Actor
from bookings.core import calendars, lifecycle, occupancy
from bookings.core.locking import lock_booking
from bookings.core.versions import SEEN_WHOLE, check_version
from bookings.errors import WrongStatus
from bookings.models import Booking, BookingPayment, BookingRequest, BookingStatus
from bookings.operations import request_log
from bookings.operations.apply_change import replace_tokens
from bookings.operations.places import refusals
from bookings.payments import booking_payments
from bookings.rules.deadlines import answers_until
from bookings.rules.entitlement import TokenName, entitled, refuse_groups


def confirm_hold(
    *,
    booking_id: int,
    tokens: Sequence[TokenName] | None = None,
    seen_version: int | None = None,
    with_trip: bool = False,
    actor: Actor,
    now: datetime,
) -> Booking:
    """Turn a hold into a booking, or into a request where the depot decides or something is to be paid first; with `tokens`
    instead of those it was held with. A stop of a trip is confirmed `with_trip` alone.

    Raises WrongStatus when it ran out, PaymentMissing when it begins before that could be paid, TokenUnusable, TokenElsewhere,
    ChangedMeanwhile when the depot has closed its EVSE since `seen_version` and put it elsewhere.
    """
    with refusals(lambda _: None), calendars.one_operation():
        booking = lock_booking(booking_id)
        _check_held(booking, now)
        if booking.trip_id is not None and not with_trip:
            whole = "It is held as a stop of a trip, and confirmed with all of it."
            raise WrongStatus(booking.status, BookingStatus.CONFIRMED, whole)
        check_version(booking, seen_version, SEEN_WHOLE)
        if tokens is not None:
            _take_tokens(booking, tokens)
        payment = _asked_payment(booking, now)
        _promise(booking, payment, actor=actor, now=now)
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


def _take_tokens(booking: Booking, tokens: Sequence[TokenName]) -> None:
    """Raises TokenUnusable, or the constraint of TokenElsewhere."""
    party = (booking.customer_country, booking.customer_party)
    named = entitled(tokens, booking.vehicle, booking.fleet, party)
    if not booking.is_ours:
        refuse_groups(named)
    occupancy.queue_to_claim(booking.terms, [*booking.tokens.all(), *named], [booking.vehicle_id])
    replace_tokens(booking, named)
    occupancy.claim(booking, named)


def _asked_payment(booking: Booking, now: datetime) -> BookingPayment | None:
    """What is to be secured first, asked for from now on and not written yet. Raises PaymentMissing."""
    if not booking.pays_before:
        return None
    payment = booking_payments.locked(booking)
    booking_payments.ask(payment, booking, now)
    return payment


def _promise(booking: Booking, payment: BookingPayment | None, *, actor: Actor, now: datetime) -> None:
    """Confirmed, or requested of the depot or until it is paid for."""
    approval = booking.terms.approval
    waits = approval or (payment is not None and payment.is_waited_for)
    booking.held_until = None
    booking.decide_until = answers_until(booking, payment, approval=approval, now=now)
    lifecycle.move(
        booking,
        BookingStatus.REQUESTED if waits else BookingStatus.CONFIRMED,
        actor=actor,
        at=now,
        fields=["held_until", "decide_until"],
        ask=_ask(booking, accepted=not waits, actor=actor, now=now),
        detail={"payment": booking_payments.brief(payment)} if payment is not None else None,
    )


def _ask(booking: Booking, *, accepted: bool, actor: Actor, now: datetime) -> BookingRequest:
    asked = request_log.Asked(
        period=booking.period, option=booking.option, evse=booking.evse, vehicle=booking.vehicle,
        tokens=list(booking.tokens.all()), power_w=booking.wished_power_w,
    ).to_json()  # fmt: skip
    return request_log.entry(BookingRequest.Kind.CREATE, asked, accepted=accepted, actor=actor, now=now)
