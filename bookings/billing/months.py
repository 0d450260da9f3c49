"""A month of bills: what ends in it by the clock at its depot."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from bookings.billing.errors import MonthInvalid
from depots.periods import Period

_WRITTEN = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])", re.ASCII)


@dataclass(frozen=True, order=True)
class Month:
    year: int
    number: int

    @classmethod
    def read(cls, text: str) -> Month:
        """Of `2026-11`. Raises MonthInvalid."""
        found = _WRITTEN.fullmatch(text.strip())
        if found is None:
            raise MonthInvalid(f"“{text[:40]}” is no month; it is written 2026-11.")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of(cls, day: date) -> Month:
        return cls(day.year, day.month)

    @property
    def first_day(self) -> date:
        return date(self.year, self.number, 1)

    @property
    def next(self) -> Month:
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    @property
    def previous(self) -> Month:
        return Month(self.year - (self.number == 1), (self.number - 2) % 12 + 1)

    def in_zone(self, zone: str) -> Period:
        """From its first midnight there to the next month's."""
        bounds = (datetime(one.year, one.number, 1, tzinfo=ZoneInfo(zone)) for one in (self, self.next))
        return Period(*bounds).in_utc()

    def in_zones(self, zones: Iterable[str]) -> dict[str, Period]:
        return {zone: self.in_zone(zone) for zone in zones}

    def __str__(self) -> str:
        return f"{self.year}-{self.number:02}"
