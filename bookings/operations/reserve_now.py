"""Keeping a charger from now on, for a customer of a partner network (OCPI's RESERVE_NOW)."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from bookings.actors import Actor
from bookings.errors import PaymentMissing
from bookings.models import Booking, BookingStatus, CancelReason
from bookings.operations.book import request_booking
from bookings.operations.cancel import cancel_booking
from bookings.operations.slot_request import SlotRequest


def reserve_now(
    request: SlotRequest, *, replaces: Booking | None = None, actor: Actor, now: datetime
) -> Booking:
    """A reservation of a request that `starts_now`; CONFIRMED, and on its way to the charger. One that it `replaces` is given up
    for it, and stands where this one cannot be had.

    Raises what `request_booking` does; WrongStatus where the other is used already, PaymentMissing where it would have to be
    paid first.
    """
    with transaction.atomic():
        if replaces is not None and replaces.is_live:
            give_back(replaces, actor=actor, now=now)
        booking = request_booking(request, actor=actor, now=now)
        if booking.status != BookingStatus.CONFIRMED:
            raise PaymentMissing(
                "What is reserved here has to be paid first; book a slot.", booking.payment.amount
            )
    return booking


def give_back(booking: Booking, *, actor: Actor, now: datetime) -> Booking:
    """Its customer does not come. Raises WrongStatus where it is used or over."""
    return cancel_booking(
        booking_id=booking.pk,
        reason=CancelReason.NO_CANCELED,
        by=Booking.Side.FLEET,
        actor=actor,
        now=now,
    )
