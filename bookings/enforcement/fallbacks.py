"""Which other way an EVSE is kept whose charger keeps no reservation, and how long (docs/decisions/0085).

Never together with a reservation, which ends where an EVSE goes out of service; never for a charger as a whole.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from django.db.models import QuerySet

from bookings.actors import Actor
from bookings.core.locking import lock_booking, lock_bookings
from bookings.core.one_by_one import each_by_itself
from bookings.enforcement.occupants import session_in_bay
from bookings.enforcement.state import AT_CHARGER, is_wanted
from bookings.errors import BookingError
from bookings.models import Booking, KeptEvse
from bookings.operations import kept_evses, start_remotely
from bookings.rules.identification import identify
from bookings.rules.own_slots import is_own
from depots.models import Charger, ChargerCommand, Evse, Fallback
from depots.operations import measure
from depots.queries import is_online

Action = ChargerCommand.Action
State, Why = KeptEvse.State, KeptEvse.Why

# From strong to weak.
WAYS = (Fallback.AVAILABILITY, Fallback.PROFILE_0)
# What a charger has not shown to be back in service by then it will not show at all.
SHOWS_WITHIN = timedelta(minutes=1)
# Answers after which it stands, or stands no more.
DONE = {"accepted", "scheduled"}
GONE = {"accepted", "scheduled", "unknown"}
KEPT_BY = {
    Action.AVAILABILITY: Fallback.AVAILABILITY,
    Action.SET_CHARGING_PROFILE: Fallback.PROFILE_0,
    Action.CLEAR_CHARGING_PROFILE: Fallback.PROFILE_0,
}


def way_to_keep(booking: Booking, *, now: datetime) -> str:
    """The strongest way to keep the EVSE of a locked booking that its depot allows and that its charger has not refused;
    empty where there is none."""
    ways = [way for way in WAYS if way in booking.depot.fallbacks]
    if not ways or not _may_keep(booking, now):
        return ""
    tried = KeptEvse.objects.filter(booking=booking, evse=booking.evse_id, over_at__isnull=False)
    in_vain = {kept.way for kept in tried if kept.why in {Why.REFUSED, Why.MANAGER, Why.BY_HAND}}
    if Why.ARRIVED in {kept.why for kept in tried}:
        return ""  # its driver stands there
    for way in ways:
        if way not in in_vain and _takes(booking, way, now):
            return str(way)
    return ""


def kept_for(booking: Booking) -> KeptEvse | None:
    """What keeps the EVSE for the booking now, beside or instead of a reservation."""
    if not booking.depot.fallbacks and (booking.evse is None or booking.evse.kept_for is None):
        return None
    rows = booking.kept_evses.filter(evse=booking.evse_id, over_at__isnull=True, state__in=KeptEvse.KEEPING)
    return rows.select_related("charger").first()


def take_fallback_answer(command: ChargerCommand, *, now: datetime) -> KeptEvse | None:
    """What becomes of a kept EVSE once its command is settled; given where the charger will not keep it this way. The
    EVSEs of the charger are locked. A command by hand decides about what is kept there as well."""
    way = KEPT_BY.get(Action(command.action))
    if way is None:
        return None
    if command.reservation_id is None:
        _follow_hand(command, now)
        return None
    booking = next(iter(lock_bookings([command.reservation_id])), None)
    if booking is None:
        return None
    rows = booking.kept_evses.filter(charger=command.charger_id, way=way, over_at__isnull=True)
    kept = rows.select_related("charger", "evse").first()
    if kept is None or command.state != ChargerCommand.State.ANSWERED:
        return None  # a lost answer is asked for again by `follow_kept_evses`
    kept.booking = booking
    is_lifting = command.action == Action.CLEAR_CHARGING_PROFILE or command.payload.get("operative") is True
    if is_lifting:
        _take_lift(kept, command.answer, now)
    elif kept.state == State.ASKED:
        return _take_keep(kept, command.answer, now)
    return None


def follow_status(evse: Evse, *, now: datetime) -> None:
    """An EVSE that was given back says something else than out of service; one that is to be kept says that it is not. The
    EVSE is locked."""
    if evse.kept_for is None or evse.status == Evse.Status.UNAVAILABLE:
        return
    for kept in _open().filter(evse=evse.pk):
        lock_bookings([kept.booking_id])
        kept.refresh_from_db(fields=["state", "next_try_at"])
        if kept.state == State.LIFTED:
            kept_evses.close(kept, now=now)
        elif kept.state == State.STANDING and evse.status == Evse.Status.AVAILABLE and _is_closed(kept):
            kept_evses.tell(kept, now=now)  # it forgot


def resend(charger: Charger, *, now: datetime) -> None:
    """It has come back or started again: what it keeps is unknown. Its EVSEs are locked."""
    for kept in _open().filter(charger=charger).exclude(state=State.LIFTED):
        kept_evses.tell(kept, now=now)


def follow_kept_evses(*, now: datetime) -> int:
    """Give back what is kept for nobody or too long, and say again what was not answered. How many there were."""
    due = [kept.pk for kept in _open() if _is_due(kept, now)]
    return each_by_itself(due, lambda pk: _follow_kept_evse(pk, now))


def token_presented(charger: Charger, token_uid: str, *, now: datetime) -> None:
    """Open what is kept for whoever shows a card at a charger of the depot, and start there. Nobody is locked yet."""
    for booking_id in _holders(charger, token_uid, now):
        with suppress(BookingError):  # over, or somebody was faster
            start_remotely(booking_id=booking_id, actor=Actor.charger(charger), now=now)


def _holders(charger: Charger, token_uid: str, now: datetime) -> list[int]:
    """Bookings whose EVSE is kept and one of whose working cards was shown at a charger of the depot: the truck is there."""
    if not charger.depot.fallbacks:
        return []
    kept = _open().filter(evse__depot=charger.depot_id, state__in=KeptEvse.KEEPING)
    awaited = [each.booking for each in kept if _may_come(each.booking, now)]
    if not awaited:
        return []
    presented = identify(token_uid)
    return [b.pk for b in awaited if any(presented.opens(named, b) for named in b.tokens.all())]


def _may_keep(booking: Booking, now: datetime) -> bool:
    """Not what the booking's own truck, come early, charges at."""
    charger = booking.evse.charger if booking.evse is not None else None
    if charger is None or not is_online(charger, now=now):
        return False
    session = session_in_bay(booking)
    return session is None or not is_own(session, booking)


def _takes(booking: Booking, way: str, now: datetime) -> bool:
    assert booking.evse is not None
    assert booking.evse.charger is not None
    if way == Fallback.AVAILABILITY:
        return True
    # A default profile holds for a transaction that runs, too.
    can = booking.evse.charger.told.get("smart_charging") is not False
    return can and now < booking.starts_at and session_in_bay(booking) is None


def _take_keep(kept: KeptEvse, answer: str, now: datetime) -> KeptEvse | None:
    if kept.way == Fallback.AVAILABILITY:
        seen = "works" if answer in DONE else "refuses"
        measure(kept.charger, "availability", seen, evidence=f"{kept.evse.uid} kept for a booking", now=now)
    if answer in DONE:
        kept.state, kept.next_try_at = State.STANDING, None
        kept.save(update_fields=["state", "next_try_at"])
        return None
    kept_evses.close(kept, why=Why.REFUSED, now=now)
    kept_evses.record(kept, Why.REFUSED, now=now)
    return kept


def _take_lift(kept: KeptEvse, answer: str, now: datetime) -> None:
    if kept.state != State.LIFTING or answer not in GONE:
        return
    if _is_closed(kept) and kept.evse.status == Evse.Status.UNAVAILABLE:
        kept.state, kept.next_try_at = State.LIFTED, now + SHOWS_WITHIN
        kept.save(update_fields=["state", "next_try_at"])
    else:
        kept_evses.close(kept, now=now)


def _follow_hand(command: ChargerCommand, now: datetime) -> None:
    """Who sets an EVSE in or out of service by hand has the last word."""
    if command.action != Action.AVAILABILITY or command.answer not in DONE:
        return
    number = command.payload.get("evse")
    rows = _open().filter(charger=command.charger_id, way=Fallback.AVAILABILITY)
    for kept in rows.filter(number=number) if number else rows:
        lock_bookings([kept.booking_id])
        kept_evses.close(kept, why=Why.BY_HAND, now=now)


def _follow_kept_evse(kept_id: int, now: datetime) -> int:
    seen = KeptEvse.objects.get(pk=kept_id)
    booking = lock_booking(seen.booking_id, also=[seen.evse_id])
    kept = _open().filter(pk=kept_id).first()
    if kept is None or not _is_due(kept, now):
        return 0
    kept.booking = booking
    if kept.state == State.LIFTED:
        kept_evses.close(kept, now=now)
    elif why := _why_lift(kept, now):
        kept_evses.lift(kept, why, now=now)
    else:
        kept_evses.tell(kept, now=now)
    return 1


def _is_due(kept: KeptEvse, now: datetime) -> bool:
    if kept.is_keeping and _why_lift(kept, now):
        return True
    is_late = kept.next_try_at is not None and kept.next_try_at <= now
    return is_late and (kept.state == State.LIFTED or is_online(kept.charger, now=now))


def _why_lift(kept: KeptEvse, now: datetime) -> str:
    if not kept.is_keeping:
        return ""
    booking = kept.booking
    if not is_wanted(booking) or booking.evse_id != kept.evse_id or booking.enforcement not in AT_CHARGER:
        return Why.ENDED
    if kept.way not in booking.depot.fallbacks:
        return Why.NOT_ALLOWED
    if kept.way == Fallback.PROFILE_0 and now >= booking.starts_at:
        return Why.BEGUN
    return ""


def _may_come(booking: Booking, now: datetime) -> bool:
    return is_wanted(booking) and booking.starts_at - booking.terms.early_start <= now < booking.ends_at


def _open() -> QuerySet[KeptEvse]:
    rows = KeptEvse.objects.filter(over_at__isnull=True)
    return rows.select_related("booking__depot", "booking__fleet", "evse", "charger")


def _is_closed(kept: KeptEvse) -> bool:
    return kept.way == Fallback.AVAILABILITY
