"""What befalls a booking while it charges: faults, lost chargers, and tries that fail."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q

from bookings import operations
from bookings.actors import ENFORCEMENT
from bookings.core import interruption
from bookings.core.locking import lock_booking, lock_bookings
from bookings.core.one_by_one import each_by_itself
from bookings.enforcement.arming import in_front
from bookings.enforcement.occupants import is_bay_taken, running_bookings
from bookings.enforcement.state import RETRY, set_state
from bookings.models import Booking, BookingStatus, Enforcement
from depots.models import Charger, ChargingSession, Evse

# A connection drops for seconds many times a day, and charging goes on without it.
LOST_AFTER = timedelta(minutes=5)
# A fault is often told a moment after the session it ended.
FAULT_FOLLOWS_WITHIN = timedelta(minutes=1)
# From here on somebody else's session at the bay is a risk for the next booking.
BAY_FREE_BEFORE_START = timedelta(minutes=5)
AT_ONCE = 200


def follow_status(evse: Evse, *, now: datetime) -> None:
    """Mark what a fault broke off, take the mark away when it charges again, and free what a truck has left.

    The EVSE is locked.
    """
    if evse.told_status in {Evse.Status.AVAILABLE, Evse.Status.RESERVED}:
        operations.vehicle_left(evse=evse, actor=ENFORCEMENT, now=now)
    elif evse.told_status == Evse.Status.FAULTED:
        for booking in _broken_off(evse, now):
            interruption.mark(booking, "fault", actor=ENFORCEMENT, now=now)
    elif evse.told_status == Evse.Status.CHARGING:
        for booking in _at_work(Q(session__evse=evse, interrupted_why="fault")):
            interruption.clear(booking, actor=ENFORCEMENT, now=now)


def mark_lost(*, now: datetime) -> int:
    """Charging at a charger that has not been heard of for minutes. How many were marked."""
    lost = running_bookings().filter(
        interrupted_at__isnull=True, ends_at__gt=now, session__charger__lease_until__lte=now - LOST_AFTER
    )
    return each_by_itself(
        list(lost.order_by("pk").values_list("pk", flat=True)[:AT_ONCE]), lambda pk: _mark_lost(pk, now)
    )


def clear_offline(charger: Charger, *, now: datetime) -> None:
    """What was taken for lost has been charging all the while. Its EVSEs are locked."""
    for booking in _at_work(Q(session__charger=charger, interrupted_why="offline")):
        interruption.clear(booking, actor=ENFORCEMENT, now=now)


def end_failed_tries(*, now: datetime) -> int:
    """Bookings whose holder has not plugged in again by the booked end. How many were completed."""
    over = Booking.objects.here().filter(
        status=BookingStatus.CHARGING, ends_at__lte=now, session__ended_at__isnull=False
    )
    return each_by_itself(
        list(over.order_by("ends_at", "pk").values_list("pk", flat=True)[:AT_ONCE]),
        lambda pk: _end_try(pk, now),
    )


def watch_bays(*, now: datetime) -> int:
    """Put at risk what starts soon while somebody else's session is on at its EVSE, whatever the charger says of it. What is
    not due because another's slot comes before it is not at risk either as long as that lasts.

    How many there were.
    """
    session = ChargingSession.objects.filter(
        evse=OuterRef("evse"), ended_at__isnull=True, announced_at__isnull=False
    )
    taken = Booking.objects.filter(
        Exists(session),
        status=BookingStatus.CONFIRMED,
        starts_at__lte=now + BAY_FREE_BEFORE_START,
        ends_at__gt=now,
    ).exclude(enforcement=Enforcement.AT_RISK)
    before = in_front(OuterRef("evse"), OuterRef("starts_at"), OuterRef("pk"), now)
    taken = taken.exclude(Q(Exists(before), enforcement=Enforcement.NOT_DUE))
    return each_by_itself(
        list(taken.order_by("starts_at", "pk").values_list("pk", flat=True)[:AT_ONCE]),
        lambda pk: _put_at_risk(pk, now),
    )


def _at_work(where: Q) -> list[Booking]:
    """Charging bookings of locked EVSEs, locked."""
    return lock_bookings(list(running_bookings().filter(where).values_list("pk", flat=True)))


def _broken_off(evse: Evse, now: datetime) -> list[Booking]:
    just_over = Q(status=BookingStatus.COMPLETED, session__ended_at__gt=now - FAULT_FOLLOWS_WITHIN)
    at_work = Q(status=BookingStatus.CHARGING)
    early = Booking.objects.filter(
        just_over | at_work, session__evse=evse, ends_at__gt=now + interruption.NEAR_THE_END
    )
    return lock_bookings(list(early.values_list("pk", flat=True)))


def _mark_lost(booking_id: int, now: datetime) -> int:
    booking = lock_booking(booking_id)
    session = booking.session
    if booking.status != BookingStatus.CHARGING or session is None or session.ended_at is not None:
        return 0
    lease = session.charger.lease_until
    if lease is None or lease > now - LOST_AFTER:
        return 0
    interruption.mark(booking, "offline", actor=ENFORCEMENT, now=now)
    return 1


def _end_try(booking_id: int, now: datetime) -> int:
    booking = lock_booking(booking_id)
    is_over = booking.session is not None and booking.session.ended_at is not None
    if booking.status != BookingStatus.CHARGING or not is_over or booking.ends_at > now:
        return 0
    operations.complete(booking_id=booking_id, at=booking.ends_at, actor=ENFORCEMENT, now=now)
    return 1


def _put_at_risk(booking_id: int, now: datetime) -> int:
    booking = lock_booking(booking_id)
    if booking.status != BookingStatus.CONFIRMED or booking.enforcement == Enforcement.AT_RISK:
        return 0
    if not is_bay_taken(booking):
        return 0
    set_state(booking, Enforcement.AT_RISK, why="occupied", retry_at=now + RETRY, now=now)
    return 1
