"""A series of bookings: seen first, then booked, all or what fits; what lies beyond the depot's horizon waits for it
(docs/decisions/0158)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import accumulate
from typing import Any

from django.db import transaction

from bookings.actors import Actor, ActorKind
from bookings.core import calendars, lifecycle
from bookings.core.constraints import violation_raises
from bookings.core.locking import lock_booking
from bookings.core.taken_back import taken_back
from bookings.errors import (
    BookingError,
    ChangedMeanwhile,
    Conflicts,
    RequestIdInUse,
    VehicleUnknown,
    WrongStatus,
)
from bookings.models import Booking, BookingSeries
from bookings.models.bookings import new_request_id
from bookings.operations.book import request_booking
from bookings.operations.booking_draft import Draft, drafted_together
from bookings.operations.many_wishes import version_of
from bookings.operations.places import nearest_later, tell_nearest
from bookings.operations.series_plan import (
    OccurrenceOutcome,
    SeriesPlan,
    SeriesRequest,
    kept_of,
    lock_days,
)
from bookings.operations.slot_request import SlotRequest
from bookings.rules import configuration, periods
from bookings.rules.entitlement import own_trailer, own_vehicle
from bookings.rules.permissions import CHANGEABLE
from bookings.rules.terms import Terms
from bookings.search.bookable import terms_for
from bookings.signals import series_due, series_missed
from depots.periods import utc_text

SERIES = Actor(ActorKind.BERTH, "series")
# A day that waits is looked at again after so long at the latest: terms change.
LOOK_AGAIN = timedelta(days=1)
# A job that was claimed and did not come to its end is given out again.
CLAIMED_FOR = timedelta(minutes=2)
AT_ONCE = 500
# A preview, and a job, keep others from booking there for so many days at most.
DAYS_UNDER_LOCKS = 20
LOOK_AGAIN_SAID = "What can be booked has changed since you looked. Look again."


def preview_series(asked: SeriesRequest, *, actor: Actor, now: datetime) -> list[OccurrenceOutcome]:
    """What would become of each day, in their order; nothing is left behind, and the bookings are of no use afterwards. Raises
    RuleUnclear."""
    return _previewed(SeriesPlan.of_request(asked), actor, now)


@nearest_later()
def book_series(
    asked: SeriesRequest,
    *,
    what_fits: bool = False,
    seen_version: int | None = None,
    actor: Actor,
    now: datetime,
) -> BookingSeries:
    """Book every day of it, or ask where the depot or a partner decides, in one transaction. Where `what_fits` is asked for, days
    beyond the horizon wait until it reaches them, and what is refused becomes an exception.

    `seen_version` is that of a preview somebody looked at (many_wishes.version_of). Raises RuleUnclear, ChangedMeanwhile where it
    would be something else than was seen, or Conflicts, which has the outcomes, where all was meant and something is refused, or
    nothing fits: then nothing is booked.
    """
    plan = SeriesPlan.of_request(asked)
    used = {"series_request_once": RequestIdInUse("This request id was used already.")}
    made = BookingSeries.objects.filter(fleet=asked.first.fleet, request_id=asked.request_id or None).first()
    if made is not None:
        return made
    try:
        with violation_raises(used), calendars.one_operation():
            series = _begin(plan, asked.request_id, now)
            days = _DayByDay.under_locks(plan, plan.dates, series.pk, actor, now)
            found = days.book(is_all_or_none=not what_fits)
            _check_seen(found, seen_version)
            if all(one.refusal is not None and not one.is_beyond for one in found):
                raise Conflicts(found)
            days.settle(series, found)
    except _NotAll as under_locks:
        # What else would be refused is found out without the locks of all.
        found = _previewed(plan, actor, now)
        _check_seen(found, seen_version)
        if not any(one.refusal for one in found):
            first = under_locks.refused
            found = [first if one.date == first.date else one for one in found]
        raise Conflicts(found) from None
    return series


@nearest_later()
def extend_series(*, series_id: int, now: datetime) -> BookingSeries:
    """Book what the horizon has reached by now, twenty days at a time: what is left of it is due at once. Done twice it does
    nothing more. What is refused becomes an exception, and the fleet is told once nothing is left."""
    with calendars.one_operation():
        series = locked_series(series_id)
        if series.next_date is None or series.due_at is None or series.due_at > now:
            return series
        plan = SeriesPlan.of_series(series)
        waiting = [day for day in plan.dates if day >= series.next_date]
        days = _DayByDay.under_locks(plan, waiting[:DAYS_UNDER_LOCKS], series.pk, SERIES, now)
        found = days.book()
        days.settle(series, found, later=waiting[DAYS_UNDER_LOCKS:])
        _note_missed(series, [one for one in found if one.refusal is not None and not one.is_beyond])
        if series.due_at != now:
            tell_of_missed(series, now)
    return series


def tell_of_missed(series: BookingSeries, now: datetime) -> None:
    """One word for all days of a locked series that were refused since the fleet was told; none where there are none."""
    if series.untold is None:
        return
    series_missed.send(sender=BookingSeries, series=series, missed=series.untold, at=now)
    series.untold = None
    series.save(update_fields=["untold"])


def _note_missed(series: BookingSeries, refused: Sequence[OccurrenceOutcome]) -> None:
    if not refused:
        return
    first = refused[0]
    assert first.asked is not None  # every day is asked for
    span = {"starts_at": utc_text(first.asked.starts_at), "ends_at": utc_text(first.asked.ends_at)}
    before = series.untold or {**span, "note": first.detail, "others": -1}
    series.untold = {**before, "others": before["others"] + len(refused)}
    series.save(update_fields=["untold"])


def claim_due(*, now: datetime) -> None:
    """Give the series of which a day has come within the horizon to jobs, in the transaction that puts off the next look."""
    due = BookingSeries.objects.filter(due_at__lte=now).exclude(claimed_until__gt=now)
    if not due.exists():
        return
    with transaction.atomic():
        rows = due.order_by("due_at").select_for_update(no_key=True, skip_locked=True)
        ids = list(rows.values_list("pk", flat=True)[:AT_ONCE])
        BookingSeries.objects.filter(pk__in=ids).update(claimed_until=now + CLAIMED_FOR)
        series_due.send(sender=BookingSeries, series_ids=ids, at=now)


def locked_series(series_id: int) -> BookingSeries:
    """Locked before all that a series touches: nothing else ever waits for it. Raises BookingSeries.DoesNotExist."""
    list(BookingSeries.objects.select_for_update(no_key=True).filter(pk=series_id).values_list("pk"))
    at_hand = ("fleet", "option__depot__operator", "evse", "vehicle", "trailer")
    return BookingSeries.objects.select_related(*at_hand).get(pk=series_id)


class _NotAll(Exception):
    """One day is refused where all were meant."""

    def __init__(self, refused: OccurrenceOutcome) -> None:
        super().__init__()
        self.refused = refused


def _check_seen(found: Sequence[OccurrenceOutcome], seen_version: int | None) -> None:
    if seen_version not in {None, version_of(found)}:
        raise ChangedMeanwhile(LOOK_AGAIN_SAID)


def _previewed(plan: SeriesPlan, actor: Actor, now: datetime) -> list[OccurrenceOutcome]:
    found: list[OccurrenceOutcome] = []
    for days in _pieces(plan, now):
        found += _seen(plan, days, actor, now)
    tell_nearest(found)
    return found


def _pieces(plan: SeriesPlan, now: datetime) -> Iterator[list[date]]:
    """Its days in pieces that know nothing of each other. They are parted only where no slot of one reaches to one of another,
    and nowhere if all of them together decide what is refused."""
    terms = terms_for(plan.first.option, plan.first.fleet, now=now)
    are_together = _count_together(plan.first, terms, now)
    spans = [plan.period(day) for day in plan.dates]
    ahead = list(accumulate((span.starts_at for span in reversed(spans)), min))[::-1]
    lasts = timedelta() if plan.length else timedelta(minutes=terms.max_duration_min)
    reached, piece = spans[0].starts_at, list[date]()
    for day, span, earliest in zip(plan.dates, spans, ahead, strict=True):
        is_full = len(piece) >= DAYS_UNDER_LOCKS and not are_together
        if is_full and earliest >= reached + terms.tail + terms.early_start:
            yield piece
            piece = []
        piece.append(day)
        reached = max(reached, span.starts_at + max(span.duration, lasts))
    yield piece


def _count_together(first: SlotRequest, terms: Terms, now: datetime) -> bool:
    """Whether a bound on how many bookings are open, or on what they cost together, may end them."""
    if terms.max_open_bookings is not None:
        return True
    if first.option.is_mirror:
        return False
    paying = configuration.current(first.option.depot_id).payment_terms_for(first.fleet.pk, now=now)
    return paying is not None and paying.credit_limit is not None


@nearest_later()
def _seen(plan: SeriesPlan, days: Sequence[date], actor: Actor, now: datetime) -> list[OccurrenceOutcome]:
    """What would become of them, taken back."""
    with taken_back():
        return _DayByDay.under_locks(plan, days, None, actor, now).book()


@dataclass(frozen=True)
class _DayByDay:
    """One day after the other, under the locks of all that any of them may take."""

    plan: SeriesPlan
    requests: Mapping[date, SlotRequest]
    drafts: Mapping[date, Draft]
    series_id: int | None
    terms: Terms
    actor: Actor
    now: datetime

    @classmethod
    def under_locks(
        cls, plan: SeriesPlan, days: Iterable[date], series_id: int | None, actor: Actor, now: datetime
    ) -> _DayByDay:
        """What each asks for is drafted before the locks."""
        adopted = Booking.objects.filter(pk=plan.adopts, evse__isnull=False) if plan.adopts else []
        also = [booking.evse_id for booking in adopted if booking.evse_id]
        requests = {day: plan.request(day, series_id) for day in days}
        drafts = drafted_together(requests, now)
        return cls(plan, requests, drafts, series_id, lock_days(plan.first, also=also, now=now), actor, now)

    def book(self, *, is_all_or_none: bool = False) -> list[OccurrenceOutcome]:
        """Raises _NotAll, where that is asked for."""
        found = []
        for day in self.requests:
            found.append(self._booked(day))
            if is_all_or_none and found[-1].refusal is not None:
                raise _NotAll(found[-1])
        return found

    def _booked(self, day: date) -> OccurrenceOutcome:
        request = self.requests[day]
        asked: dict[str, Any] = {"date": day, "asked": request.period, "is_open": request.ends_when_charged}
        try:
            periods.check_horizon(self.terms, request.period.starts_at, now=self.now)
            with transaction.atomic():
                booking = self._adopted(day) or self._requested(day)
        except BookingError as refusal:
            return OccurrenceOutcome(refusal=refusal, **asked)
        return OccurrenceOutcome(booking=booking, **asked)

    def _requested(self, day: date) -> Booking:
        draft = self.drafts.get(day)
        return request_booking(self.requests[day], draft=draft, actor=self.actor, now=self.now)

    def _adopted(self, day: date) -> Booking | None:
        """The booking that becomes the first day. Raises WrongStatus."""
        if self.plan.adopts is None or day != self.plan.rule.starts[0].date():
            return None
        booking = lock_booking(self.plan.adopts)
        is_free = booking.series_id is None and booking.fleet_id == self.plan.first.fleet.pk
        if not (is_free and booking.status in CHANGEABLE and booking.starts_at > self.now):
            raise WrongStatus(booking.status, "repeated", "This booking is over, or part of a series.")
        if self.series_id is not None:
            booking.series_id, booking.series_date = self.series_id, day
            lifecycle.record(
                booking, kind="repeated", actor=self.actor, at=self.now, fields=["series", "series_date"]
            )
        return booking

    def settle(
        self, series: BookingSeries, found: Sequence[OccurrenceOutcome], later: Sequence[date] = ()
    ) -> None:
        """What is beyond the horizon waits from its first day on, and what is left for `later`; what is refused before that
        becomes an exception."""
        beyond = next((outcome for outcome in found if outcome.is_beyond), None)
        refused = {one.date for one in found if one.refusal is not None and not one.is_beyond and one.date}
        series.exceptions = sorted({*series.exceptions, *refused})
        series.next_date, series.due_at, series.claimed_until = None, None, None
        if beyond is not None and beyond.asked is not None:
            ahead = timedelta(days=self.terms.horizon_days)
            series.next_date = beyond.date
            series.due_at = min(beyond.asked.starts_at - ahead, self.now + LOOK_AGAIN)
        elif later:
            series.next_date, series.due_at = later[0], self.now
        series.version += 1
        series.save(update_fields=["exceptions", "next_date", "due_at", "claimed_until", "version"])


def _begin(plan: SeriesPlan, request_id: str, now: datetime) -> BookingSeries:
    """Raises VehicleUnknown or TrailerUnknown."""
    first, start = plan.first, plan.rule.starts[0]
    vehicle = own_vehicle(first.vehicle, first.fleet)
    if vehicle is None:
        raise VehicleUnknown("A series is of one vehicle.")
    return BookingSeries.objects.create(
        fleet=first.fleet, option=first.option, evse=first.evse, vehicle=vehicle,
        trailer=own_trailer(first.trailer, first.fleet), asked=kept_of(first), rrule=plan.rule.text,
        exceptions=sorted(plan.exceptions), first_date=start.date(), first_time=start.time(), length=plan.length,
        request_id=request_id or new_request_id(), created_at=now,
    )  # fmt: skip
