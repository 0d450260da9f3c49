"""Every answer of a charger to a reservation has a defined next step."""

from __future__ import annotations

from datetime import datetime, timedelta

from bookings.core.locking import lock_bookings
from bookings.enforcement.arming import disarm, guard, why_soft
from bookings.enforcement.fallbacks import take_fallback_answer
from bookings.enforcement.occupants import is_bay_taken
from bookings.enforcement.rescue import swap
from bookings.enforcement.state import AT_CHARGER, RETRY, is_wanted, set_state
from bookings.models import Booking, Enforcement
from depots.models import ChargerCommand, Evse

SOFT_ANSWERS = {"rejected", "not_supported"}
BROKEN_ANSWERS = {"faulted", "unavailable"}
# Somebody may charge there.
BUSY = {Evse.Status.OCCUPIED, Evse.Status.CHARGING}
# A claim that a charger caps is renewed so long before its end.
RENEW_BEFORE = timedelta(seconds=30)


def take_reservation_answer(command: ChargerCommand, *, now: datetime) -> None:
    """What becomes of the booking a settled `reserve` was for. Runs in the transaction that settles the command."""
    if command.action != ChargerCommand.Action.RESERVE or command.reservation_id is None:
        return
    # The EVSEs of the charger are locked, so a booking comes here or leaves only before or after; one that stands
    # elsewhere is not looked for there, against the order of locks.
    booking = next(iter(lock_bookings([command.reservation_id])), None)
    if booking is None:
        return
    at_this_charger = booking.evse is not None and booking.evse.charger_id == command.charger_id
    is_its_evse = at_this_charger and booking.evse.number == command.payload.get("evse")  # type: ignore[union-attr]
    # One that has been put back to "not due" since waits for the booking before it: the door is not its own yet.
    if not (is_wanted(booking) and is_its_evse and booking.enforcement in AT_CHARGER):
        _take_back(booking, command, now)
    elif command.state == ChargerCommand.State.UNCLEAR:
        # It may stand; the same id is sent again by the queue.
        set_state(booking, Enforcement.AT_RISK, why="no_answer", retry_at=now + RETRY, now=now)
    elif command.state == ChargerCommand.State.ANSWERED:
        is_kept = command.charger.measured.get("reservation") != "lies"
        _take(booking, command.answer, now, is_kept=is_kept, renew_at=renew_at(booking, command))


def take_keeping_answer(command: ChargerCommand, *, now: datetime) -> None:
    """The same of what keeps an EVSE instead: where the charger will not, the next way is tried. Runs there, too."""
    refused = take_fallback_answer(command, now=now)
    if refused is None or not is_wanted(refused.booking) or refused.booking.evse_id != refused.evse_id:
        return
    if refused.booking.enforcement in {Enforcement.SOFT, Enforcement.AT_RISK}:
        guard(refused.booking, why_soft(command.charger), now=now)


def renew_at(booking: Booking, command: ChargerCommand) -> datetime | None:
    """Of a reservation that ends before its truck may come for the last time: the same id with a later end."""
    ends_at = datetime.fromisoformat(command.payload["expires_at"])
    return ends_at - RENEW_BEFORE if ends_at < booking.no_show_at() else None


def _take(
    booking: Booking, answer: str, now: datetime, *, is_kept: bool, renew_at: datetime | None = None
) -> None:
    if answer == "accepted":
        # It stands there and has to be taken back in the end, even where the door is ours to watch. The refusal of an
        # older command may have said otherwise.
        booking.armed_evse = booking.evse
        if _is_used_by_another(booking):
            set_state(
                booking,
                Enforcement.AT_RISK,
                why="occupied",
                retry_at=now + RETRY,
                now=now,
                fields=("armed_evse",),
            )
        elif is_kept:
            set_state(booking, Enforcement.ARMED, retry_at=renew_at, now=now, fields=("armed_evse",))
        else:
            guard(booking, "lies", now=now)
    elif answer in SOFT_ANSWERS and is_bay_taken(booking):
        # Some chargers have no other word for a plug that is in use.
        set_state(booking, Enforcement.AT_RISK, why="occupied", retry_at=now + RETRY, now=now)
    elif answer in SOFT_ANSWERS:
        booking.armed_evse = None
        guard(booking, answer, now=now)
    else:
        why = answer if answer in {"occupied", *BROKEN_ANSWERS} else "error"
        set_state(booking, Enforcement.AT_RISK, why=why, retry_at=now + RETRY, now=now)
        if answer == "faulted":
            swap(booking, now=now)


def _is_used_by_another(booking: Booking) -> bool:
    """Some chargers accept a reservation where somebody charges."""
    return booking.evse is not None and booking.evse.status in BUSY and is_bay_taken(booking)


def _take_back(booking: Booking, command: ChargerCommand, now: datetime) -> None:
    """Accepted, or perhaps accepted, for a booking that is over or elsewhere by now: nobody may be kept out for it."""
    stands = command.answer == "accepted" or command.state == ChargerCommand.State.UNCLEAR
    if not stands or booking.status == "charging":
        return
    elsewhere = booking.armed_evse
    booking.armed_evse = command.charger.evses.filter(number=command.payload.get("evse")).first()
    disarm(booking, now=now)
    if elsewhere is not None and elsewhere.charger_id != command.charger_id:
        booking.armed_evse = elsewhere
        booking.save(update_fields=["armed_evse"])
