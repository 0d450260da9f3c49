"""Keeping a charger from now on, for a customer of a partner network (OCPI's RESERVE_NOW)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from django.db import transaction

from bookings.actors import Actor
from bookings.core import calendars
from bookings.core.locking import lock_booking
from bookings.errors import PaymentMissing
from bookings.models import Booking, BookingRequest, BookingStatus, CancelReason
from bookings.operations import request_log
from bookings.operations.book import request_booking
from bookings.operations.cancel import write_off
from bookings.operations.request_log import NO_MESSAGE, Asked
from bookings.operations.slot_request import SlotRequest
from bookings.rules import permissions
from bookings.rules.reservations import KEPT, ReservedTime, reserved_time


def reserve_now(
    request: SlotRequest, *, replaces: Booking | None = None, actor: Actor, now: datetime
) -> Booking:
    """A reservation of a request with `reserved`; CONFIRMED, and on its way to the charger. One that it `replaces` is given up
    for it, and stands where this one cannot be had. If that was kept, the reservation has lasted since then and is billed once.

    Raises what `request_booking` does; WrongStatus where the other is used already, PaymentMissing where it would have to be
    paid first.
    """
    with transaction.atomic():
        if replaces is not None and replaces.is_live:
            request = _since(request, _give_back(replaces, is_replaced=True, actor=actor, now=now))
        booking = request_booking(request, actor=actor, now=now)
        if booking.status != BookingStatus.CONFIRMED:
            raise PaymentMissing(
                "What is reserved here has to be paid first; book a slot.", booking.payment.amount
            )
    return booking


def give_back(booking: Booking, *, actor: Actor, now: datetime) -> None:
    """Its customer does not come; the time for which it was kept is billed. Raises WrongStatus where it is used or over."""
    _give_back(booking, actor=actor, now=now)


def _give_back(
    booking: Booking, *, is_replaced: bool = False, actor: Actor, now: datetime
) -> ReservedTime | None:
    """Its time, where it was kept."""
    by, asked = Booking.Side.FLEET, Asked(reason=CancelReason.NO_CANCELED).to_json()
    with calendars.one_operation():
        booking = lock_booking(booking.pk)
        permissions.check_cancel(booking, by=by, now=now)
        was_kept = booking.enforcement in KEPT
        ask = request_log.entry(
            BookingRequest.Kind.CANCEL, asked, accepted=True, message=NO_MESSAGE, actor=actor, now=now
        )
        write_off(
            booking, CancelReason.NO_CANCELED, by, ask=ask,
            more={"was_kept": was_kept, "is_replaced": is_replaced}, actor=actor, now=now,
        )  # fmt: skip
    return reserved_time(booking) if was_kept else None


def _since(request: SlotRequest, before: ReservedTime | None) -> SlotRequest:
    if before is None or request.reserved is None:
        return request
    return replace(request, reserved=replace(request.reserved, since=before.since))
