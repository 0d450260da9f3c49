"""Putting the lock on the door in time: which bookings are due, and the reservation each of them gets."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import DateTimeField, Exists, ExpressionWrapper, Max, OuterRef, QuerySet, Value

from bookings.core import calendars
from bookings.core.locking import lock_booking, lock_bookings, lock_ids
from bookings.core.one_by_one import each_by_itself
from bookings.enforcement import fallbacks
from bookings.enforcement.occupants import is_bay_taken, is_of_another, own_session
from bookings.enforcement.reserving_together import reserve_together
from bookings.enforcement.state import AT_CHARGER, RETRY, charger_of, is_wanted, longest_term, set_state
from bookings.models import LEAD_MINUTES, Booking, BookingStatus, Enforcement, Occupancy
from bookings.models.enforcement_words import OWN_VEHICLE, STILL_BEFORE
from bookings.operations import kept_evses
from bookings.rules.identification import token_for
from bookings.rules.terms import LONGEST_LEAD, Terms
from depots import operations as depots
from depots.models import Charger, ChargerCommand, Fallback
from depots.periods import utc_text
from depots.queries import is_online

logger = logging.getLogger(__name__)

# So many a transaction: a depot's morning is armed in one tick without holding its locks for long.
BATCH = 200


def arm_due(*, now: datetime) -> int:
    """Arm every booking whose time has come, in batches that lock EVSEs, then bookings. How many were armed."""
    armed = 0
    due = _due(now)
    for start in range(0, len(due), BATCH):
        batch = due[start : start + BATCH]
        try:
            armed += _arm_batch(batch, now)
        except Exception:
            logger.exception("A batch of bookings could not be armed together; each is armed by itself")
            armed += each_by_itself(batch, lambda pk: _arm_batch([pk], now))
    return armed


def arm_booking(booking: Booking, *, now: datetime) -> None:
    """Arm a booking that its caller has locked together with its EVSE, if it is due."""
    if is_due(booking, now=now) and not _waits_for_another(booking, now):
        _arm(booking, now)


def retry_due(*, now: datetime) -> int:
    """Try again what could not be armed a minute ago."""
    waiting = Booking.objects.filter(next_try_at__lte=now, status=BookingStatus.CONFIRMED).order_by(
        "next_try_at"
    )
    ids = list(waiting.values_list("pk", flat=True)[:BATCH])
    return each_by_itself(ids, lambda pk: _try_again(pk, now))


def rearm(booking: Booking, *, now: datetime) -> None:
    """Send the reservation again: the same id replaces itself at the charger."""
    if is_wanted(booking) and booking.no_show_at() > now and booking.enforcement in AT_CHARGER:
        if _waits_for_another(booking, now):
            set_state(booking, Enforcement.NOT_DUE, now=now)
        else:
            _arm(booking, now)
    elif booking.next_try_at is not None:
        booking.next_try_at = None
        booking.save(update_fields=["next_try_at"])


def disarm(booking: Booking, *, now: datetime) -> None:
    """Take the reservation back from where it may stand. Its caller has locked the booking."""
    evse = booking.armed_evse
    if evse is None:
        return
    if evse.charger is not None:
        depots.queue_command(
            charger=evse.charger,
            action=ChargerCommand.Action.CANCEL_RESERVATION,
            payload={"reservation_id": booking.reservation_id},
            reservation_id=booking.reservation_id,
            now=now,
        )
    booking.armed_evse = None
    booking.save(update_fields=["armed_evse"])


def disarm_later(booking: Booking, *, now: datetime) -> None:
    """Disarm what is armed behind a booking on the same EVSE: a charger keeps one reservation, and the earlier truck
    comes first. The EVSE is locked."""
    if booking.starts_at > now + LONGEST_LEAD:
        return  # nothing that starts later still can be armed yet
    behind = Booking.objects.filter(armed_evse=booking.evse_id, starts_at__gt=booking.starts_at).exclude(
        pk=booking.pk
    )
    found = list(behind.values_list("pk", flat=True))
    for later in lock_bookings(found) if found else []:
        disarm(later, now=now)
        if later.status == BookingStatus.CONFIRMED:
            set_state(later, Enforcement.NOT_DUE, now=now)


def guard(booking: Booking, why: str, *, now: datetime) -> None:
    """A charger that keeps no reservation leaves the slot to the gate, and to what the depot allows beside it. The booking
    and its EVSE are locked; `armed_evse` may be set and not saved."""
    kept = fallbacks.kept_for(booking)
    way = str(kept.way) if kept is not None else fallbacks.way_to_keep(booking, now=now)
    if way and kept is None:
        if way == Fallback.AVAILABILITY:
            disarm(booking, now=now)  # a reservation ends where an EVSE goes out of service
        kept_evses.keep(booking, way, now=now)
    if is_bay_taken(booking):
        _put_at_risk(booking, "occupied", now)
    else:
        set_state(booking, Enforcement.SOFT, why=way or why, now=now, fields=("armed_evse",))


def distrust_liars(*, now: datetime) -> int:
    """What was armed before its charger was seen to keep no reservations is guarded from now on. How many there were."""
    armed = Booking.objects.here().filter(
        status=BookingStatus.CONFIRMED,
        enforcement=Enforcement.ARMED,
        evse__charger__measured__reservation="lies",
    )
    ids = list(armed.order_by("starts_at", "pk").values_list("pk", flat=True)[:BATCH])
    return each_by_itself(ids, lambda pk: _distrust(pk, now))


def _distrust(booking_id: int, now: datetime) -> int:
    booking = lock_booking(booking_id)
    charger = charger_of(booking)
    if booking.enforcement != Enforcement.ARMED or charger is None or not is_wanted(booking):
        return 0
    guard(booking, why_soft(charger), now=now)
    return 1


def why_soft(charger: Charger) -> str:
    """Why its reservations are not relied on, by what was seen of it."""
    if charger.measured.get("reservation") == "lies":
        return "lies"
    return "not_supported" if charger.told.get("reservation") is False else "rejected"


def is_due(booking: Booking, *, now: datetime) -> bool:
    return (
        is_wanted(booking)
        and booking.enforcement == Enforcement.NOT_DUE
        and _is_time(booking, now)
        and charger_of(booking) is not None
    )


def _is_time(booking: Booking, now: datetime) -> bool:
    return booking.terms.due_at(booking.period) <= now < booking.no_show_at()


def _try_again(booking_id: int, now: datetime) -> int:
    booking = lock_booking(booking_id)
    if booking.next_try_at is None or booking.next_try_at > now:
        return 0
    rearm(booking, now=now)
    return 1


def _due(now: datetime) -> list[int]:
    """Ids of what is due. The index of confirmed bookings narrows it to the longest lead in use, their own terms to what is
    due: of a day's bookings only those few are read every second."""
    rows = (
        _unarmed()
        .filter(starts_at__lte=now + _longest_lead(), ends_at__gt=now)
        .filter(
            starts_at__lte=ExpressionWrapper(
                Value(now) + longest_term("arm_lead_min", "early_start_min"), DateTimeField()
            )
        )
        .filter(~Exists(in_front(OuterRef("evse_id"), OuterRef("starts_at"), OuterRef("pk"), now)))
        .order_by("starts_at")
    )
    unarmed = rows.only("starts_at", "ends_at", "arrived_at", "terms_json")
    return [booking.pk for booking in unarmed.iterator() if _is_time(booking, now)]


def _longest_lead() -> timedelta:
    """Of the bookings that are not due yet, read off the end of an index; terms that name none have the usual one."""
    waiting = Booking.objects.filter(status=BookingStatus.CONFIRMED, enforcement=Enforcement.NOT_DUE)
    longest = waiting.aggregate(longest=Max(LEAD_MINUTES))["longest"] or 0
    return timedelta(minutes=max(longest, Terms.arm_lead_min, Terms.early_start_min))


def _unarmed() -> QuerySet[Booking]:
    return Booking.objects.here().filter(
        status=BookingStatus.CONFIRMED, enforcement=Enforcement.NOT_DUE, evse__charger__isnull=False
    )


def in_front(evse_id: Any, starts_at: Any, holder: Any, now: datetime) -> QuerySet[Occupancy]:
    """Spans of others on the EVSE that are not over and come before: until then the door is theirs."""
    return Occupancy.objects.filter(
        evse_id=evse_id, kind=Occupancy.Kind.BOOKING, span__endswith__gt=now, span__startswith__lt=starts_at
    ).exclude(holder=holder)


def behind_others(bookings: Collection[Booking], now: datetime) -> set[int]:
    """Ids of those that wait for another on their EVSE."""
    rows = Booking.objects.filter(pk__in=[booking.pk for booking in bookings]).filter(
        Exists(in_front(OuterRef("evse_id"), OuterRef("starts_at"), OuterRef("pk"), now))
    )
    return set(rows.values_list("pk", flat=True))


def _waits_for_another(booking: Booking, now: datetime) -> bool:
    return in_front(booking.evse_id, booking.starts_at, booking.pk, now).exists()


def _arm_batch(booking_ids: Collection[int], now: datetime) -> int:
    with calendars.one_operation():
        found = Booking.objects.filter(pk__in=booking_ids, evse__isnull=False).order_by()
        evse_ids = {pk for pk in found.values_list("evse_id", flat=True) if pk is not None}
        lock_ids(evse_ids)
        # Looked at again under the locks: moved, cancelled and armed ones fall out.
        locked = lock_bookings(booking_ids, at_hand=["depot", "evse__charger", "fleet"])
        bookings = [b for b in locked if b.evse_id in evse_ids and is_due(b, now=now)]
        waits = behind_others(bookings, now)
        free = [booking for booking in bookings if booking.pk not in waits]
        for booking in reserve_together(free, reservation, now=now):
            _arm(booking, now)
    return len(bookings)


def _arm(booking: Booking, now: datetime) -> None:
    """Send the reservation, or say why that is no use now. What has an answer to wait for is looked at again later."""
    charger = charger_of(booking)
    if charger is None:
        return
    disarm_later(booking, now=now)
    if (session := own_session(booking)) is not None:
        # It would be answered with Occupied, or the truck be sent away from where it stands. `walk_ins` takes it over.
        why = STILL_BEFORE if is_of_another(session, booking) else OWN_VEHICLE
        set_state(booking, Enforcement.DUE, why=why, retry_at=now + RETRY, now=now)
        return
    if why := _unable(booking, charger):
        disarm(booking, now=now)  # what it accepted before stands perhaps
        guard(booking, why, now=now)
        return
    booking.armed_evse = booking.evse
    if not is_online(charger, now=now):
        _put_at_risk(booking, "offline", now)
        return
    depots.queue_command(
        charger=charger,
        action=ChargerCommand.Action.RESERVE,
        payload=reservation(booking, charger, now),
        reservation_id=booking.reservation_id,
        not_after=booking.no_show_at(),
        now=now,
    )
    _await_answer(booking, now)


def _await_answer(booking: Booking, now: datetime) -> None:
    """What is armed stays armed while it is asked for again, what is at risk stays so until the charger has it."""
    if booking.enforcement == Enforcement.ARMED:
        booking.next_try_at = None
        booking.save(update_fields=["armed_evse", "next_try_at"])
    elif booking.enforcement == Enforcement.AT_RISK:
        _put_at_risk(booking, booking.enforcement_why, now)
    else:
        set_state(booking, Enforcement.DUE, retry_at=now + RETRY, now=now, fields=("armed_evse",))


def _put_at_risk(booking: Booking, why: str, now: datetime) -> None:
    retry_at, fields = now + RETRY, ("armed_evse",)
    set_state(booking, Enforcement.AT_RISK, why=why, retry_at=retry_at, now=now, fields=fields)


def _unable(booking: Booking, charger: Charger) -> str:
    """Why asking for a reservation is no use: it says that it has none, and when it was asked it refused; or the EVSE is
    kept in another way, or would be whatever it answers.

    What a charger says of itself is often wrong, and a refusal may be of the moment, so one of both is not enough.
    """
    seen = charger.measured.get("reservation")
    if seen == "refuses" and charger.told.get("reservation") is False:
        return "not_supported"
    if seen == "lies" and fallbacks.way_to_keep(booking, now=booking.starts_at) == Fallback.AVAILABILITY:
        return "lies"
    return why_soft(charger) if fallbacks.kept_for(booking) is not None else ""


def _claim_ends_at(booking: Booking, charger: Charger, now: datetime) -> datetime:
    """No later than a charger was seen to let a reservation stand; it is renewed before that."""
    longest = charger.measured.get("claim_s")
    ends_at = booking.no_show_at()
    return min(ends_at, now + timedelta(seconds=longest)) if isinstance(longest, int) else ends_at


def reservation(
    booking: Booking,
    charger: Charger,
    now: datetime,
    usable: Mapping[tuple[int, str], bool] | None = None,
) -> dict[str, Any]:
    """ReserveNow names one token and a group; every entitled token is answered with that group (gate.py)."""
    assert booking.evse is not None
    name, kind = token_for(booking, charger, usable)
    return {
        "reservation_id": booking.reservation_id,
        "evse": booking.evse.number,
        "token": name,
        "token_type": kind,
        "group": booking.group,
        "expires_at": utc_text(_claim_ends_at(booking, charger, now)),
    }
