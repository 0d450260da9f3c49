"""A series changed or given up: one of its bookings, that and those that follow, or all that have not begun
(docs/decisions/0159)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import prefetch_related_objects

from bookings.actors import Actor
from bookings.core import calendars
from bookings.core.locking import lock_behind
from bookings.errors import (
    BookingError,
    CancelTooLate,
    ChangedMeanwhile,
    Conflicts,
    EndsBeforeStart,
    NothingToChange,
    WrongStatus,
)
from bookings.models import Booking, BookingOption, BookingRequest, BookingSeries, BookingStatus
from bookings.operations.book_series import locked_series, tell_of_missed
from bookings.operations.cancel import cancel_booking
from bookings.operations.change import change_booking
from bookings.operations.change_request import ChangeRequest
from bookings.operations.places import nearest_later
from bookings.operations.series_plan import OccurrenceOutcome, SeriesPlan, lock_days, version_of
from bookings.rules import permissions, recurrence
from bookings.rules.periods import local_time
from bookings.rules.recurrence import local
from depots.periods import Period


class Scope(StrEnum):
    ONE = "one"
    FOLLOWING = "following"
    ALL = "all"


@dataclass(frozen=True, kw_only=True)
class SeriesChange:
    """`booking_id` is the occurrence that is named; with ALL it may be left out. The times of `request` are that one's, without
    it those of the first of the series; the others move by as much on the depot's clock, and become as much longer or shorter."""

    scope: Scope
    request: ChangeRequest
    booking_id: int | None = None


@nearest_later()
def change_series(
    series_id: int, change: SeriesChange, *, seen_version: int | None = None, actor: Actor, now: datetime
) -> BookingSeries:
    """Change those in scope that are live and have not begun, all or none, and what waits for the horizon with them.

    `seen_version` as of `version_of`: whatever happened to the series or one of its bookings since refuses it. Raises
    ChangedMeanwhile, Booking.DoesNotExist for one that is none of the series; of ONE what `change_booking` does; else Conflicts,
    which has the outcomes, WrongStatus where none is left to change, or NothingToChange.
    """
    with calendars.one_operation():
        series, rows = _locked(series_id, seen_version, now, option=change.request.option)
        if change.scope == Scope.ONE:
            change_booking(_named(rows, change).pk, change.request, actor=actor, now=now)
        else:
            _change_many(series, rows, change, actor, now)
        _raise_version(series)
    return series


def cancel_series(
    series_id: int,
    *,
    reason: str,
    booking_id: int | None = None,
    seen_version: int | None = None,
    actor: Actor,
    now: datetime,
) -> BookingSeries:
    """Give up all that can be given up without a fee, from one of its bookings on or all of it, and what waits: those days become
    exceptions. What is past its deadline stays: it is cancelled by itself, where its terms allow that. Partners are asked.

    Raises ChangedMeanwhile, ReasonUnknown, Booking.DoesNotExist, or, where nothing can be given up, CancelTooLate or
    WrongStatus.
    """
    with calendars.one_operation():
        series, rows = _locked(series_id, seen_version, now)
        named = _row(rows, booking_id) if booking_id is not None else None
        since = named.series_date if named is not None else None
        in_scope = [row for row in rows if since is None or (row.series_date or date.min) >= since]
        prefetch_related_objects([row for row in in_scope if not row.is_ours], "requests")
        free = [row for row in in_scope if _can_be_given_up(row, now)]
        if not free and series.next_date is None:
            raise _why_none(in_scope, now)
        for row in free:
            cancel_booking(booking_id=row.pk, reason=reason, by=Booking.Side.FLEET, actor=actor, now=now)
        _end_waiting(series, rows)
        tell_of_missed(series, now)
        series.ended_at = series.ended_at or (now if since is None else None)
        _raise_version(series, "next_date", "due_at", "exceptions", "ended_at")
    return series


def changeable(booking: Booking, now: datetime) -> bool:
    """Whether a change of several is for it too: it is live and has not begun."""
    return booking.status in permissions.CHANGEABLE and booking.starts_at > now


def _locked(
    series_id: int, seen_version: int | None, now: datetime, *, option: BookingOption | None = None
) -> tuple[BookingSeries, list[Booking]]:
    """The series, and its bookings in their order with all that a change of them, to another `option` too, may touch. Raises
    ChangedMeanwhile."""
    series = locked_series(series_id)
    first = SeriesPlan.of_series(series).first
    ids = list(series.bookings.values_list("pk", flat=True))
    more = {evse.pk for evse in option.evses.all()} if option is not None else set()
    rows = lock_behind(ids, lambda evse_ids: lock_days(first, also={*evse_ids, *more}, now=now))
    if seen_version not in {None, version_of(series, [row.version for row in rows])}:
        raise ChangedMeanwhile("The series, or one of its bookings, has changed meanwhile. Look again.")
    return series, sorted(rows, key=lambda row: row.series_date or date.min)


def _row(rows: Sequence[Booking], booking_id: int | None) -> Booking:
    """Raises Booking.DoesNotExist."""
    found = next((row for row in rows if row.pk == booking_id), None)
    if found is None:
        raise Booking.DoesNotExist
    return found


def _named(rows: Sequence[Booking], change: SeriesChange) -> Booking:
    return _row(rows, change.booking_id)


@dataclass(frozen=True)
class _Move:
    """By how much slots begin later on the depot's clock, and how long the one that was named becomes, by how much longer; None
    where that stays. `zone` is the depot's."""

    zone: ZoneInfo
    shift: timedelta | None
    length: timedelta | None
    longer: timedelta

    @classmethod
    def of(cls, request: ChangeRequest, was: Period, zone: ZoneInfo) -> _Move:
        """Raises EndsBeforeStart."""
        starts_at, ends_at = request.starts_at, request.ends_at
        shift = local(starts_at, zone) - local(was.starts_at, zone) if starts_at is not None else None
        if request.ends_when_charged or (starts_at is None and ends_at is None):
            return cls(zone, shift, None, timedelta())
        length = (ends_at or was.ends_at) - (starts_at or was.starts_at)
        if length <= timedelta():
            raise EndsBeforeStart("The booking would end before it starts.")
        return cls(zone, shift, length, length - was.duration)

    def request_for(self, request: ChangeRequest, was: Period) -> ChangeRequest:
        """Raises EndsBeforeStart."""
        starts_at = was.starts_at
        if self.shift is not None:
            starts_at = recurrence.moment(local(starts_at, self.zone) + self.shift, self.zone)
        if self.length is None:
            return replace(request, starts_at=starts_at if self.shift is not None else None)
        ends_at = starts_at + was.duration + self.longer
        if ends_at <= starts_at:
            raise EndsBeforeStart("The booking would end before it starts.")
        return replace(request, starts_at=starts_at, ends_at=ends_at)


def _change_many(
    series: BookingSeries, rows: Sequence[Booking], change: SeriesChange, actor: Actor, now: datetime
) -> None:
    named = _row(rows, change.booking_id) if change.booking_id is not None else None
    since = named.series_date if named is not None and change.scope == Scope.FOLLOWING else None
    plan = SeriesPlan.of_series(series)
    first = named or next(iter(rows), None)
    move = _Move.of(change.request, first.period if first else plan.first.period, plan.zone)
    targets = [
        row
        for row in rows
        if changeable(row, now) and (since is None or (row.series_date or date.min) >= since)
    ]
    if not targets and series.next_date is None:
        raise WrongStatus("over", "changed", "Nothing of this series is left to be changed.")
    _all_or_none(targets, change.request, move, actor, now)
    if since is None or series.next_date is not None:
        _change_template(series, change.request, move)


def _all_or_none(
    targets: Sequence[Booking], request: ChangeRequest, move: _Move, actor: Actor, now: datetime
) -> None:
    """Those that go to where the next one stands come after it. Raises Conflicts or NothingToChange."""
    is_later = move.shift is not None and move.shift > timedelta()
    found = {
        row.pk: _changed(row, request, move, actor, now)
        for row in (reversed(targets) if is_later else targets)
    }
    outcomes = [found[row.pk] for row in targets]
    refused = [one for one in outcomes if one.refusal is not None]
    same = [one for one in refused if isinstance(one.refusal, NothingToChange)]
    if targets and len(same) == len(targets):
        raise NothingToChange("This is what is booked already.")
    if len(refused) > len(same):
        raise Conflicts(
            [replace(one, refusal=None) if one in same else one for one in outcomes], done="changed"
        )


def _changed(
    row: Booking, request: ChangeRequest, move: _Move, actor: Actor, now: datetime
) -> OccurrenceOutcome:
    asked = row.period
    try:
        request = move.request_for(request, asked)
        asked = request.period_of(row)
        with transaction.atomic():
            booking = change_booking(row.pk, request, actor=actor, now=now)
    except BookingError as refusal:
        return OccurrenceOutcome(refusal=refusal, date=row.series_date, asked=asked)
    return OccurrenceOutcome(booking=booking, date=row.series_date, asked=asked)


def _change_template(series: BookingSeries, request: ChangeRequest, move: _Move) -> None:
    """What waits, and a page that shows the series, follow. Raises EndsBeforeStart."""
    series.shift += move.shift or timedelta()
    if request.ends_when_charged:
        series.length = None
    elif move.length is not None:
        series.length = move.length if series.length is None else series.length + move.longer
        if series.length <= timedelta():
            raise EndsBeforeStart("The bookings that wait would end before they start.")
    if request.option is not None and request.option != series.option:
        series.option, series.evse = request.option, None
    series.evse = request.evse or series.evse
    series.trailer = None if request.drops_trailer else request.trailer or series.trailer
    asked: dict[str, Any] = {**series.asked}
    if request.vehicle is not None:
        series.vehicle = request.vehicle
        asked.pop("tokens", None)  # they are the vehicle's, unless told
    if request.tokens is not None:
        asked["tokens"] = [asdict(token) for token in request.tokens]
    if request.power_w is not None:
        asked["power_w"] = request.power_w
    if request.energy is not None:
        asked["energy"] = request.energy.to_json()
    series.asked = asked
    series.save(update_fields=["shift", "length", "option", "evse", "vehicle", "trailer", "asked"])


def _end_waiting(series: BookingSeries, rows: Sequence[Booking]) -> None:
    if series.next_date is not None:
        booked = {row.series_date for row in rows}
        waiting = [day for day in SeriesPlan.of_series(series).dates if day >= series.next_date]
        series.exceptions = sorted({*series.exceptions, *(day for day in waiting if day not in booked)})
    series.next_date, series.due_at = None, None


def _raise_version(series: BookingSeries, *fields: str) -> None:
    series.version += 1
    series.save(update_fields=[*fields, "version"])


def _can_be_given_up(row: Booking, now: datetime) -> bool:
    """Of one that a partner was asked to cancel there is nothing more to ask."""
    if not permissions.can_cancel_freely(row, by=Booking.Side.FLEET, now=now):
        return False
    waiting = None if row.is_ours else row.pending_request
    return waiting is None or waiting.kind != BookingRequest.Kind.CANCEL


def _why_none(rows: Sequence[Booking], now: datetime) -> BookingError:
    """Of what is still promised its deadline, else that nothing is."""
    for row in rows:
        if row.status == BookingStatus.CONFIRMED and permissions.is_late_to_cancel(
            row, by=Booking.Side.FLEET, now=now
        ):
            deadline = row.terms.cancel_deadline(permissions.deadline_period(row))
            return CancelTooLate(deadline, local_time(row.depot, deadline))
    return WrongStatus("over", BookingStatus.CANCELLED, "Nothing of this series is left to be cancelled.")
