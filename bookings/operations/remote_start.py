"""Starting and stopping a booking's charging from afar. The charger answers later: `take_remote_answer` keeps what it said."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from bookings.actors import Actor, ActorKind
from bookings.core import calendars, lifecycle, occupancy
from bookings.core.constraints import violation_raises
from bookings.core.locking import lock_booking, lock_bookings
from bookings.core.versions import SEEN_WHOLE, check_version
from bookings.errors import (
    ChargerOffline,
    EvseInUse,
    EvseUnknown,
    NotYetStartable,
    TokenElsewhere,
    WrongStatus,
)
from bookings.models import Booking, BookingStatus, KeptEvse
from bookings.operations import kept_evses
from bookings.rules.entitlement import TokenName, carried
from bookings.rules.identification import token_for
from bookings.rules.left_evses import was_just_at
from bookings.rules.own_slots import is_own, session_at, session_under_way
from depots import operations as depots
from depots.models import Charger, ChargerCommand, Evse
from depots.periods import Period
from depots.queries import is_online
from depots.token_numbers import LONGEST_TAG, on_the_wire

Action = ChargerCommand.Action
State = ChargerCommand.State

# A driver who waits beside the truck; what a charger did not get by then it need not do any more.
WAITS = timedelta(seconds=35)
EVENT = {Action.REMOTE_START: "remote_start", Action.REMOTE_STOP: "remote_stop"}


def start_remotely(
    *,
    booking_id: int,
    left_evse: Evse | None = None,
    with_token: TokenName | None = None,
    seen_version: int | None = None,
    actor: Actor,
    now: datetime,
) -> ChargerCommand:
    """Ask the charger to begin charging for the booking, `with_token` of its own or one of its tokens that fits, else its
    secret. `left_evse`: the truck stands at the one that the booking has just been moved away from.

    Once more while the charger has not answered is the same command. Raises WrongStatus, NotYetStartable, EvseInUse,
    ChargerOffline, EvseUnknown, TokenElsewhere, or ChangedMeanwhile when it is another place, time or vehicle than in
    `seen_version`.
    """
    with calendars.one_operation():
        booking = lock_booking(booking_id, also=[left_evse.pk] if left_evse else [])
        _check_startable(booking, now)
        check_version(booking, seen_version, SEEN_WHOLE)
        evse = _evse_to_start(booking, left_evse, now)
        _check_free(booking, evse.pk)
        charger = _online(evse.charger, now)
        if with_token is not None and not booking.tokens.exists():
            _give_token(booking, with_token)
        name, kind = _token(booking, charger, with_token)
        payload = {
            "evse": evse.number, "token": name, "token_type": kind, "group": booking.group,
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
        _online(session.charger, now)
        payload = {"transaction": session.transaction}
        return _send(booking, session.charger, Action.REMOTE_STOP, payload, actor, now)


def why_not_start(booking: Booking, *, now: datetime) -> None:
    """Raises WrongStatus or NotYetStartable where there is nothing to start, EvseInUse where somebody charges at its EVSE."""
    _check_startable(booking, now)
    if booking.evse_id is not None:
        _check_free(booking, booking.evse_id)


def _check_free(booking: Booking, evse_id: int) -> None:
    """A charger would answer no, or begin a second session beside the first."""
    session = session_at(evse_id)
    if session is None:
        return
    if is_own(session, booking):
        raise EvseInUse("Its vehicle charges there already.")
    raise EvseInUse("Another vehicle is charging at the EVSE.")


def _check_startable(booking: Booking, now: datetime) -> None:
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


def _evse_to_start(booking: Booking, left_evse: Evse | None, now: datetime) -> Evse:
    """Its own, or for a while the one it was moved away from. Raises EvseUnknown."""
    if booking.evse is None:
        raise ChargerOffline
    if left_evse is None or left_evse.pk == booking.evse_id:
        return booking.evse
    if not was_just_at(booking, left_evse, now=now):
        raise EvseUnknown(f"The booking is at EVSE {booking.evse.uid}.")
    if occupancy.others_in(left_evse.pk, Period(now, booking.ends_at), holder=booking.pk):
        raise EvseUnknown(f"EVSE {left_evse.uid} is taken; the booking is at EVSE {booking.evse.uid}.")
    return left_evse


def _give_token(booking: Booking, named: TokenName) -> None:
    """A booking that names no token has the one that its eMSP starts it with from then on. Raises TokenElsewhere."""
    tokens = carried([named], booking.fleet, (booking.customer_country, booking.customer_party))
    occupancy.queue_to_claim(booking.terms, tokens, [])
    with (
        violation_raises({"claim_token_once": TokenElsewhere("The token is booked elsewhere at that time.")}),
        transaction.atomic(),
    ):
        occupancy.claim(booking, tokens)
    for token in tokens:
        token.booking = booking
        token.save()


def _token(booking: Booking, charger: Charger, asked: TokenName | None) -> tuple[str, str]:
    """(name, kind) at this charger. One that is asked for is among the booking's tokens."""
    if asked is not None and asked.uid:
        name = on_the_wire(asked.uid, asked.type, is_1_6=charger.speaks_1_6)
        if not charger.speaks_1_6 or len(name) <= LONGEST_TAG:
            return name, asked.type
    return token_for(booking, charger)


def _online(charger: Charger | None, now: datetime) -> Charger:
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
