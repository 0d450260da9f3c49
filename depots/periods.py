"""Half-open spans of time, and the column that stores them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.postgres.fields import DateTimeRangeField
from psycopg.types.range import Range, TimestamptzRange


@dataclass(frozen=True, order=True)
class Period:
    """The span [starts_at, ends_at) of aware datetimes. Raises ValueError when empty, reversed or naive."""

    starts_at: datetime
    ends_at: datetime

    def __post_init__(self) -> None:
        if self.starts_at.tzinfo is None or self.ends_at.tzinfo is None:
            raise ValueError("a period needs aware datetimes")
        if self.ends_at <= self.starts_at:
            raise ValueError("a period ends after it starts")

    @property
    def duration(self) -> timedelta:
        return self.ends_at - self.starts_at

    @property
    def minutes(self) -> float:
        return self.duration.total_seconds() / 60

    def overlaps(self, other: Period) -> bool:
        """Periods that only touch do not overlap."""
        return self.starts_at < other.ends_at and other.starts_at < self.ends_at

    def covers(self, other: Period) -> bool:
        return self.starts_at <= other.starts_at and other.ends_at <= self.ends_at

    def contains(self, moment: datetime) -> bool:
        return self.starts_at <= moment < self.ends_at

    def intersection(self, other: Period) -> Period | None:
        if not self.overlaps(other):
            return None
        return Period(max(self.starts_at, other.starts_at), min(self.ends_at, other.ends_at))

    def widened(self, before: timedelta = timedelta(), after: timedelta = timedelta()) -> Period:
        return Period(self.starts_at - before, self.ends_at + after)

    def in_utc(self) -> Period:
        return Period(self.starts_at.astimezone(UTC), self.ends_at.astimezone(UTC))

    def as_json(self) -> dict[str, str]:
        """{"start": …, "end": …} in UTC, as operator commands and events print it."""
        utc = self.in_utc()
        return {"start": utc_text(utc.starts_at), "end": utc_text(utc.ends_at)}


def gaps(within: Period, taken: list[Period]) -> list[Period]:
    """What remains of a span when the taken periods are cut out, in order of time."""
    free, cursor = [], within.starts_at
    for period in sorted(taken):
        if period.starts_at > cursor and cursor < within.ends_at:
            free.append(Period(cursor, min(period.starts_at, within.ends_at)))
        cursor = max(cursor, period.ends_at)
    if cursor < within.ends_at:
        free.append(Period(cursor, within.ends_at))
    return free


def united(periods: list[Period]) -> list[Period]:
    """The same time with overlapping and touching periods joined, in order."""
    joined: list[Period] = []
    for period in sorted(periods):
        if joined and period.starts_at <= joined[-1].ends_at:
            joined[-1] = Period(joined[-1].starts_at, max(joined[-1].ends_at, period.ends_at))
        else:
            joined.append(period)
    return joined


def spanning(periods: Iterable[Period]) -> Period | None:
    """From the first beginning to the last end; None of none."""
    found = list(periods)
    if not found:
        return None
    return Period(min(p.starts_at for p in found), max(p.ends_at for p in found))


class PeriodField(DateTimeRangeField):
    """A tstzrange column that reads and writes Period, always half-open."""

    def from_db_value(self, value: Range[datetime] | None, *_: Any) -> Period | None:
        if value is None or value.isempty or value.lower is None or value.upper is None:
            return None
        return Period(value.lower.astimezone(UTC), value.upper.astimezone(UTC))

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, Period):
            return TimestamptzRange(value.starts_at, value.ends_at, "[)")
        return super().get_prep_value(value)

    def to_python(self, value: Any) -> Any:
        return value if isinstance(value, Period) else super().to_python(value)


def utc_text(moment: datetime, *, timespec: str = "seconds") -> str:
    """As it stands on wires, in events and on standard output: `2026-12-01T10:00:00Z`. `timespec` as isoformat's; what is
    finer is cut off."""
    return moment.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")
