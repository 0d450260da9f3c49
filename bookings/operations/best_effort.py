"""Slots at partners that keep no bookings: the charger is kept shortly before, if it can be, and nobody else keeps the time.

What is so is known to the partner alone; here it is only seen to that our own bookings do not take one another's EVSE.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from bookings.actors import SCHEDULER
from bookings.core import calendars, lifecycle
from bookings.core.locking import lock_booking
from bookings.errors import SlotTaken, WrongStatus
from bookings.models import Booking, BookingOption, BookingStatus
from bookings.search.asked_elsewhere import asked_elsewhere
from depots.periods import Period

# A partner tells of a session as it begins; one that it tells of later than this after the slot's end is matched by hand.
UNUSED_AFTER = timedelta(minutes=15)
NOTHING_TOLD = "The partner has told of no charging."


def take_elsewhere(option_id: int, period: Period, *, but: int | None = None) -> None:
    """Lock the option until the transaction ends, which keeps others from asking for the same time; `but` is the booking that is
    moved there. Raises SlotTaken."""
    BookingOption.objects.select_for_update(no_key=True).get(pk=option_id)
    if asked_elsewhere([option_id], period, but=but):
        raise SlotTaken("This EVSE is asked for already then.")


def end_unused(*, booking_id: int, now: datetime) -> Booking:
    """The slot is over and nobody has told of charging. Raises WrongStatus."""
    with calendars.one_operation():
        booking = lock_booking(booking_id)
        is_over = booking.is_best_effort and booking.ends_at + UNUSED_AFTER <= now
        if booking.status != BookingStatus.CONFIRMED or not is_over:
            raise WrongStatus(booking.status, BookingStatus.NO_SHOW)
        booking.note = NOTHING_TOLD
        detail = {"reason": booking.note}
        lifecycle.adopt(
            booking, BookingStatus.NO_SHOW, actor=SCHEDULER, at=now, detail=detail, fields=["note"]
        )
    return booking
