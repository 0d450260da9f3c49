"""The moves of a booking: one table, one function that writes `status`, an event for every move.

What a booking occupies follows from its status and is written here too, so that the two cannot part.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import models

from bookings.actors import Actor
from bookings.core import calendars, occupancy
from bookings.core.writing import insert_with, update_with
from bookings.errors import WrongStatus
from bookings.models import (
    LIVE,
    Booking,
    BookingEvent,
    BookingRequest,
    BookingStatus,
    BookingToken,
    Enforcement,
)
from bookings.signals import booking_changed
from depots.many_rows import insert_many
from depots.periods import Period

NEXT: dict[str, set[str]] = {
    BookingStatus.HELD: {
        BookingStatus.REQUESTED,
        BookingStatus.CONFIRMED,
        BookingStatus.CANCELLED,
        BookingStatus.EXPIRED,
    },
    BookingStatus.REQUESTED: {
        BookingStatus.CONFIRMED,
        BookingStatus.DECLINED,
        BookingStatus.CANCELLED,
        BookingStatus.FAILED,
    },
    BookingStatus.CONFIRMED: {BookingStatus.CHARGING, BookingStatus.CANCELLED, BookingStatus.NO_SHOW},
    BookingStatus.CHARGING: {BookingStatus.COMPLETED},
}
BEGINNINGS = {
    BookingStatus.HELD,
    BookingStatus.REQUESTED,
    BookingStatus.CONFIRMED,
    BookingStatus.DECLINED,
    BookingStatus.FAILED,
}

# At a partner's depot the partner is the truth: FULFILLED may come without a start we saw, a no-show from anywhere live.
NEXT_AT_PARTNER: dict[str, set[str]] = {
    BookingStatus.REQUESTED: {
        BookingStatus.CONFIRMED,
        BookingStatus.DECLINED,
        BookingStatus.CANCELLED,
        BookingStatus.FAILED,
    },
    BookingStatus.CONFIRMED: {
        BookingStatus.REQUESTED,  # of a slot by best effort that was moved: it is to be kept anew
        BookingStatus.CHARGING,
        BookingStatus.COMPLETED,
        BookingStatus.CANCELLED,
        BookingStatus.NO_SHOW,
    },
    BookingStatus.CHARGING: {BookingStatus.COMPLETED},
}


def begin(
    booking: Booking,
    status: BookingStatus,
    *,
    tokens: Sequence[BookingToken] = (),
    span: Period | None = None,
    ask: BookingRequest | None = None,
    actor: Actor,
    at: datetime,
    detail: dict[str, Any] | None = None,
) -> Booking:
    """Save a new booking with its tokens, what it occupies and claims, its first event and the ask that made it, in one
    statement. Raises WrongStatus.

    `span` is what it occupies: of live bookings at our own depots, whose caller holds the EVSE's lock and has queued to claim.
    """
    if status not in BEGINNINGS:
        raise WrongStatus("new", status)
    booking.status, booking.created_at, booking.updated_at = status, at, at
    if booking.is_ours and status not in LIVE:
        booking.enforcement = Enforcement.RELEASED
    for position, token in enumerate(tokens):
        token.position = position
    event = _event(booking, before="", at=at, actor=actor, detail=detail)
    rows: list[models.Model] = [*tokens, event]
    if ask is not None:
        rows.append(ask)
    if booking.is_ours and booking.is_live:
        assert span is not None  # a live booking at a depot of ours has its place
        claims = occupancy.claims(booking, booking.terms, booking.period, tokens, booking.vehicle_id)
        rows += [occupancy.taking(booking, span), *claims]
    insert_with(booking, rows)
    booking.written_with = rows
    booking_changed.send(sender=Booking, booking=booking, event=event, at=at)
    calendars.mark_changed([booking.evse_id], at=at)
    return booking


def move(
    booking: Booking,
    to: BookingStatus,
    *,
    actor: Actor,
    at: datetime,
    detail: dict[str, Any] | None = None,
    fields: Iterable[str] = (),
    ask: BookingRequest | None = None,
    over_at: datetime | None = None,
) -> BookingEvent:
    """Move a booking its caller has locked, and log the move. Raises WrongStatus.

    `fields` names columns the caller set along with the move, `ask` is one not saved yet that led to it. `over_at` is when a
    completed one really ended; without it the vehicle still stands there, and keeps the place until it leaves, at most to
    the end of its span.
    """
    if to not in NEXT.get(booking.status, ()):
        raise WrongStatus(booking.status, to)
    before, booking.status = booking.status, to
    _settle_place(booking, over_at=over_at, at=at)
    return record(
        booking, kind="status", step=(before, to), actor=actor, at=at, detail=detail,
        fields={"status", "enforcement", "enforcement_why", "enforcement_at", "next_try_at", *fields}, ask=ask,
    )  # fmt: skip


def adopt(
    booking: Booking,
    to: BookingStatus,
    *,
    actor: Actor,
    at: datetime,
    detail: dict[str, Any],
    fields: Iterable[str] = (),
) -> BookingEvent:
    """Follow a partner's status for a booking at its depot. An irregular move is flagged, never refused."""
    regular = to in NEXT_AT_PARTNER.get(booking.status, ())
    booking.is_irregular = booking.is_irregular or not regular
    before, booking.status = booking.status, to
    return record(
        booking, kind="status", step=(before, to), actor=actor, at=at, detail={**detail, "irregular": not regular},
        fields={"status", "is_irregular", *fields},
    )  # fmt: skip


def record(
    booking: Booking,
    *,
    kind: str,
    actor: Actor,
    at: datetime,
    step: tuple[str, str] = ("", ""),
    detail: dict[str, Any] | None = None,
    fields: Iterable[str] = (),
    ask: BookingRequest | None = None,
) -> BookingEvent:
    """Save the named columns of a locked booking, raise its version, log what happened (with an ask not saved yet, where one
    led to it) and tell who listens; one statement beside what those write. `step` is what it was before and after."""
    booking.version += 1
    booking.updated_at = max(at, booking.updated_at)
    before, after = step
    event = _event(booking, kind=kind, before=before, after=after, at=at, actor=actor, detail=detail)
    rows = [event] if ask is None else [event, ask]
    update_with(booking, [*fields, "version", "updated_at"], rows)
    booking_changed.send(sender=Booking, booking=booking, event=event, at=at)
    return event


def log_written(
    bookings: Sequence[Booking],
    *,
    kind: str,
    step: tuple[str, str],
    actor: Actor,
    at: datetime,
    detail: dict[str, Any] | None = None,
) -> None:
    """`record` for many locked bookings that their caller has written alike, each with its version raised by one."""
    before, after = step
    events = []
    for booking in bookings:
        booking.version += 1
        booking.updated_at = max(at, booking.updated_at)
        events.append(
            _event(booking, kind=kind, before=before, after=after, at=at, actor=actor, detail=detail)
        )
    insert_many(events)
    for booking, event in zip(bookings, events, strict=True):
        booking_changed.send(sender=Booking, booking=booking, event=event, at=at)


def _settle_place(booking: Booking, *, over_at: datetime | None, at: datetime) -> None:
    """Write what the new status occupies: all of it while live, the real stay once completed, else nothing."""
    if booking.is_live or not booking.is_ours:
        return
    is_completed = booking.status == BookingStatus.COMPLETED
    freed = occupancy.release(booking, keeps_stay=is_completed)
    if not is_completed:
        booking.enforcement, booking.enforcement_why, booking.enforcement_at = Enforcement.RELEASED, "", at
    elif over_at is not None:
        occupancy.cut(booking, occupancy.ends_after(booking, over_at))
    booking.next_try_at = None
    calendars.mark_changed([booking.evse_id, *freed], at=at)


def _event(
    booking: Booking,
    *,
    at: datetime,
    actor: Actor,
    kind: str = "status",
    before: str = "",
    after: str = "",
    detail: dict[str, Any] | None = None,
) -> BookingEvent:
    """Not saved yet."""
    return BookingEvent(
        booking=booking,
        kind=kind,
        before=before,
        after=after or booking.status,
        version=booking.version,
        at=at,
        detail=detail or {},
        **actor.columns("actor"),
    )
