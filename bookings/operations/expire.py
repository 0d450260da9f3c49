"""What time does to bookings. The scheduler finds what is due; each of these looks again under the lock.

All of them may be called twice, late, or for a booking that has moved on: they raise WrongStatus and change nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import QuerySet

from bookings.actors import SCHEDULER
from bookings.core import calendars, lifecycle
from bookings.core.locking import lock_booking
from bookings.errors import NothingToDecide, WrongStatus
from bookings.models import Booking, BookingRequest, BookingStatus, RemoteSession, SessionStatus
from bookings.operations import counter_offer, request_log
from bookings.operations.decide import drop_change
from bookings.payments import booking_payments

# A partner that tells of a session tells more often than this while it runs.
TOLD_AT_LEAST = timedelta(hours=2)


def expire_hold(*, booking_id: int, now: datetime) -> Booking:
    """A hold nobody confirmed in time gives its place back."""
    with calendars.one_operation():
        booking = lock_booking(booking_id)
        if booking.held_until is None or booking.held_until > now:
            raise WrongStatus(booking.status, BookingStatus.EXPIRED)
        lifecycle.move(booking, BookingStatus.EXPIRED, actor=SCHEDULER, at=now)
    return booking


def fail_undecided(*, booking_id: int, now: datetime) -> Booking:
    """An ask the depot did not answer in time fails: a new booking with it, a change leaves the booking as it was. So does a new
    booking that was not paid for in time, and an offer of the depot's that its fleet did not answer."""
    with calendars.one_operation():
        booking = lock_booking(booking_id)
        request = booking.pending_request
        if (
            request is None
            or booking.decide_until is None
            or booking.decide_until > now
            or not booking.is_ours
        ):
            raise NothingToDecide("Nothing of this booking is overdue.")
        if request.kind == BookingRequest.Kind.OFFER:
            counter_offer.run_out(booking, request, now=now)
            return booking
        text = "The depot did not decide in time."
        payment = booking_payments.awaited(booking)
        if payment is not None and not payment.can_still_come(now):
            text = "It was not paid for in time."
        request_log.settle(request, BookingRequest.Decision.FAILED, reason=text, actor=SCHEDULER, now=now)
        booking.decide_until = None
        if booking.status == BookingStatus.REQUESTED:
            booking.note = text
            lifecycle.move(
                booking, BookingStatus.FAILED, actor=SCHEDULER, at=now, detail={"reason": text},
                fields=["decide_until", "note"],
            )  # fmt: skip
        else:
            drop_change(booking, {"reason": text}, actor=SCHEDULER, now=now)
    return booking


def mark_no_show(*, booking_id: int, waived: str = "", now: datetime) -> Booking:
    """A vehicle that has not come by its no-show time loses the slot; the rest of it is free again. `waived` is a code of
    ENFORCEMENT_WHY where that costs nothing."""
    with calendars.one_operation():
        booking = lock_booking(booking_id)
        if booking.no_show_at() > now or not booking.is_ours:
            raise WrongStatus(booking.status, BookingStatus.NO_SHOW)
        request_log.decline_pending(booking, "The vehicle did not come.", actor=SCHEDULER, now=now)
        detail = {"waived": waived} if waived else {}
        lifecycle.move(booking, BookingStatus.NO_SHOW, actor=SCHEDULER, at=now, detail=detail)
    return booking


def overdue_remote(*, now: datetime) -> QuerySet[Booking]:
    """Charging bookings at partners' depots whose slot is over, without those where the partner tells that a truck charges on."""
    over = Booking.objects.filter(
        status=BookingStatus.CHARGING, route=Booking.Route.OUTBOUND, ends_at__lte=now
    )
    told = RemoteSession.objects.filter(status=SessionStatus.CHARGING, received_at__gt=now - TOLD_AT_LEAST)
    return over.exclude(pk__in=told.filter(booking__isnull=False).values("booking"))


def complete_overdue_remote(*, booking_id: int, now: datetime) -> Booking:
    """When the slot is over it is over for us too: a partner need not tell of sessions."""
    with calendars.one_operation():
        booking = lock_booking(booking_id)
        if not overdue_remote(now=now).filter(pk=booking.pk).exists():
            raise WrongStatus(booking.status, BookingStatus.COMPLETED)
        lifecycle.adopt(booking, BookingStatus.COMPLETED, actor=SCHEDULER, at=now, detail={})
    return booking


def fail_unanswered_remote(*, booking_id: int, now: datetime) -> Booking:
    """A partner that has left, or never answered, cannot be waited for once the slot is over."""
    with calendars.one_operation():
        booking = lock_booking(booking_id)
        if booking.is_ours or booking.status != BookingStatus.REQUESTED or booking.ends_at > now:
            raise WrongStatus(booking.status, BookingStatus.FAILED)
        booking.note = "The partner did not answer in time."
        if (request := booking.pending_request) is not None:
            request_log.settle(
                request, BookingRequest.Decision.FAILED, reason=booking.note, actor=SCHEDULER, now=now
            )
        detail = {"reason": booking.note}
        lifecycle.adopt(
            booking, BookingStatus.FAILED, actor=SCHEDULER, at=now, detail=detail, fields=["note"]
        )
    return booking
