"""May this be done now? One answer for page, command and partner; a refusal says what would be allowed."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from math import ceil
from zoneinfo import ZoneInfo

from bookings.errors import DepotClosed, InThePast, NotAligned, TooFarAhead, TooLong, TooShort, TooSoon
from bookings.rules.configuration import Site
from bookings.rules.terms import Terms
from depots.models import Depot
from depots.periods import Period

# A message may be on its way for a moment when it asks for "now".
LATE_TOLERANCE = timedelta(seconds=60)


def check_period(terms: Terms, depot: Depot | Site, period: Period, *, now: datetime) -> None:
    """Raises InThePast, TooSoon, TooFarAhead, NotAligned, TooShort, TooLong or DepotClosed, most basic first."""
    if period.starts_at < now - LATE_TOLERANCE:
        raise InThePast(
            "The slot starts in the past.",
            nearest=fitted(terms, depot, first_start(terms, depot, now), period.duration),
        )
    if period.starts_at < now + timedelta(minutes=terms.lead_min) - LATE_TOLERANCE:
        raise TooSoon(
            f"Slots here are booked at least {terms.lead_min} minutes ahead.",
            nearest=fitted(terms, depot, first_start(terms, depot, now), period.duration),
        )
    check_horizon(terms, period.starts_at, now=now)
    _check_shape(terms, depot, period)
    _check_open(terms, depot, period)


def check_horizon(terms: Terms, starts_at: datetime, *, now: datetime) -> None:
    """Raises TooFarAhead."""
    if starts_at > now + timedelta(days=terms.horizon_days):
        raise TooFarAhead(f"Slots here are booked at most {terms.horizon_days} days ahead.")


def check_end(terms: Terms, depot: Depot | Site, period: Period, *, now: datetime) -> None:
    """For a booking that keeps its start and gets another end. Raises InThePast, NotAligned, TooShort, TooLong or
    DepotClosed."""
    if period.ends_at <= now:
        raise InThePast("The slot would be over already.")
    _check_shape(terms, depot, period)
    _check_open(terms, depot, period)


def check_late(terms: Terms, depot: Depot | Site, period: Period, *, since: datetime, now: datetime) -> None:
    """For a truck that comes later than at `since`: off the step, too, and as short as the room that is left. Raises InThePast,
    TooFarAhead or DepotClosed."""
    if period.ends_at <= now:
        raise InThePast("The slot would be over already.")
    if period.starts_at - since > timedelta(minutes=terms.max_duration_min):
        raise TooFarAhead(
            f"A slot slides by {terms.max_duration_min} minutes in all, which is the longest here: book another one."
        )
    _check_open(terms, depot, period)


def first_start(terms: Terms, depot: Depot | Site, now: datetime) -> datetime:
    """The first moment a slot may start: after the lead time, on the step."""
    return aligned_up(now + timedelta(minutes=terms.lead_min), terms.slot_step_min, depot)


def first_slot(terms: Terms, depot: Depot | Site, wanted: Period, *, now: datetime) -> Period:
    """The first period on the step that begins no sooner than the wanted one and after the lead time, no shorter than it and
    than its terms allow."""
    step = terms.slot_step_min
    starts_at = max(aligned_up(wanted.starts_at, step, depot), first_start(terms, depot, now))
    length = max(wanted.duration, timedelta(minutes=terms.min_duration_min))
    return Period(starts_at, aligned_up(starts_at + length, step, depot))


def aligned_up(moment: datetime, step_min: int, depot: Depot | Site) -> datetime:
    """The next moment on the step; steps count from the local midnight, on the wall clock, and begin anew with each day.

    Where the clocks change the wall clock jumps, and so do the moments on the step.
    """
    zone = depot.zone
    while True:
        local = moment.astimezone(zone)
        past = _since_midnight(local)
        ahead = min(ceil(past / _minutes(step_min)) * _minutes(step_min), _DAY) - past
        found = moment + ahead
        if found.astimezone(zone).utcoffset() == local.utcoffset():
            return found
        moment = _clock_change(moment, found, zone)


def aligned_down(moment: datetime, step_min: int, depot: Depot | Site) -> datetime:
    """The last moment on the step that is not later."""
    zone = depot.zone
    while True:
        local = moment.astimezone(zone)
        found = moment - _since_midnight(local) % _minutes(step_min)
        if found.astimezone(zone).utcoffset() == local.utcoffset():
            return found
        moment = _clock_change(found, moment, zone)
        if is_aligned(moment, step_min, depot):
            return moment
        moment -= timedelta(microseconds=1)


def on_step(span: Period, step_min: int, depot: Depot | Site) -> list[Period]:
    """The parts of an aligned span in which moments on the step follow one another at exactly the step.

    Who counts steps from the start of such a part always names moments that are on the step: never so across a change of
    clocks that is no multiple of the step, nor across midnight where the step does not divide the day.
    """
    found, since = [], span.starts_at
    for moment in _breaks(span, step_min, depot):
        until = aligned_down(moment - timedelta(microseconds=1), step_min, depot)
        if until > since:
            found.append(Period(since, until))
        since = max(since, aligned_up(moment, step_min, depot))
    if span.ends_at > since:
        found.append(Period(since, span.ends_at))
    return found


def is_aligned(moment: datetime, step_min: int, depot: Depot | Site) -> bool:
    local = moment.astimezone(depot.zone)
    return not local.second and not local.microsecond and (local.hour * 60 + local.minute) % step_min == 0


def local_time(depot: Depot | Site, moment: datetime) -> str:
    """As a person at the depot reads it, with the zone where it is not obvious."""
    return f"{moment.astimezone(depot.zone):%a %-d %b %H:%M} ({depot.time_zone})"


def _check_open(terms: Terms, depot: Depot | Site, period: Period) -> None:
    """At a partner's depot its calendar says what can be asked for; the hours it tells are for people."""
    if not depot.is_mirror and not depot.is_open(period):
        raise DepotClosed("The depot is closed then.", nearest=_nearest_open(terms, depot, period))


def _check_shape(terms: Terms, depot: Depot | Site, period: Period) -> None:
    """A partner's step counts from the begin of its timeslots, which may be anywhere: it answers for itself."""
    step = terms.slot_step_min
    if not depot.is_mirror and not (
        is_aligned(period.starts_at, step, depot) and is_aligned(period.ends_at, step, depot)
    ):
        start = aligned_down(period.starts_at, step, depot)
        raise NotAligned(
            f"Slots here start and end on every {step} minutes.",
            nearest=fitted(terms, depot, start, period.duration),
        )
    if period.minutes < terms.min_duration_min:
        longer = fitted(terms, depot, period.starts_at, timedelta())
        raise TooShort(f"Slots here last at least {terms.min_duration_min} minutes.", nearest=longer)
    if period.minutes > terms.max_duration_min:
        shorter = fitted(terms, depot, period.starts_at, period.duration)
        raise TooLong(f"Slots here last at most {terms.max_duration_min} minutes.", nearest=shorter)


def fitted(terms: Terms, depot: Depot | Site, starts_at: datetime, length: timedelta) -> Period | None:
    """From an aligned start a period on the step that is as long as wanted, as far as its terms allow; None where the
    clocks change so that no length does."""
    step = terms.slot_step_min
    shortest, longest = timedelta(minutes=terms.min_duration_min), timedelta(minutes=terms.max_duration_min)
    ends_at = aligned_up(starts_at + max(length, shortest), step, depot)
    if ends_at > starts_at + longest:
        ends_at = aligned_down(starts_at + longest, step, depot)
    return Period(starts_at, ends_at) if ends_at >= starts_at + shortest else None


def _breaks(span: Period, step_min: int, depot: Depot | Site) -> list[datetime]:
    """The moments inside a span at which the steps do not go on evenly."""
    zone, found = depot.zone, []
    day = span.starts_at.astimezone(zone).date()
    at = span.starts_at
    while at < span.ends_at:
        day += timedelta(days=1)
        midnight = datetime.combine(day, time(), zone).astimezone(UTC)
        change = midnight.astimezone(zone).utcoffset() - at.astimezone(zone).utcoffset()  # type: ignore[operator]
        if change % _minutes(step_min):
            found.append(_clock_change(at, midnight, zone))
        if _DAY % _minutes(step_min):
            found.append(midnight)
        at = midnight
    return sorted({moment for moment in found if span.starts_at < moment < span.ends_at})


def _clock_change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The moment between two at which the zone's offset becomes the later one's; a whole second."""
    offset = after.astimezone(zone).utcoffset()
    first, last = int(before.timestamp()), ceil(after.timestamp())
    while last - first > 1:
        middle = (first + last) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            last = middle
        else:
            first = middle
    return datetime.fromtimestamp(last, UTC)


def _since_midnight(local: datetime) -> timedelta:
    """As the wall clock counts it."""
    return timedelta(
        hours=local.hour, minutes=local.minute, seconds=local.second, microseconds=local.microsecond
    )


def _minutes(number: int) -> timedelta:
    return timedelta(minutes=number)


_DAY = timedelta(days=1)


def _nearest_open(terms: Terms, depot: Depot | Site, period: Period) -> Period | None:
    """The same length in the next opening hours that have room for it, within a week."""
    week = Period(period.starts_at, period.starts_at + timedelta(days=7))
    for span in depot.open_spans(week):
        start = aligned_up(span.starts_at, terms.slot_step_min, depot)
        candidate = fitted(terms, depot, start, period.duration)
        if candidate is not None and depot.is_open(candidate):
            return candidate
    return None
