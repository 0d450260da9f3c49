"""May this be done now? One answer for page, command and partner; a refusal says what would be allowed."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil

from bookings.errors import (
    CancelTooLate,
    ChangeTooLate,
    DepotClosed,
    InThePast,
    NotAligned,
    TooFarAhead,
    TooLong,
    TooShort,
    TooSoon,
)
from bookings.models import Booking
from bookings.terms import Terms
from depots.models import Depot
from depots.periods import Period

# A message may be on its way for a moment when it asks for "now".
LATE_TOLERANCE = timedelta(seconds=60)


def check_period(terms: Terms, depot: Depot, period: Period, *, now: datetime) -> None:
    """Raises InThePast, TooSoon, TooFarAhead, NotAligned, TooShort, TooLong or DepotClosed, most basic first."""
    if period.starts_at < now - LATE_TOLERANCE:
        raise InThePast(
            "The slot starts in the past.", nearest=_shifted(period, first_start(terms, depot, now))
        )
    if period.starts_at < now + timedelta(minutes=terms.lead_min) - LATE_TOLERANCE:
        raise TooSoon(
            f"Slots here are booked at least {terms.lead_min} minutes ahead.",
            nearest=_shifted(period, first_start(terms, depot, now)),
        )
    if period.starts_at > now + timedelta(days=terms.horizon_days):
        raise TooFarAhead(f"Slots here are booked at most {terms.horizon_days} days ahead.")
    _check_shape(terms, depot, period)
    _check_open(terms, depot, period)


def check_end(terms: Terms, depot: Depot, period: Period, *, now: datetime) -> None:
    """For a booking that keeps its start and gets another end. Raises InThePast, NotAligned, TooShort, TooLong or
    DepotClosed."""
    if period.ends_at <= now:
        raise InThePast("The slot would be over already.")
    _check_shape(terms, depot, period)
    _check_open(terms, depot, period)


def check_change(booking: Booking, *, now: datetime) -> None:
    """Raises ChangeTooLate when the fleet's deadline for the period in force is over."""
    deadline = booking.terms.change_deadline(booking.period)
    if now > deadline:
        raise ChangeTooLate(deadline, local_time(booking.depot, deadline))


def check_cancel(booking: Booking, *, now: datetime) -> None:
    """Raises CancelTooLate when the fleet's deadline for the period in force is over."""
    deadline = booking.terms.cancel_deadline(booking.period)
    if now > deadline:
        raise CancelTooLate(deadline, local_time(booking.depot, deadline))


def can_change(booking: Booking, *, now: datetime) -> bool:
    return booking.status in {"confirmed", "requested"} and now <= booking.terms.change_deadline(
        booking.period
    )


def can_cancel(booking: Booking, *, now: datetime) -> bool:
    """A held or undecided booking is given back at any time, a confirmed one until its deadline."""
    if booking.status in {"held", "requested"}:
        return True
    return booking.status == "confirmed" and now <= booking.terms.cancel_deadline(booking.period)


def first_start(terms: Terms, depot: Depot, now: datetime) -> datetime:
    """The first moment a slot may start: after the lead time, on the step."""
    return aligned_up(now + timedelta(minutes=terms.lead_min), terms.slot_step_min, depot)


def aligned_up(moment: datetime, step_min: int, depot: Depot) -> datetime:
    """The next moment on the step; steps count from the local midnight, on the wall clock."""
    local = moment.astimezone(depot.zone)
    minutes = local.hour * 60 + local.minute + (local.second + local.microsecond / 1e6) / 60
    return moment + timedelta(minutes=ceil(minutes / step_min) * step_min - minutes)


def aligned_down(moment: datetime, step_min: int, depot: Depot) -> datetime:
    up = aligned_up(moment, step_min, depot)
    return up if up == moment else up - timedelta(minutes=step_min)


def is_aligned(moment: datetime, step_min: int, depot: Depot) -> bool:
    local = moment.astimezone(depot.zone)
    return not local.second and not local.microsecond and (local.hour * 60 + local.minute) % step_min == 0


def local_time(depot: Depot, moment: datetime) -> str:
    """As a person at the depot reads it, with the zone where it is not obvious."""
    return f"{moment.astimezone(depot.zone):%a %-d %b %H:%M} ({depot.time_zone})"


def _check_open(terms: Terms, depot: Depot, period: Period) -> None:
    """At a partner's depot its calendar says what can be asked for; the hours it tells are for people."""
    if not depot.is_mirror and not depot.is_open(period):
        raise DepotClosed("The depot is closed then.", nearest=_nearest_open(terms, depot, period))


def _check_shape(terms: Terms, depot: Depot, period: Period) -> None:
    """A partner's step counts from the begin of its timeslots, which may be anywhere: it answers for itself."""
    step = terms.slot_step_min
    if not depot.is_mirror and not (
        is_aligned(period.starts_at, step, depot) and is_aligned(period.ends_at, step, depot)
    ):
        start = aligned_down(period.starts_at, step, depot)
        length = max(step, ceil(period.minutes / step) * step)
        raise NotAligned(
            f"Slots here start and end on every {step} minutes.",
            nearest=Period(start, start + timedelta(minutes=length)),
        )
    if period.minutes < terms.min_duration_min:
        longer = Period(period.starts_at, period.starts_at + timedelta(minutes=terms.min_duration_min))
        raise TooShort(f"Slots here last at least {terms.min_duration_min} minutes.", nearest=longer)
    if period.minutes > terms.max_duration_min:
        shorter = Period(period.starts_at, period.starts_at + timedelta(minutes=terms.max_duration_min))
        raise TooLong(f"Slots here last at most {terms.max_duration_min} minutes.", nearest=shorter)


def _shifted(period: Period, starts_at: datetime) -> Period:
    return Period(starts_at, starts_at + period.duration)


def _nearest_open(terms: Terms, depot: Depot, period: Period) -> Period | None:
    """The same length in the next opening hours that have room for it, within a week."""
    week = Period(period.starts_at, period.starts_at + timedelta(days=7))
    for span in depot.open_spans(week):
        start = aligned_up(span.starts_at, terms.slot_step_min, depot)
        candidate = Period(start, start + period.duration)
        if depot.is_open(candidate):
            return candidate
    return None
