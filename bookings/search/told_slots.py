"""The free time that a partner's calendars tell, and what of it is nearest to a wish: pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from depots.periods import Period


def nearest_told(free: Iterable[Period], wanted: Period, step: timedelta, *, now: datetime) -> Period | None:
    """The period of the wanted length, rounded up to the step, within one of the free ones that begins nearest to it and not
    before now, on the step from where that one begins; None where all are too short."""
    wanted = Period(wanted.starts_at, wanted.starts_at - (-wanted.duration // step) * step)
    starts = (_start_in(span, wanted, step, now) for span in free)
    found = [Period(start, start + wanted.duration) for start in starts if start is not None]
    return min(found, key=lambda period: abs(period.starts_at - wanted.starts_at), default=None)


def begin_of_steps(free: Iterable[Period], wanted: Period, step: timedelta) -> datetime | None:
    """From where the steps of the free time are counted that covers a wish, where that begins or ends on none of them; else
    None. Free times are disjoint, so that one at most covers it."""
    begins = (span.starts_at for span in free if span.covers(wanted))
    off = (b for b in begins if (wanted.starts_at - b) % step or (wanted.ends_at - b) % step)
    return next(off, None)


def _start_in(span: Period, wanted: Period, step: timedelta, now: datetime) -> datetime | None:
    """The times of the calendar: a pool's 15 minutes may begin at 7 past."""
    begin, latest = span.starts_at, span.ends_at - wanted.duration
    earliest = begin - (begin - max(begin, now)) // step * step  # rounded up
    if earliest > latest:
        return None
    wish = min(max(wanted.starts_at, earliest), latest)
    return begin + (wish - begin) // step * step
