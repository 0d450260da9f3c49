"""What a booking's page offers to start and to stop from afar, and how the last time went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bookings.errors import BookingError
from bookings.models import Booking, BookingStatus, PartnerCommand
from bookings.operations.partner_commands import session_there, why_not_start_there
from bookings.operations.remote_start import WAITS, why_not_start
from bookings.pages import access
from bookings.partner_control import offered
from depots.models import ChargerCommand, ChargingSession, Fallback
from depots.queries import is_online

State = ChargerCommand.State
# An older answer says nothing of now.
SHOWN_FOR = timedelta(minutes=30)


@dataclass(frozen=True)
class Remote:
    """What a page offers: `verb` start or stop, "" for neither; `why_not` disables it; how the last one went.

    `state` is "" or pending, accepted, refused, no_answer.
    """

    verb: str
    why_not: str
    state: str = ""
    words: str = ""


def may_control(user: access.Person, booking: Booking) -> bool:
    """Who booked it, and who runs the depot."""
    is_dispatcher = booking.fleet_id in access.fleets_booked_for(user)
    if not booking.is_ours:
        return is_dispatcher and PartnerCommand.Kind.START in offered(booking)
    return is_dispatcher or booking.depot.operator_id in access.operators_decided_for(user)


def remote(
    user: access.Person, booking: Booking, session: ChargingSession | None, *, now: datetime
) -> Remote | None:
    """What the booking's page offers its reader; None where there is nothing to start or to stop. `session` is the one that
    uses it now."""
    live = {BookingStatus.CONFIRMED, BookingStatus.CHARGING}
    if booking.status not in live or now >= booking.ends_at + SHOWN_FOR or not may_control(user, booking):
        return None
    if not booking.is_ours:
        return _at_partner(booking, now)
    verb, why_not = "stop", ""
    if session is None:
        verb = "start"
        if now < booking.starts_at - timedelta(days=1):
            return None
        try:
            why_not_start(booking, now=now)
        except BookingError as refusal:
            why_not = str(refusal)
    charger = booking.evse.charger if booking.evse is not None else None
    if not why_not and (charger is None or not is_online(charger, now=now)):
        why_not = "The charger is not connected."
    return Remote(verb, why_not, *_last_outcome(booking, session, now))


def _at_partner(booking: Booking, now: datetime) -> Remote | None:
    """Of a partner's charger only what its network tells is known."""
    if now < booking.starts_at - timedelta(days=1):
        return None
    verb, why_not = ("stop" if session_there(booking) else "start"), ""
    if verb == "start":
        try:
            why_not_start_there(booking, now=now)
        except BookingError as refusal:
            why_not = str(refusal)
    return Remote(verb, why_not, *_partner_outcome(booking, verb, now))


def _partner_outcome(booking: Booking, verb: str, now: datetime) -> tuple[str, str]:
    kinds = [PartnerCommand.Kind.START, PartnerCommand.Kind.STOP]
    recent = booking.partner_commands.filter(kind__in=kinds, asked_at__gt=now - SHOWN_FOR)
    last = recent.order_by("-pk").first()
    if last is None or (last.kind == PartnerCommand.Kind.START and verb == "stop"):
        return "", ""
    is_start = last.kind == PartnerCommand.Kind.START
    if last.is_waited_for(now):
        is_taken = last.state == PartnerCommand.State.TAKEN
        who = "the partner's charger" if is_taken else "the partner"
        return "pending", f"Waiting for {who} to answer."
    if last.state == PartnerCommand.State.REFUSED:
        return "refused", f"The partner says no. {last.text}".strip()
    if last.state != PartnerCommand.State.DONE:
        return (
            "no_answer",
            "No answer came from the partner. Whether it happened is not known: ask the driver.",
        )
    return "accepted", (
        "The partner's charger is ready: plug in now, if the cable is not in yet."
        if is_start
        else "The partner's charger is stopping."
    )


def _last_outcome(booking: Booking, session: ChargingSession | None, now: datetime) -> tuple[str, str]:
    kinds = [ChargerCommand.Action.REMOTE_START, ChargerCommand.Action.REMOTE_STOP]
    last = (
        ChargerCommand.objects.filter(
            reservation_id=booking.reservation_id, action__in=kinds, created_at__gt=now - SHOWN_FOR
        )
        .order_by("-id")
        .first()
    )
    if last is None:
        return "", _opening_words(booking)
    is_start = last.action == ChargerCommand.Action.REMOTE_START
    if is_start and booking.status == BookingStatus.CHARGING and session is not None:
        return "", ""  # it worked
    if last.state in {State.QUEUED, State.SENT} and now < last.created_at + WAITS:
        return "pending", "Waiting for the charger to answer."
    if last.state != State.ANSWERED:
        return "no_answer", "The charger did not answer. Try again, or call the depot."
    if last.answer == "accepted":
        return "accepted", (
            "The charger is ready: plug in now, if the cable is not in yet."
            if is_start
            else "The charger is stopping."
        )
    return "refused", f"The charger refused. {last.answer_text[:200]}".strip()


def _opening_words(booking: Booking) -> str:
    """What starting does first, where the EVSE is out of service for it."""
    is_kept = booking.status == BookingStatus.CONFIRMED and booking.enforcement_why == Fallback.AVAILABILITY
    return "The EVSE is put back into service first, which takes some seconds." if is_kept else ""
