"""Starting and stopping a booking's charging from afar. The charger answers later: `take_remote_answer` keeps what it said."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from bookings.actors import Actor, ActorKind
from bookings.core import calendars, lifecycle
from bookings.core.locking import lock_booking, lock_bookings
from bookings.core.versions import SEEN_WHOLE, check_version
from bookings.errors import ChargerOffline, NotYetStartable, WrongStatus
from bookings.models import Booking, BookingStatus, KeptEvse
from bookings.operations import kept_evses
from bookings.rules.identification import token_for
from bookings.rules.own_slots import session_under_way
from depots import operations as depots
from depots.models import Charger, ChargerCommand
from depots.queries import is_online

Action = ChargerCommand.Action
State = ChargerCommand.State

# A driver who waits beside the truck; what a charger did not get by then it need not do any more.
WAITS = timedelta(seconds=35)
EVENT = {Action.REMOTE_START: "remote_start", Action.REMOTE_STOP: "remote_stop"}


def start_remotely(
    *, booking_id: int, seen_version: int | None = None, actor: Actor, now: datetime
) -> ChargerCommand:
    """Ask the charger to begin charging for the booking, with one of its tokens that fits, else its secret.

    Once more while the charger has not answered is the same command. Raises WrongStatus, NotYetStartable, ChargerOffline,
    or ChangedMeanwhile when it is another place, time or vehicle than in `seen_version`.
    """
    with calendars.one_operation():
        booking = lock_booking(booking_id)
        why_not_start(booking, now=now)
        check_version(booking, seen_version, SEEN_WHOLE)
        charger = _charger(booking, now)
        assert booking.evse is not None
        name, kind = token_for(booking, charger)
        payload = {
            "evse": booking.evse.number, "token": name, "token_type": kind, "group": booking.group,
            "reservation_id": booking.reservation_id,
        }  # fmt: skip
        was_kept = kept_evses.give_back(booking, KeptEvse.Why.ARRIVED, now=now, actor=actor)
        opens_at = now + kept_evses.OPENS_WITHIN if was_kept else None
        return _send(booking, charger, Action.REMOTE_START, payload, actor, now, not_before=opens_at)


def stop_remotely(
    *, booking_id: int, seen_version: int | None = None, actor: Actor, now: datetime
) -> ChargerCommand:
    """Ask the charger to end the session that uses the booking. Raises WrongStatus, ChargerOffline, ChangedMeanwhile."""
    with calendars.one_operation():
        booking = lock_booking(booking_id)
        session = session_under_way(booking)
        if session is None:
            raise WrongStatus(booking.status, "stopped", "Nothing is charging for this booking now.")
        check_version(booking, seen_version, SEEN_WHOLE)
        if not is_online(session.charger, now=now):
            raise ChargerOffline
        payload = {"transaction": session.transaction}
        return _send(booking, session.charger, Action.REMOTE_STOP, payload, actor, now)


def why_not_start(booking: Booking, *, now: datetime) -> None:
    """Raises WrongStatus or NotYetStartable where there is nothing to start."""
    startable = booking.status == BookingStatus.CONFIRMED or (
        booking.status == BookingStatus.CHARGING and session_under_way(booking) is None
    )
    if not booking.is_ours or not startable or now >= booking.ends_at:
        status = booking.get_status_display().lower()
        raise WrongStatus(booking.status, "started", f"A booking that is {status} cannot be started.")
    if now < booking.starts_at - booking.terms.early_start:
        raise NotYetStartable


def take_remote_answer(command: ChargerCommand, *, now: datetime) -> None:
    """Keep in the history how a start or stop from afar went. Runs in the transaction that settles the command."""
    kind = EVENT.get(Action(command.action))
    if kind is None or command.reservation_id is None:
        return
    for booking in lock_bookings([command.reservation_id]):
        after = command.answer if command.state == State.ANSWERED else "no_answer"
        detail = {"command": command.pk, "text": command.answer_text[:200]}
        lifecycle.record(
            booking,
            kind=kind,
            step=("", after[:20]),
            actor=Actor.charger(command.charger),
            at=now,
            detail=detail,
        )


def _charger(booking: Booking, now: datetime) -> Charger:
    charger = booking.evse.charger if booking.evse is not None else None
    if charger is None or not is_online(charger, now=now):
        raise ChargerOffline
    return charger


def _send(
    booking: Booking,
    charger: Charger,
    action: str,
    payload: dict[str, Any],
    actor: Actor,
    now: datetime,
    *,
    not_before: datetime | None = None,
) -> ChargerCommand:
    waiting = charger.commands.filter(
        action=action, reservation_id=booking.reservation_id, state__in=[State.QUEUED, State.SENT],
        created_at__gt=now - WAITS,
    )  # fmt: skip
    if (known := waiting.order_by("-id").first()) is not None:
        return known
    command = depots.queue_command(
        charger=charger, action=action, payload=payload, reservation_id=booking.reservation_id,
        asked_by=_asked_by(actor), not_before=not_before, not_after=now + WAITS, now=now,
    )  # fmt: skip
    detail = {"command": command.pk, "evse": booking.evse.uid if booking.evse else None}
    lifecycle.record(
        booking, kind=EVENT[Action(action)], step=("", "asked"), actor=actor, at=now, detail=detail
    )
    return command


def _asked_by(actor: Actor) -> str:
    """On the page of the charger stand the depot's own people; those of fleets are no business of the depot's."""
    return actor.name if actor.kind == ActorKind.MANAGER else ""
