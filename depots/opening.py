"""When a depot is open: its hours, by the wall clock of its zone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from depots.periods import Period, united


class WeeklyHours(Protocol):
    @property
    def weekday(self) -> int: ...

    def on(self, day: date, zone: ZoneInfo, /) -> Period | None: ...


def is_open(
    hours: Sequence[WeeklyHours], zone: ZoneInfo, period: Period, *, charging_when_closed: bool
) -> bool:
    """May a vehicle be there then? With `charging_when_closed` only arrival and departure need an open gate."""
    if not hours:
        return True
    spans = open_spans(hours, zone, period.widened(timedelta(days=1), timedelta(days=1)))
    if charging_when_closed:
        return any(s.contains(period.starts_at) for s in spans) and any(
            s.starts_at < period.ends_at <= s.ends_at for s in spans
        )
    return any(span.covers(period) for span in spans)


def open_spans(hours: Sequence[WeeklyHours], zone: ZoneInfo, within: Period) -> list[Period]:
    """The opening hours inside a span, joined, in the depot's own zone; no hours at all means always open.

    Local days have 23 or 25 hours where clocks change: every border is taken from the wall clock of its day.
    """
    if not hours:
        return [within]
    spans = []
    day = within.starts_at.astimezone(zone).date() - timedelta(days=1)
    last = within.ends_at.astimezone(zone).date()
    while day <= last:
        spans += [h.on(day, zone) for h in hours if h.weekday == day.isoweekday()]
        day += timedelta(days=1)
    cut = [span.intersection(within) for span in united([s for s in spans if s is not None])]
    return [span for span in cut if span is not None]


def stretch(day: date, from_minute: int, to_minute: int, zone: ZoneInfo) -> Period | None:
    """A local day's hours in minutes of the wall clock, 1440 being the midnight that ends it; into the next day where the end is
    not after the start. None where a change of clocks swallows them whole."""
    until = day if from_minute < to_minute else day + timedelta(days=1)
    starts_at, ends_at = _wall(day, from_minute, zone), _wall(until, to_minute, zone)
    return Period(starts_at, ends_at) if starts_at < ends_at else None


def _wall(day: date, minute: int, zone: ZoneInfo) -> datetime:
    day, minute = (day + timedelta(days=1), 0) if minute == 1440 else (day, minute)
    return datetime.combine(day, time(minute // 60, minute % 60), zone).astimezone(UTC)
