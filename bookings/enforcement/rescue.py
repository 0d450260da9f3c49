"""When the door cannot be locked in time: another EVSE, and if there is none, an honest end."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q

from bookings.actors import ENFORCEMENT
from bookings.core import calendars, lifecycle, occupancy
from bookings.core.locking import lock_booking
from bookings.core.one_by_one import each_by_itself
from bookings.enforcement.faults import circumstances, evidence, faults_seen
from bookings.enforcement.occupants import is_of_another, own_session, session_in_bay
from bookings.enforcement.stays import take_stay
from bookings.enforcement.walk_ins import adopt
from bookings.models import Booking, BookingStatus, CancelReason, Enforcement
from bookings.operations import mark_no_show, request_log
from bookings.operations.cancel import write_off
from bookings.operations.change_request import read_period
from bookings.operations.places import assign
from bookings.operations.relocation import best_first, relocate, would_do
from bookings.rules import power
from bookings.rules.own_slots import is_own, session_into
from bookings.rules.power import Supply
from bookings.rules.terms import LONGEST_LEAD
from bookings.search.bookable import evses_with_bays
from depots.models import Evse
from depots.queries import is_online

# From here on a slot at risk is moved rather than waited for.
SWAP_BEFORE_START = timedelta(minutes=5)
# A charger that lost its connection mostly comes back, and keeps its reservation meanwhile.
OFFLINE_PATIENCE = timedelta(minutes=5)

# A plug that says it is taken is often being freed just then, and a driver on the way is not sent elsewhere for that.
OCCUPIED_PATIENCE = timedelta(seconds=20)

# Out of service for moments is a restart, told with or without a farewell; until shortly before the start there is time
# to see which it is.
UNAVAILABLE_PATIENCE = timedelta(seconds=60)
UNAVAILABLE_UNTIL_START = timedelta(minutes=2)

AT_FAULT = {"faulted", "unavailable"}
AT_ONCE = 200


def rescue(*, now: datetime) -> int:
    """Look for another EVSE for what is still at risk shortly before its start, or whose EVSE stays broken.

    How many were moved.
    """
    at_risk = Booking.objects.filter(
        Q(starts_at__lte=now + SWAP_BEFORE_START) | Q(enforcement_why__in=AT_FAULT),
        starts_at__lte=now + LONGEST_LEAD,
        status=BookingStatus.CONFIRMED,
        enforcement=Enforcement.AT_RISK,
    )
    # Looked at unlocked first: a gateway that is down puts hundreds at risk that are only waited for.
    rows = at_risk.select_related("evse__charger").order_by("starts_at")
    lost = [booking.pk for booking in rows if _is_lost(booking, now)]
    return each_by_itself(lost[:AT_ONCE], lambda pk: _rescue_one(pk, now))


def swap(booking: Booking, *, now: datetime) -> bool:
    """Move a booking whose EVSE is broken at once, if a working one is free. The booking and its EVSE are locked.

    Other EVSEs may only be locked in key order, and the depot before them: what cannot be had without waiting, or needs
    the promises of power looked at, is left to `rescue` in the next tick.
    """
    if booking.no_show_at() <= now or power.can_bind(booking.depot):
        return False
    free = Evse.objects.filter(pk__in=[evse.pk for evse in _alternatives(booking)]).order_by("pk")
    locked = set(
        free.select_for_update(no_key=True, skip_locked=True, of=("self",)).values_list("pk", flat=True)
    )
    # What they are like is read again under the locks.
    return _take_best(booking, [evse for evse in _alternatives(booking) if evse.pk in locked], now)


def give_up_or_no_show(*, booking_id: int, now: datetime) -> Booking:
    """The truck's time is over. Where the depot could not give the place, the depot cancels; else it is a no-show.

    A no-show whose vehicle could not have charged is free of its fee, and the timeline says what was seen. Nobody is a
    no-show while somebody else's session occupies the bay, or who has charged there in its time since before it.
    """
    with calendars.one_operation():
        booking = lock_booking(booking_id)
        if booking.status != BookingStatus.CONFIRMED or booking.no_show_at() > now:
            return booking
        if booking.decide_until is not None and booking.decide_until > now and _comes_later(booking):
            return booking
        session = session_in_bay(booking)
        if session is not None and is_own(session, booking) and not is_of_another(session, booking):
            return adopt(booking, session, now=now)
        if (before := session_into(booking)) is not None:
            return take_stay(booking, before, now=now)
        return _end(booking, "occupied" if session is not None else _why_at_risk(booking), now)


def _comes_later(booking: Booking) -> bool:
    """Whether its fleet has asked for a later start, and the depot has yet to answer: it is no no-show until then."""
    waiting = booking.pending_request
    if waiting is None or "period" not in waiting.asked:
        return False
    return read_period(waiting.asked["period"]).starts_at > booking.starts_at


def _end(booking: Booking, why: str, now: datetime) -> Booking:
    """`why` the slot was at risk, by its code; empty where it was not."""
    if why == "occupied" or why in AT_FAULT:
        reason = CancelReason.FULL if why == "occupied" else CancelReason.BROKEN_CHARGER
        request_log.decline_pending(booking, "The slot could not be kept.", actor=ENFORCEMENT, now=now)
        write_off(booking, reason, Booking.Side.DEPOT, note=_apology(why), actor=ENFORCEMENT, now=now)
        return booking
    detail = circumstances(booking, now=now)
    lifecycle.record(booking, kind="evidence", actor=ENFORCEMENT, at=now, detail=detail)
    waived = ""
    if faults := faults_seen(booking, now=now):
        detail = evidence(faults)
        waived = detail["why"]
        lifecycle.record(booking, kind="waived", actor=ENFORCEMENT, at=now, detail=detail)
    return mark_no_show(booking_id=booking.pk, waived=waived, now=now)


def _why_at_risk(booking: Booking) -> str:
    return booking.enforcement_why if booking.enforcement == Enforcement.AT_RISK else ""


def _is_lost(booking: Booking, now: datetime) -> bool:
    """Whether waiting for the EVSE makes no sense any more, and moving does: whose time is over is not moved, or a truck
    the depot had no place for would be a no-show at another EVSE in the same moment."""
    if booking.status != BookingStatus.CONFIRMED or booking.enforcement != Enforcement.AT_RISK:
        return False
    if booking.no_show_at() <= now:
        return False
    if booking.enforcement_why in AT_FAULT:
        return _is_broken(booking, now)
    if booking.enforcement_why == "occupied":
        return now - _at_risk_since(booking) >= OCCUPIED_PATIENCE and own_session(booking) is None
    charger = booking.evse.charger if booking.evse else None
    if booking.enforcement_why != "offline" or charger is None or charger.connected_at is None:
        return False
    if is_online(charger, now=now):  # it is being asked again
        return False
    gone_since = charger.lease_until or charger.connected_at
    return now >= booking.starts_at and now - gone_since >= OFFLINE_PATIENCE


def _is_broken(booking: Booking, now: datetime) -> bool:
    """A fault is believed at once, out of service after its grace, and neither once the EVSE has said otherwise since:
    then it is being asked again."""
    since, evse = _at_risk_since(booking), booking.evse
    if evse is not None and evse.status not in AT_FAULT and (evse.status_received_at or since) > since:
        return False
    if booking.enforcement_why == "faulted":
        return True
    return now >= min(since + UNAVAILABLE_PATIENCE, booking.starts_at - UNAVAILABLE_UNTIL_START)


def _at_risk_since(booking: Booking) -> datetime:
    return booking.events.filter(kind="enforcement", after=Enforcement.AT_RISK).latest("id").at


def _rescue_one(booking_id: int, now: datetime) -> bool:
    booking = lock_booking(
        booking_id,
        also=lambda row: [evse.pk for evse in _alternatives(row)],
        depot=lambda row: power.can_bind(row.depot),
    )
    return _is_lost(booking, now) and _take_best(booking, _alternatives(booking), now)


def _take_best(booking: Booking, pool: list[Evse], now: datetime) -> bool:
    working = [e for e in pool if _works(e, now)]
    in_option = set(booking.option.evses.values_list("pk", flat=True))
    needs = request_log.needs_of(booking)
    free = assign(working, needs, booking.period, booking.terms, now=now, holder=booking.pk)
    reach = booking.period.widened(booking.terms.early_start, booking.terms.tail)
    supply = Supply.at({booking.depot_id}, reach, without=booking.pk, now=now)
    occupancy.queue_for([booking])
    # A charger that keeps no reservations is the last resort: from a firm slot to one that a card reader guards.
    for evse in sorted(best_first(free, booking, supply, in_option), key=_keeps_no_reservations):
        if relocate(booking, evse, needs, actor=ENFORCEMENT, now=now):
            return True
    return False


def _keeps_no_reservations(evse: Evse) -> bool:
    return evse.charger is not None and evse.charger.measured.get("reservation") in {"refuses", "lies"}


def _works(evse: Evse, now: datetime) -> bool:
    charger = evse.charger
    return charger is not None and is_online(charger, now=now) and evse.status == Evse.Status.AVAILABLE


def _alternatives(booking: Booking) -> list[Evse]:
    """EVSEs of the depot that would do. Those that keep its power are tried first."""
    needs = request_log.needs_of(booking)
    here = evses_with_bays().filter(depot=booking.depot_id, charger__isnull=False)
    return [evse for evse in here if would_do(evse, booking, needs, booking.evse)]


def _apology(why: str) -> str:
    return {"occupied": "The EVSE was not freed in time and no other was."}.get(why, "The EVSE is broken.")
