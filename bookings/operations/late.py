"""A truck on its way that comes later, or another one in its place: until the no-show time, whatever the deadline of changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from bookings.actors import Actor
from bookings.errors import NothingToChange
from bookings.models import Booking, Vehicle
from bookings.operations.change import Foreseen, change_booking, foreseen
from bookings.operations.change_request import ChangeRequest
from bookings.operations.request_log import NO_MESSAGE, ReceivedMessage
from bookings.rules.entitlement import TokenName


def delay_booking(
    booking_id: int,
    delay: timedelta,
    *,
    by: str = Booking.Side.FLEET,
    seen_version: int | None = None,
    shown_price: dict[str, str] | None = None,
    actor: Actor,
    now: datetime,
) -> Booking:
    """Move start and end by the delay, off the step, too; the end only as far as the next slot and the depot's hours leave room,
    and what is not needed before is given back. Where the depot decides, or is a partner's, it is asked.

    Raises a BookingError as `change_booking`; SlotTaken where less than the least duration is left, ChangeTooLate after the
    no-show time.
    """
    request = _later(delay, shown_price)
    return change_booking(booking_id, request, by=by, seen_version=seen_version, actor=actor, now=now)


def foreseen_delay(booking: Booking, delay: timedelta, *, actor: Actor, now: datetime) -> Foreseen:
    """What a delay would come to as things stand; nothing is locked for it. Raises as `delay_booking`."""
    return foreseen(booking, _later(delay), actor=actor, now=now)


def _later(delay: timedelta, shown_price: dict[str, str] | None = None) -> ChangeRequest:
    if delay <= timedelta():
        raise NothingToChange("A delay is later than what is booked.")
    return ChangeRequest(delay=delay, until_no_show=True, while_charging=False, shown_price=shown_price)


def swap_vehicle(
    booking_id: int,
    *,
    vehicle: Vehicle | None = None,
    tokens: Sequence[TokenName] | None = None,
    message: ReceivedMessage = NO_MESSAGE,
    seen_version: int | None = None,
    actor: Actor,
    now: datetime,
) -> Booking:
    """Another vehicle, driver or token in a slot that stays where it is. Without `tokens` those of the vehicle; it keeps its EVSE
    where it fits there, else gets another of the same offer.

    Raises a BookingError as `change_booking`; DoesNotFit and ChangeTooLate (after the no-show time) among them.
    """
    request = ChangeRequest(
        vehicle=vehicle, tokens=tokens, until_no_show=True, while_charging=False, message=message
    )
    return change_booking(booking_id, request, seen_version=seen_version, actor=actor, now=now)
