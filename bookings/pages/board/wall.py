"""A depot's clock on the wall: moments and spans as its board writes them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from depots.periods import utc_text


class LocalTime(NamedTuple):
    """`utc` is 2026-12-01T10:00:00Z, `clock` 11:00, `day` Tue 1 Dec."""

    utc: str
    clock: str
    weekday: str
    day: str
    date: date
    offset: timedelta | None

    def until(self, last: LocalTime) -> str:
        """`10:00–10:45`; with the day where it ends on another, with the offset where clocks change in it."""
        if self.offset != last.offset:
            return f"{self.clock} ({_offset_of(self)})–{last.clock} ({_offset_of(last)})"
        if self.date != last.date:
            return f"{self.clock}–{last.weekday} {last.clock}"
        return f"{self.clock}–{last.clock}"


class WallClock(dict[datetime, LocalTime]):
    """`wall[moment]`, worked out once: bookings stand on a step, so a week of thousands has a few hundred moments."""

    def __init__(self, zone: ZoneInfo) -> None:
        super().__init__()
        self._zone = zone

    def __missing__(self, moment: datetime) -> LocalTime:
        local = moment.astimezone(self._zone)
        found = self[moment] = LocalTime(
            utc_text(moment), f"{local:%H:%M}", f"{local:%a}", f"{local:%a %-d %b}", local.date(), local.utcoffset()
        )  # fmt: skip
        return found


def _offset_of(moment: LocalTime) -> str:
    """`UTC+1`, `UTC-3:30`."""
    assert moment.offset is not None
    minutes = round(moment.offset.total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}{f':{rest:02}' if rest else ''}"
