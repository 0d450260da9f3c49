"""What a booking's page offers to start and to stop from afar, and how the last time went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bookings.errors import BookingError
from bookings.models import Booking, BookingStatus
from bookings.operations.remote_start import WAITS, why_not_start
from bookings.pages import access
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
    return booking.is_ours and (
        is_dispatcher or booking.depot.operator_id in access.operators_decided_for(user)
    )


def remote(
    user: access.Person, booking: Booking, session: ChargingSession | None, *, now: datetime
) -> Remote | None:
    """What the booking's page offers its reader; None where there is nothing to start or to stop. `session` is the one that
    uses it now."""
    live = {BookingStatus.CONFIRMED, BookingStatus.CHARGING}
    if booking.status not in live or now >= booking.ends_at + SHOWN_FOR or not may_control(user, booking):
        return None
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
