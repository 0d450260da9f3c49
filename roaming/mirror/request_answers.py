"""What a partner's booking says about our request that waits for an answer. Pure functions over our own values."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from bookings.models import Booking, BookingRequest, BookingStatus
from bookings.operations import RemoteState
from depots.periods import Period
from roaming.mirror.told_terms import within_limits
from roaming.mirror.values import ToldBooking, ToldEntry, ToldRequest
from roaming.ocpi.times import read_time, time_out

Decision = BookingRequest.Decision
# What a state of the booking says about the request to create it.
ANSWER_TO_CREATE = {
    BookingStatus.CONFIRMED: Decision.ACCEPTED,
    BookingStatus.CHARGING: Decision.ACCEPTED,
    BookingStatus.NO_SHOW: Decision.ACCEPTED,
    BookingStatus.DECLINED: Decision.DECLINED,
    BookingStatus.CANCELLED: Decision.DECLINED,
    BookingStatus.FAILED: Decision.FAILED,
}
# A partner's booking ends with its session's start: nothing is told of it after that.
OVER = frozenset(ANSWER_TO_CREATE) - {BookingStatus.CONFIRMED}
GRANTED = frozenset({BookingStatus.CONFIRMED, BookingStatus.CHARGING})
# How far a booking has come, to tell which of two states of one second is the later.
PROGRESS = {None: 0, BookingStatus.REQUESTED: 1, BookingStatus.CONFIRMED: 2}
OVER_PROGRESS = 3


@dataclass(frozen=True)
class Posted:
    """A request as it was sent, and when the entries of the partner's history were received that were there before it."""

    request: ToldRequest | None
    known: tuple[str, ...]
    is_answered: bool = False  # the booking to be read is the answer to this very message


def state_of(
    told: ToldBooking,
    booking: Booking,
    request: BookingRequest | None,
    posted: Posted | None = None,
    *,
    reason: str = "",
) -> RemoteState:
    """What the partner says of a booking, for the operation that adopts it. `request` is the one that waits for an
    answer, if any, and `posted` what was sent of it."""
    status = told.status
    if status == BookingStatus.REQUESTED and booking.status == BookingStatus.CONFIRMED:
        status = None  # a change is being looked at; the slot stays ours meanwhile
    is_granted = told.status in GRANTED
    is_cancelled = status == BookingStatus.CANCELLED
    return RemoteState(
        remote_status=told.told_status,
        status=status,
        remote_id=told.id,
        period=_period(told) if is_granted else None,
        evse_uid=told.evse_uid,
        power_w=told.power_w if is_granted else None,
        decision=decision_of(told, request, posted),
        reason=reason,
        cancelled_by=str(_cancelled_by(told, request).value) if is_cancelled else "",
        cancel_reason=told.cancel_reason if is_cancelled else "",
        terms=within_limits(told.terms) if is_granted else {},
    )


def decision_of(
    told: ToldBooking, request: BookingRequest | None, posted: Posted | None = None
) -> Decision | None:
    """The answer to the request that waits: as the partner's history has it, else as its status implies. None: not yet.

    A request that was not sent is answered by nothing but the end of the booking; an answer is an entry that is newer than
    the request and says the same.
    """
    if request is None:
        return None
    is_first = request.kind == BookingRequest.Kind.CREATE
    entry = _creation(told, request) if is_first else _entry_of(told, posted)
    if entry is not None and entry.decision != Decision.PENDING:
        return entry.decision
    if is_first:
        return ANSWER_TO_CREATE.get(told.status) if told.status else None
    if told.status in OVER:
        is_done = request.kind == BookingRequest.Kind.CANCEL and told.status == BookingStatus.CANCELLED
        return Decision.ACCEPTED if is_done else Decision.DECLINED
    if posted is not None and not told.history and "period" in request.asked:
        return Decision.ACCEPTED if told.span == _asked_span(request) else None
    return None


def is_older(told: ToldBooking, known: ToldBooking) -> bool:
    """Is this a state from before the one we know? Of one second, the booking that has come less far is."""
    if told.last_updated != known.last_updated:
        return told.last_updated < known.last_updated
    return _progress(told) < _progress(known)


def received_at(told: ToldBooking) -> list[str]:
    """When each entry of the partner's history was received: what tells them apart, in whatever order they come."""
    return [time_out(entry.received_at) for entry in told.history]


def _progress(told: ToldBooking) -> tuple[int, int]:
    undecided = sum(entry.decision == Decision.PENDING for entry in told.history)
    return PROGRESS.get(told.status, OVER_PROGRESS), len(told.history) * 2 - undecided


def _creation(told: ToldBooking, request: BookingRequest) -> ToldEntry | None:
    """The newest entry that is no cancellation and about the period of the first request."""
    wanted = _asked_span(request)
    for entry in reversed(told.history):
        if entry.request is None or entry.request.is_cancellation:
            continue
        if wanted is None or entry.request.span == wanted:
            return entry
    return None


def _entry_of(told: ToldBooking, posted: Posted | None) -> ToldEntry | None:
    """The entry of a request that was posted; in its own answer the newest one, whatever it repeats."""
    if posted is None:
        return None
    known = Counter(posted.known)
    new = []
    for entry in sorted(told.history, key=lambda e: e.received_at):
        stamp = time_out(entry.received_at)
        if known[stamp]:
            known[stamp] -= 1
        else:
            new.append(entry)
    same = [entry for entry in new if _says_the_same(entry.request, posted.request)]
    found = same or (new if posted.is_answered else [])
    return found[-1] if found else None


def _says_the_same(told: ToldRequest | None, ours: ToldRequest | None) -> bool:
    """Whether an entry is what we posted, as far as it repeats it."""
    if told is None or ours is None or told.is_cancellation != ours.is_cancellation:
        return False
    if told.is_cancellation:
        return True
    return (
        told.span in (None, ours.span)
        and told.evse_uid in (None, ours.evse_uid)
        and told.power_kw in (None, ours.power_kw)
        and (not told.token_uids or told.token_uids == ours.token_uids)
        and (not told.access or told.access == ours.access)
    )


def _cancelled_by(told: ToldBooking, request: BookingRequest | None) -> Booking.Side:
    """Who it was: as told, else whoever has asked for it."""
    if told.cancelled_by is not None:
        return told.cancelled_by
    is_ours = request is not None and request.kind == BookingRequest.Kind.CANCEL
    return Booking.Side.FLEET if is_ours else Booking.Side.DEPOT


def _asked_span(request: BookingRequest) -> tuple[object, object] | None:
    asked = request.asked.get("period")
    return (read_time(asked["start"]), read_time(asked["end"])) if asked else None


def _period(told: ToldBooking) -> Period | None:
    starts_at, ends_at = told.span
    return Period(starts_at, ends_at) if starts_at < ends_at else None
