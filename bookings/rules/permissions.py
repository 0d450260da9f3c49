"""May a booking be changed or cancelled now? One answer for page, command and partner."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from bookings.errors import BookingError, CancelTooLate, ChangeTooLate, WrongStatus
from bookings.models import Booking, BookingEvent, BookingStatus
from bookings.rules.periods import local_time
from depots.periods import Period

CHANGEABLE = frozenset({BookingStatus.REQUESTED, BookingStatus.CONFIRMED})
# From where the table of moves leads to cancelled (bookings/core/lifecycle.py).
CANCELLABLE = frozenset({BookingStatus.HELD, BookingStatus.REQUESTED, BookingStatus.CONFIRMED})


def deadline_period(booking: Booking) -> Period:
    """What the deadlines of changes and cancellations count from: who is late does not get them back."""
    return Period(booking.late_from, booking.ends_at) if booking.late_from else booking.period


def check_change(booking: Booking, *, by: str, now: datetime, until_no_show: bool = False) -> None:
    """Raises WrongStatus, or ChangeTooLate when the fleet's deadline for the period in force is over: that of changes, or for
    what concerns a truck on its way the no-show time.

    While a truck charges at a depot of ours its booking can be given another end, past all deadlines.
    """
    if booking.status == BookingStatus.CHARGING and booking.is_ours:
        return
    if booking.status not in CHANGEABLE:
        status = booking.get_status_display().lower()
        raise WrongStatus(booking.status, "changed", f"A booking that is {status} cannot be changed.")
    counted = deadline_period(booking)
    deadline = booking.no_show_at() if until_no_show else booking.terms.change_deadline(counted)
    if by == Booking.Side.FLEET and now > deadline:
        raise ChangeTooLate(deadline, local_time(booking.depot, deadline))


def check_cancel(booking: Booking, *, by: str, now: datetime) -> None:
    """Raises WrongStatus, or CancelTooLate when the fleet's deadline for the period in force is over: for good, or, where
    its terms have a late cancellation, once it begins. What is held or not decided is given back at any time."""
    check_cancellable(booking)
    terms = booking.terms
    if is_late_to_cancel(booking, by=by, now=now) and not (terms.late_cancel and now < booking.starts_at):
        counted = deadline_period(booking)
        deadline = booking.starts_at if terms.late_cancel else terms.cancel_deadline(counted)
        raise CancelTooLate(deadline, local_time(booking.depot, deadline))


def check_cancel_freely(booking: Booking, *, by: str, now: datetime) -> None:
    """The same of a cancellation that costs nothing: for what gives up several at once, where nobody is told what each costs."""
    check_cancellable(booking)
    if is_late_to_cancel(booking, by=by, now=now):
        deadline = booking.terms.cancel_deadline(deadline_period(booking))
        has_fee = booking.terms.late_cancel
        raise CancelTooLate(deadline, local_time(booking.depot, deadline), has_fee=has_fee)


def is_late_to_cancel(booking: Booking, *, by: str, now: datetime) -> bool:
    """Whether a cancellation is none that is free. The depot's own always is."""
    return _is_late(booking, cancelling_side(booking, by), booking.status, now)


def cancelling_side(booking: Booking, by: str) -> str:
    """Whose cancellation it is: the depot's, too, where a fleet gives up what its depot cancels without a yes to an offer."""
    if by != Booking.Side.FLEET or booking.decide_until is None or booking.status != BookingStatus.CONFIRMED:
        return by
    waiting = booking.pending_request
    return Booking.Side.DEPOT if waiting is not None and waiting.is_last_word else by


def was_late_cancellation(booking: Booking, event: BookingEvent) -> bool:
    """The same of a cancellation that has happened, by its event: one at a depot of ours that has its fee."""
    was_given_up = event.after == BookingStatus.CANCELLED and booking.is_ours
    return was_given_up and _is_late(booking, booking.cancelled_by, event.before, event.at)


def was_given_back(booking: Booking, event: BookingEvent) -> bool:
    """Whether a reservation that was kept is over by its customer's word, with nothing in its place."""
    detail = event.detail
    return booking.is_reservation and bool(detail.get("was_kept")) and not detail.get("is_replaced")


def _is_late(booking: Booking, by: str, status: str, at: datetime) -> bool:
    if booking.is_reservation:  # it begins at once, and may be given back as long as nobody charges
        return False
    is_promised = by == Booking.Side.FLEET and status == BookingStatus.CONFIRMED
    return is_promised and at > booking.terms.cancel_deadline(deadline_period(booking))


def check_cancellable(booking: Booking) -> None:
    """Raises WrongStatus."""
    if booking.status not in CANCELLABLE:
        raise WrongStatus(booking.status, BookingStatus.CANCELLED)


def can_change(booking: Booking, *, by: str, now: datetime, until_no_show: bool = False) -> bool:
    """Of one that charges only the end."""
    with suppress(BookingError):
        check_change(booking, by=by, now=now, until_no_show=until_no_show)
        return True
    return False


def can_cancel_freely(booking: Booking, *, by: str, now: datetime) -> bool:
    """Without a fee."""
    with suppress(BookingError):
        check_cancel_freely(booking, by=by, now=now)
        return True
    return False


def can_cancel(booking: Booking, *, by: str, now: datetime) -> bool:
    with suppress(BookingError):
        check_cancel(booking, by=by, now=now)
        return True
    return False
