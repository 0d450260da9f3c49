"""What a dispatcher may have a partner do with the session of a booking at its depot: limit its power, unlock its plug."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bookings.models import Booking, BookingStatus, PartnerCommand, RemoteSession
from bookings.operations.partner_commands import plug_there, session_there
from bookings.pages import access
from bookings.pages.remote_control import SHOWN_FOR
from bookings.partner_control import offered
from depots.templatetags.berth import kilowatts

Kind, State = PartnerCommand.Kind, PartnerCommand.State
DONE_WORDS = {
    Kind.LIMIT: "The partner's charger keeps the limit.",
    Kind.LIFT_LIMIT: "The limit is lifted.",
    Kind.SHOW_LIMIT: "The partner has said what it may take.",
    Kind.UNLOCK: "The plug is unlocked.",
}


@dataclass(frozen=True)
class PartnerSession:
    """`session` is the one that charges now, whose power may be limited where `takes_limits`. `may_take` is in words what the
    partner said it may take now and later; `state` and `words` say how the last ask went, as remote_control.Remote has them."""

    session: RemoteSession | None
    takes_limits: bool
    unlocks: bool
    may_take: list[str]
    state: str = ""
    words: str = ""


def partner_session(user: access.Person, booking: Booking, *, now: datetime) -> PartnerSession | None:
    """None for who may not, and where there is nothing to ask for."""
    live = {BookingStatus.CONFIRMED, BookingStatus.CHARGING, BookingStatus.COMPLETED}
    is_dispatcher = booking.fleet_id in access.fleets_booked_for(user)
    if (
        booking.is_ours
        or booking.status not in live
        or now >= booking.ends_at + SHOWN_FOR
        or not is_dispatcher
    ):
        return None
    kinds, plug = offered(booking), plug_there(booking)
    session = session_there(booking)
    takes_limits = session is not None and Kind.LIMIT in kinds
    unlocks = Kind.UNLOCK in kinds and plug is not None and _is_recent(plug, now)
    if not takes_limits and not unlocks:
        return None
    may_take = _allowed_words(session, booking, now) if session is not None else []
    outcome = _outcome(booking, now, is_charging=session is not None)
    return PartnerSession(session, takes_limits, unlocks, may_take, *outcome)


def _is_recent(plug: RemoteSession, now: datetime) -> bool:
    return plug.ended_at is None or now < plug.ended_at + SHOWN_FOR


def _allowed_words(session: RemoteSession, booking: Booking, now: datetime) -> list[str]:
    """`60 kW`, `400 kW from 12:30`: of the period that holds, and of those to come."""
    if session.allowed is None:
        return []
    starts_at = datetime.fromisoformat(session.allowed["starts_at"])
    periods = [
        (starts_at + timedelta(seconds=second), amount) for second, amount in session.allowed["limits"]
    ]
    held = [period for period in periods if period[0] <= now][-1:]
    unit = session.allowed["unit"]
    return [
        *(_amount(amount, unit) for _, amount in held),
        *(
            f"{_amount(amount, unit)} from {at.astimezone(booking.depot.zone):%H:%M}"
            for at, amount in periods
            if at > now
        ),
    ]


def _amount(amount: float, unit: str) -> str:
    return kilowatts(int(amount)) if unit == "W" else f"{amount:g} A on each phase"


def _outcome(booking: Booking, now: datetime, *, is_charging: bool) -> tuple[str, str]:
    """Limits say nothing any more once their session has ended."""
    kinds: list[Any] = [Kind.UNLOCK, *(PartnerCommand.OF_LIMITS if is_charging else ())]
    recent = booking.partner_commands.filter(kind__in=kinds, asked_at__gt=now - SHOWN_FOR)
    last = recent.order_by("-pk").first()
    if last is None:
        return "", ""
    if last.is_waited_for(now):
        who = "the partner's charger" if last.state == State.TAKEN else "the partner"
        return "pending", f"Waiting for {who} to answer."
    if last.state == State.DONE:
        return "accepted", DONE_WORDS[Kind(last.kind)]
    if last.state == State.REFUSED:
        return "refused", f"The partner says no. {last.text}".strip()
    return "no_answer", f"No answer came from the partner. {last.text}".strip()
