"""When the clock on the wall changes which elements of a tariff hold: times of day, weekdays, dates, in one time zone.

Each moment is judged by its own local date and time. So in the night that has an hour twice a time that is in force holds
in both, and one that begins in an hour that is skipped begins right after it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from bookings.pricing.tariff_content import Restrictions

MIDNIGHT = time()
FOREVER = datetime.max.replace(tzinfo=UTC)
_DAY, _HOUR, _SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class ClockCondition:
    """A start alone holds until midnight, an end alone from midnight, equal ones all day, an earlier end over midnight."""

    starts: time
    ends: time
    first_date: date | None
    last_date: date | None
    weekdays: frozenset[int]

    @classmethod
    def of(cls, asked: Restrictions) -> ClockCondition | None:
        """None where the clock is not asked."""
        condition = cls(
            asked.start_time or MIDNIGHT,
            asked.end_time or MIDNIGHT,
            asked.start_date,
            asked.end_date,
            asked.weekdays,
        )
        return None if condition == _ALWAYS else condition

    def holds(self, local: datetime) -> bool:
        """`local` is the naive time on the wall."""
        today, now = local.date(), local.time()
        return (
            (not self.weekdays or local.isoweekday() in self.weekdays)
            and (self.first_date is None or self.first_date <= today)
            and (self.last_date is None or today < self.last_date)
            and self._holds_at(now)
        )

    def _holds_at(self, now: time) -> bool:
        if self.starts < self.ends:
            return self.starts <= now < self.ends
        return self.starts == self.ends or now >= self.starts or now < self.ends


_ALWAYS = ClockCondition(MIDNIGHT, MIDNIGHT, None, None, frozenset())


class Clock:
    """The conditions of a tariff. What holds at a moment is a number whose bit `n` stands for `conditions[n]`."""

    def __init__(self, conditions: Sequence[ClockCondition]) -> None:
        self.conditions = tuple(conditions)
        self.times = sorted({MIDNIGHT} | {at for one in conditions for at in (one.starts, one.ends)})

    def at(self, moment: datetime, zone: ZoneInfo) -> tuple[int, datetime]:
        """What holds at a moment in UTC, and a later one until which nothing of it changes."""
        if not self.conditions:
            return 0, FOREVER
        today = moment.date()
        begins, holding = _day(self, zone, today)
        found = bisect_right(begins, moment)
        if found < len(begins):
            return holding[found - 1], begins[found]
        begins, next_holding = _day(self, zone, today + _DAY)
        if next_holding[0] != holding[-1]:
            return holding[-1], begins[0]
        return holding[-1], begins[1] if len(begins) > 1 else begins[0] + _DAY

    def holding(self, local: datetime) -> int:
        return sum(1 << bit for bit, condition in enumerate(self.conditions) if condition.holds(local))


@lru_cache(maxsize=16_384)
def _day(clock: Clock, zone: ZoneInfo, day: date) -> tuple[list[datetime], list[int]]:
    """Of a day in UTC: moments at which something changes, the first of the day before them, and what holds from each."""
    begins: list[datetime] = []
    holding: list[int] = []
    for start, end, offset in _offsets(zone, datetime.combine(day, MIDNIGHT, UTC)):
        for moment in _changes(clock, start, end, offset):
            now = clock.holding((moment + offset).replace(tzinfo=None))
            if not holding or holding[-1] != now:
                begins.append(moment)
                holding.append(now)
    return begins, holding


def _changes(clock: Clock, start: datetime, end: datetime, offset: timedelta) -> list[datetime]:
    """The start, and each of the clock's times on the wall before the end, under one offset from UTC."""
    first = (start + offset).date()
    walls = (datetime.combine(first + days * _DAY, at, UTC) for days in (0, 1) for at in clock.times)
    return [start, *(moment for wall in walls if start < (moment := wall - offset) < end)]


def _offsets(zone: ZoneInfo, start: datetime) -> Iterator[tuple[datetime, datetime, timedelta]]:
    """A day in UTC in pieces with one offset each."""
    begins, offset, end = start, _offset(zone, start), start + _DAY
    for hour in range(1, 25):
        moment = start + hour * _HOUR
        new = _offset(zone, moment)
        if new != offset and (turn := _turn(zone, moment - _HOUR, moment)) < end:
            yield begins, turn, offset
            begins, offset = turn, new
    yield begins, end, offset


def _turn(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The second between two whole ones from which the offset is that of `after`."""
    offset = _offset(zone, after)
    while after - before > _SECOND:
        middle = (before + (after - before) // 2).replace(microsecond=0)
        if _offset(zone, middle) == offset:
            after = middle
        else:
            before = middle
    return after


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None
    return offset
