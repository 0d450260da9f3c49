"""Slots that are outlived: told before their end, noted when it is over, and ended by the depot's rule.

The next truck is not forgotten meanwhile: `watch_bays` puts it at risk and `rescue` moves it.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from django.db.models import DateTimeField, Exists, ExpressionWrapper, F, OuterRef, Subquery
from django.db.models.functions import Coalesce, Greatest

from bookings.actors import ENFORCEMENT
from bookings.core import lifecycle
from bookings.core.locking import lock_booking, lock_bookings
from bookings.core.one_by_one import each_by_itself
from bookings.enforcement.occupants import running_bookings, used_bookings
from bookings.enforcement.state import longest_term
from bookings.errors import ChargerOffline
from bookings.models import Booking, BookingEvent, BookingStatus
from bookings.operations import stop_remotely
from bookings.rules.own_slots import is_own, session_under_way, slots_after
from bookings.rules.terms import LONGEST_LEAD, Overstay
from depots.models import ChargingSession

AT_ONCE = 200
# A charger that was asked to stop and goes on is asked so often, then somebody has to go there.
MOST_STOPS = 3
STOP_AGAIN = timedelta(minutes=1)
# A slot that begins at this moment has begun.
STILL = timedelta(microseconds=1)


def warn_of_ends(*, now: datetime) -> int:
    """Bookings whose slot ends soon while a session uses it, each told once for each end. How many were told."""
    begins = ExpressionWrapper(F("ends_at") - longest_term("end_warning_min"), DateTimeField())
    told = BookingEvent.objects.filter(booking=OuterRef("pk"), kind="ending", at__gte=OuterRef("warned_from"))
    soon = used_bookings().annotate(warned_from=begins).filter(warned_from__lte=now, ends_at__gt=now)
    due = soon.filter(~Exists(told)).order_by("ends_at", "pk").values_list("pk", flat=True)
    return each_by_itself(list(due[:AT_ONCE]), lambda pk: _warn(pk, now))


def note_overstays(*, now: datetime) -> int:
    """Sessions that have outlived their slot and the late stop of its terms, each told once. How many are new."""
    # By EVSE: it stands in the history of the slot that is outlived, which may be a later one of the truck.
    told = BookingEvent.objects.filter(
        booking__evse=OuterRef("session__evse"), kind="overstay", at__gte=OuterRef("slot_ends_at")
    )
    stays = Booking.objects.here().filter(
        evse=OuterRef("session__evse"), status=BookingStatus.CHARGING, session=None, starts_at__lte=now
    )
    last_end = Subquery(stays.order_by("-ends_at").values("ends_at")[:1])
    running = running_bookings().annotate(slot_ends_at=Greatest("ends_at", Coalesce(last_end, "ends_at")))
    late = running.filter(~Exists(told), slot_ends_at__lte=now)
    rows = late.select_related("session").order_by("ends_at", "pk")[:AT_ONCE]
    due = [booking.pk for booking in rows if _overstays(booking, now)]
    return each_by_itself(due, lambda pk: _note_overstay(pk, now))


def stop_overstays(*, now: datetime) -> int:
    """End what the depot's rule does not let stay. How many chargers were asked."""
    late = running_bookings().filter(
        ends_at__lte=now, terms_json__overstay__in=[Overstay.STOP, Overstay.STOP_FOR_NEXT]
    )
    rows = late.select_related("session").order_by("ends_at", "pk")[:AT_ONCE]
    due = [booking.pk for booking in rows if _must_leave(booking, now)]
    return each_by_itself(due, lambda pk: _stop(pk, now))


def _warn(booking_id: int, now: datetime) -> int:
    booking = lock_booking(booking_id)
    session, begins = session_under_way(booking), booking.ends_at - booking.terms.end_warning
    if session is None or not begins <= now < booking.ends_at:
        return 0
    if slots_after(booking, session, until=booking.ends_at + STILL):
        return 0  # it may stay: the next slot is its own
    if booking.events.filter(kind="ending", at__gte=begins).exists():
        return 0
    stop_after = booking.terms.stop_after
    detail = {
        "ends_at": booking.ends_at.isoformat(),
        "overstays_at": booking.overstays_from().isoformat(),
        "stops_at": (booking.ends_at + stop_after).isoformat() if stop_after is not None else None,
    }
    lifecycle.record(booking, kind="ending", actor=ENFORCEMENT, at=now, detail=detail)
    return 1


def _last_slot(booking: Booking, now: datetime) -> Booking:
    """The one its truck stands in by now, or stood in last: a slot of its own that follows at the EVSE is its to stay in."""
    slots = slots_after(booking, booking.session, until=now + STILL) if booking.session is not None else []
    return slots[-1] if slots else booking


def _lock_last_slot(booking_id: int, now: datetime) -> tuple[Booking, Booking]:
    """The booking and the slot its truck stands in, whose history tells of the stay: the same where none of its own follows, or
    the one that does is not charging and could not be stopped. Both are at one EVSE, which is locked."""
    booking = lock_booking(booking_id)
    slot = _last_slot(booking, now)
    if slot.pk == booking.pk or slot.status != BookingStatus.CHARGING:
        return booking, booking
    return booking, lock_bookings([slot.pk])[0]


def _overstays(booking: Booking, now: datetime) -> bool:
    return booking.overstays(now) and now >= _last_slot(booking, now).overstays_from()


def _must_leave(booking: Booking, now: datetime) -> bool:
    session = booking.session
    if session is None or not _is_late(booking, now):
        return False
    slot = _last_slot(booking, now)
    return _is_late(slot, now) and (
        slot.terms.overstay == Overstay.STOP or _is_waited_for(booking, session, now)
    )


def _is_late(booking: Booking, now: datetime) -> bool:
    """Whether its terms let nobody stay any longer."""
    stop_after = booking.terms.stop_after
    return stop_after is not None and now >= booking.ends_at + stop_after


def _is_waited_for(booking: Booking, session: ChargingSession, now: datetime) -> bool:
    """Whether the slot of another vehicle is due there."""
    rows = Booking.objects.filter(
        evse=session.evse_id,
        status=BookingStatus.CONFIRMED,
        starts_at__lte=now + LONGEST_LEAD,
        ends_at__gt=now,
    ).exclude(pk=booking.pk)
    due = [other for other in rows if other.terms.due_at(other.period) <= now]
    return any(not is_own(session, other) for other in due)


def _stop(booking_id: int, now: datetime) -> int:
    booking, slot = _lock_last_slot(booking_id, now)
    session = booking.session
    if session is None or session.ended_at is not None or not _must_leave(booking, now):
        return 0
    since = slot.overstays_from()
    asked = list(
        slot.events.filter(
            kind="remote_stop", after="asked", actor_name=ENFORCEMENT.name, at__gte=since
        ).values_list("at", flat=True)
    )
    if asked and now < asked[-1] + STOP_AGAIN:
        return 0
    if len(asked) >= MOST_STOPS:
        return _tell_in_vain(slot, since, now)
    with suppress(ChargerOffline):  # told by `mark_lost`; stopped when it is back
        stop_remotely(booking_id=slot.pk, actor=ENFORCEMENT, now=now)
        return 1
    return 0


def _tell_in_vain(slot: Booking, since: datetime, now: datetime) -> int:
    """Once: the charger does not stop it, and somebody has to go there."""
    if slot.events.filter(kind="overstay", at__gte=since, detail__in_vain=True).exists():
        return 0
    detail = {"in_vain": True, "evse": slot.evse.uid if slot.evse else None}
    lifecycle.record(slot, kind="overstay", actor=ENFORCEMENT, at=now, detail=detail)
    return 1


def _note_overstay(booking_id: int, now: datetime) -> int:
    booking, slot = _lock_last_slot(booking_id, now)
    is_told = slot.events.filter(kind="overstay", at__gte=slot.ends_at).exists()
    if is_told or not _overstays(booking, now):
        return 0
    detail = {"since": slot.overstays_from().isoformat(), "evse": slot.evse.uid if slot.evse else None}
    lifecycle.record(slot, kind="overstay", actor=ENFORCEMENT, at=now, detail=detail)
    return 1
