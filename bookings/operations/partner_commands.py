"""Charging at a partner's depot started, stopped and limited, its plug unlocked, its charger kept: the partner is asked, and
tells later what its charger did."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from bookings.actors import Actor
from bookings.core import calendars, lifecycle
from bookings.core.locking import lock_booking
from bookings.core.versions import SEEN_WHOLE, check_version
from bookings.errors import NotAtPartner, NotYetStartable, WrongStatus
from bookings.models import Booking, BookingStatus, PartnerCommand, RemoteSession, SessionStatus
from bookings.signals import partner_commanded

State, Kind = PartnerCommand.State, PartnerCommand.Kind
LIMITS = frozenset({Kind.LIMIT, Kind.LIFT_LIMIT})
# As long as the partner has not said how long it takes.
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=5)


def start_at_partner(
    *, booking_id: int, seen_version: int | None = None, actor: Actor, now: datetime
) -> PartnerCommand:
    """Have the partner begin charging for a booking at its depot. Once more while it has not answered is the same command.
    Raises NotAtPartner, WrongStatus, NotYetStartable, ChangedMeanwhile."""
    with calendars.one_operation():
        booking = _locked(booking_id, seen_version)
        why_not_start_there(booking, now=now)
        return _command(booking, Kind.START, "", actor, now)


def stop_at_partner(
    *, booking_id: int, seen_version: int | None = None, actor: Actor, now: datetime
) -> PartnerCommand:
    """Have the partner end the session of a booking at its depot. Raises NotAtPartner, WrongStatus, ChangedMeanwhile."""
    return _of_session(Kind.STOP, booking_id, seen_version, actor, now)


def unlock_at_partner(
    *, booking_id: int, seen_version: int | None = None, actor: Actor, now: datetime
) -> PartnerCommand:
    """Have the partner unlock the plug that was charged with last. Raises NotAtPartner, WrongStatus, ChangedMeanwhile."""
    with calendars.one_operation():
        booking = _locked(booking_id, seen_version)
        session = plug_there(booking)
        if session is None:
            raise WrongStatus(
                booking.status, "unlocked", "The partner has told of no plug that was charged with."
            )
        return _command(booking, Kind.UNLOCK, session.remote_id, actor, now)


def limit_at_partner(
    *, booking_id: int, watts: int, seen_version: int | None = None, actor: Actor, now: datetime
) -> PartnerCommand:
    """Have the partner give the session there no more than so much. Raises as `stop_at_partner`."""
    return _of_session(Kind.LIMIT, booking_id, seen_version, actor, now, power_w=watts)


def lift_limit_at_partner(
    *, booking_id: int, seen_version: int | None = None, actor: Actor, now: datetime
) -> PartnerCommand:
    """Raises as `stop_at_partner`."""
    return _of_session(Kind.LIFT_LIMIT, booking_id, seen_version, actor, now)


def show_limit_at_partner(
    *, booking_id: int, seen_version: int | None = None, actor: Actor, now: datetime
) -> PartnerCommand:
    """Ask what the session there may take. Raises as `stop_at_partner`."""
    return _of_session(Kind.SHOW_LIMIT, booking_id, seen_version, actor, now)


def reserve_at_partner(
    *, booking_id: int, reservation: str, expires_at: datetime, actor: Actor, now: datetime
) -> PartnerCommand:
    """Have the partner keep its charger from now on for a booking by best effort. The same `reservation` again replaces it.
    Raises NotAtPartner."""
    with calendars.one_operation():
        booking = _locked(booking_id, None)
        kept = {"reservation": reservation, "expires_at": expires_at}
        return _command(booking, PartnerCommand.Kind.RESERVE, "", actor, now, kept)


def give_back_at_partner(*, booking_id: int, reservation: str, actor: Actor, now: datetime) -> PartnerCommand:
    """The charger need not be kept any longer. Raises NotAtPartner."""
    with calendars.one_operation():
        booking = _locked(booking_id, None)
        return _command(booking, PartnerCommand.Kind.GIVE_BACK, "", actor, now, {"reservation": reservation})


def why_not_start_there(booking: Booking, *, now: datetime) -> None:
    """Raises WrongStatus or NotYetStartable where there is nothing to start."""
    if (
        booking.status not in {BookingStatus.CONFIRMED, BookingStatus.CHARGING}
        or now >= booking.ends_at
        or session_there(booking)
    ):
        status = booking.get_status_display().lower()
        raise WrongStatus(booking.status, "started", f"A booking that is {status} cannot be started.")
    if now < booking.starts_at - booking.terms.early_start:
        raise NotYetStartable


def session_there(booking: Booking) -> RemoteSession | None:
    """The session that uses the booking now; None where none is known."""
    running = booking.remote_sessions.filter(status__in=[SessionStatus.CHARGING, SessionStatus.WAITING])
    return running.order_by("-started_at").first()


def plug_there(booking: Booking) -> RemoteSession | None:
    """The session whose plug may be locked still: the newest there of which the partner told the plug."""
    told = booking.remote_sessions.exclude(evse_uid="").exclude(connector_id="")
    return told.order_by("-started_at").first()


def take_response(
    *, command_id: int, is_taken: bool, text: str = "", waits: timedelta = FIRST_WAIT, now: datetime
) -> PartnerCommand:
    """The partner has passed it on to its charger, or will not. One that is decided stays so: its result may come first."""
    with calendars.one_operation():
        command = _waiting(command_id)
        if command.state == State.ASKED and is_taken:
            command.state, command.answer_by = State.TAKEN, now + min(waits, LONGEST_WAIT)
            command.save(update_fields=["state", "answer_by"])
        elif command.state == State.ASKED:
            _decide(command, State.REFUSED, text, now)
    return command


def take_result(
    *, command_id: int, is_done: bool, text: str = "", allowed: dict[str, Any] | None = None, now: datetime
) -> PartnerCommand:
    """What the partner's charger answered. What comes after nobody waited any more, or twice, changes nothing. `allowed` is
    what the session may take, as RemoteSession has it."""
    with calendars.one_operation():
        command = _waiting(command_id)
        if command.state in PartnerCommand.WAITING:
            _decide(command, State.DONE if is_done else State.REFUSED, text, now)
            if is_done:
                _take_over(command, allowed)
    return command


def give_up_waiting(*, command_id: int, text: str = "", now: datetime) -> PartnerCommand:
    """Nothing came, or nobody was reached."""
    with calendars.one_operation():
        command = _waiting(command_id)
        if command.state in PartnerCommand.WAITING:
            _decide(command, State.NO_ANSWER, text, now)
    return command


def _locked(booking_id: int, seen_version: int | None) -> Booking:
    booking = lock_booking(booking_id)
    if booking.is_ours:
        raise NotAtPartner("The booking is at a depot of ours.")
    check_version(booking, seen_version, SEEN_WHOLE)
    return booking


def _of_session(
    kind: str, booking_id: int, seen_version: int | None, actor: Actor, now: datetime, power_w: int | None = None
) -> PartnerCommand:  # fmt: skip
    with calendars.one_operation():
        booking = _locked(booking_id, seen_version)
        session = session_there(booking)
        if session is None:
            done = "stopped" if kind == Kind.STOP else "limited"
            raise WrongStatus(booking.status, done, "The partner has told of nothing that charges now.")
        return _command(booking, kind, session.remote_id, actor, now, {"power_w": power_w})


def _take_over(command: PartnerCommand, allowed: dict[str, Any] | None) -> None:
    """What the session there is by what was done."""
    changes: dict[str, Any] = {} if allowed is None else {"allowed": allowed}
    if command.kind in LIMITS:
        changes["limit_w"] = command.power_w
    if changes:
        command.booking.remote_sessions.filter(remote_id=command.remote_session).update(**changes)


def _command(
    booking: Booking,
    kind: str,
    session: str,
    actor: Actor,
    now: datetime,
    kept: Mapping[str, Any] = MappingProxyType({}),
) -> PartnerCommand:
    # Of two about one limit the later might arrive first. Reservations are several.
    kinds = LIMITS if kind in LIMITS else {kind}
    waiting = booking.partner_commands.filter(kind__in=kinds, state__in=PartnerCommand.WAITING)
    known = waiting.filter(reservation=kept.get("reservation", "")).first()
    if known is not None and known.is_waited_for(now):
        if (known.kind, known.power_w) != (kind, kept.get("power_w")):
            raise WrongStatus(
                booking.status, "limited", "The partner has not answered to the last limit yet."
            )
        return known
    if known is not None:
        _decide(known, State.NO_ANSWER, "", now)
    command = PartnerCommand.objects.create(
        booking=booking,
        kind=kind,
        remote_session=session,
        key=secrets.token_urlsafe(32),
        asked_at=now,
        answer_by=now + FIRST_WAIT,
        **actor.columns("asked_by"),
        **kept,
    )
    if kind != Kind.SHOW_LIMIT:
        lifecycle.record(
            booking, kind=kind, step=("", "asked"), actor=actor, at=now, detail=_detail(command, "")
        )
    partner_commanded.send(sender=PartnerCommand, command=command, at=now)
    return command


def _waiting(command_id: int) -> PartnerCommand:
    """Locked, with its booking locked before it."""
    known = PartnerCommand.objects.get(pk=command_id)
    booking = lock_booking(known.booking_id)
    command = PartnerCommand.objects.select_for_update(no_key=True).get(pk=command_id)
    command.booking = booking
    return command


def _decide(command: PartnerCommand, state: str, text: str, now: datetime) -> None:
    command.state, command.text, command.answered_at = state, text[:200], now
    command.save(update_fields=["state", "text", "answered_at"])
    if command.kind == Kind.SHOW_LIMIT:
        return
    operator = command.booking.depot.operator
    partner = Actor.partner(operator.country_code, operator.cpo_party_id)
    lifecycle.record(
        command.booking,
        kind=command.kind,
        step=("", state),
        actor=partner,
        at=now,
        detail=_detail(command, text),
    )


def _detail(command: PartnerCommand, text: str) -> dict[str, Any]:
    said = {"text": text[:200]} if text or command.state != State.ASKED else {}
    return said | ({"limit_kw": command.power_w / 1000} if command.power_w is not None else {})
