"""Free time, computed and never stored: the gaps between occupied spans, cut by hours and terms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from bookings import rules
from bookings.models import Booking, BookingOption, BookingStatus, Occupancy
from bookings.terms import LONGEST_EARLY_START, LONGEST_TAIL, Terms
from depots.models import Evse
from depots.periods import Period, gaps

# What is occupied reaches no further past a booked period; also how far around a wish the nearest slot is looked for.
FAR = max(LONGEST_EARLY_START, LONGEST_TAIL)


@dataclass(frozen=True)
class Timeslot:
    """Time in which any period on the step can be booked at an option, with what its best free EVSE gives, in watts."""

    period: Period
    max_power_w: int


def occupied(
    evse_ids: Collection[int], within: Period, *, now: datetime | None = None
) -> dict[int, list[Occupancy]]:
    """What takes these EVSEs in a span, in order, in one query. Holds that ran out by `now` count as free."""
    rows = Occupancy.objects.filter(evse_id__in=list(evse_ids), span__overlap=within).order_by("span")
    if now is not None:
        rows = rows.exclude(holder__in=overdue_holds(now))
    found: dict[int, list[Occupancy]] = defaultdict(list)
    for row in rows:
        found[row.evse_id].append(row)
    return found


def free_periods(
    evse_ids: Collection[int], within: Period, *, now: datetime | None = None
) -> dict[int, list[Period]]:
    """The gaps of many EVSEs at once, by EVSE id."""
    taken = occupied(evse_ids, within, now=now)
    return {evse_id: gaps(within, [row.span for row in taken[evse_id]]) for evse_id in evse_ids}


def bookable_periods(terms: Terms, evse: Evse, free: Iterable[Period], *, now: datetime) -> list[Period]:
    """What of an EVSE's free time a booking may fill: on the step, after the lead time, within the horizon, while
    open, and ending early enough for late stop or turnaround. Shorter than the shortest slot is not offered."""
    step, depot = terms.slot_step_min, evse.depot
    earliest = rules.first_start(terms, depot, now)
    latest = now + timedelta(days=terms.horizon_days)
    found = []
    for gap in free:
        starts_at = rules.aligned_up(max(gap.starts_at, earliest), step, depot)
        ends_at = rules.aligned_down(min(gap.ends_at - terms.tail, latest), step, depot)
        if ends_at - starts_at < timedelta(minutes=terms.min_duration_min):
            continue
        found += _while_open(terms, evse, Period(starts_at, ends_at))
    return found


def calendar(
    options: Collection[BookingOption], within: Period, terms: dict[int, Terms], *, now: datetime
) -> dict[int, list[Timeslot]]:
    """The free timeslots of several options by option id, in order; a pooled option is free where one of its EVSEs is.

    `terms` holds the resolved terms by option id. A timeslot is one EVSE's unbroken time: a period that fits in it can
    be booked without a change of EVSE. Of a pool, timeslots that lie inside another are left out.
    """
    evses = {option.pk: list(option.evses.all()) for option in options}
    # Turnaround reaches past the span that is asked for.
    free = free_periods({e.pk for group in evses.values() for e in group}, within.widened(FAR, FAR), now=now)
    found: dict[int, list[Timeslot]] = {}
    for option in options:
        slots = [
            Timeslot(cut, evse.max_power_w)
            for evse in evses[option.pk]
            for span in bookable_periods(terms[option.pk], evse, free[evse.pk], now=now)
            if (cut := span.intersection(within)) is not None
            and cut.minutes >= terms[option.pk].min_duration_min
        ]
        found[option.pk] = _without_covered(slots)
    return found


def nearest(
    terms: Terms, evses: Collection[Evse], wanted: Period, *, now: datetime, reach: timedelta = FAR
) -> Period | None:
    """The free period of the same length on one of these EVSEs whose start is closest to the wanted one."""
    free = free_periods([evse.pk for evse in evses], wanted.widened(reach, reach), now=now)
    return nearest_in(terms, [(evse, free[evse.pk]) for evse in evses], wanted, now=now)


def nearest_in(
    terms: Terms, free: Collection[tuple[Evse, list[Period]]], wanted: Period, *, now: datetime
) -> Period | None:
    """The same among free periods that were read already."""
    spans = [
        (evse, span)
        for evse, periods in free
        for span in bookable_periods(terms, evse, periods, now=now)
        if span.duration >= wanted.duration
    ]
    candidates = [_closest(terms, evse, span, wanted) for evse, span in spans]
    return min(candidates, key=lambda c: abs(c.starts_at - wanted.starts_at), default=None)


def overdue_holds(now: datetime) -> QuerySet[Booking, Any]:
    """Holders of holds that ran out and were not swept away yet, as a subquery."""
    return Booking.objects.filter(status=BookingStatus.HELD, held_until__lte=now).values("pk")


def _while_open(terms: Terms, evse: Evse, span: Period) -> list[Period]:
    """Each stretch of opening hours by itself: a slot that bridges a closed night can be booked where the depot charges
    when closed, but not every period in such a stretch could, so it is no timeslot."""
    return _trimmed(terms, evse, evse.depot.open_spans(span)) if evse.depot.opening_hours.all() else [span]


def _trimmed(terms: Terms, evse: Evse, spans: Iterable[Period]) -> list[Period]:
    found = []
    for span in spans:
        starts_at = rules.aligned_up(span.starts_at, terms.slot_step_min, evse.depot)
        ends_at = rules.aligned_down(span.ends_at, terms.slot_step_min, evse.depot)
        if ends_at - starts_at >= timedelta(minutes=terms.min_duration_min):
            found.append(Period(starts_at, ends_at))
    return found


def _without_covered(slots: list[Timeslot]) -> list[Timeslot]:
    kept: list[Timeslot] = []
    for slot in sorted(
        slots, key=lambda s: (s.period.starts_at, -s.period.ends_at.timestamp(), -s.max_power_w)
    ):
        if not any(k.period.covers(slot.period) and k.max_power_w >= slot.max_power_w for k in kept):
            kept.append(slot)
    return kept


def _closest(terms: Terms, evse: Evse, span: Period, wanted: Period) -> Period:
    latest = rules.aligned_down(span.ends_at - wanted.duration, terms.slot_step_min, evse.depot)
    start = rules.aligned_down(
        min(max(wanted.starts_at, span.starts_at), latest), terms.slot_step_min, evse.depot
    )
    start = max(start, span.starts_at)
    return Period(start, start + wanted.duration)
