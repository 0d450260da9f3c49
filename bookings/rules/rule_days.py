"""The days of a rule of RFC 5545 (section 3.3.10), looked at one after the other: as many steps as there are days, whatever it
says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import NamedTuple

_DAY = timedelta(days=1)
_WEEK = 7


class Weekday(NamedTuple):
    """Monday is 0. The `number`-th of its month or year, from the end where it is negative; None means each."""

    day: int
    number: int | None = None


@dataclass(frozen=True, kw_only=True)
class DayRule:
    """Its parts by their names there; numbers may be negative where they count from the end. Weeks begin on `wkst`. An empty part
    says nothing; a frequency is one of DAILY, WEEKLY, MONTHLY and YEARLY."""

    freq: str
    interval: int = 1
    wkst: int = 0
    bymonth: frozenset[int] = frozenset()
    byweekno: frozenset[int] = frozenset()
    byyearday: frozenset[int] = frozenset()
    bymonthday: frozenset[int] = frozenset()
    byday: frozenset[Weekday] = frozenset()
    bysetpos: frozenset[int] = frozenset()

    def days(self, first: date, last: date) -> Iterator[date]:
        """In their order, from the first to the last of these two, of a rule that is complete."""
        begins = self._begin(first)
        while begins <= last:
            named = [day for day in _each(begins, self._later(begins, 1)) if self.names(day)]
            yield from (day for day in self._chosen(named) if first <= day <= last)
            begins = self._later(begins, self.interval)

    def completed(self, first: date) -> DayRule:
        """With what it leaves open as on its first day."""
        if self.freq == "DAILY" or self.byweekno or self.byyearday or self.bymonthday or self.byday:
            return self
        if self.freq == "WEEKLY":
            return replace(self, byday=frozenset({Weekday(first.weekday())}))
        months = self.bymonth or {first.month} if self.freq == "YEARLY" else self.bymonth
        return replace(self, bymonth=frozenset(months), bymonthday=frozenset({first.day}))

    def names(self, day: date) -> bool:
        """Whether all parts do, but for BYSETPOS."""
        return (
            (not self.bymonth or day.month in self.bymonth)
            and (not self.byweekno or bool(self.byweekno & set(self._week_numbers(day))))
            and (not self.byyearday or bool(self.byyearday & set(_numbers(day, *_year(day)))))
            and (not self.bymonthday or bool(self.bymonthday & set(_numbers(day, *_month(day)))))
            and (not self.byday or self._names_weekday(day))
        )

    def _begin(self, day: date) -> date:
        """Of the day, week, month or year it is in."""
        if self.freq == "WEEKLY":
            return day - _DAY * ((day.weekday() - self.wkst) % _WEEK)
        if self.freq == "MONTHLY":
            return day.replace(day=1)
        return day.replace(month=1, day=1) if self.freq == "YEARLY" else day

    def _later(self, begins: date, number: int) -> date:
        """The beginning of so many days, weeks, months or years later."""
        if self.freq in {"DAILY", "WEEKLY"}:
            return begins + _DAY * number * (_WEEK if self.freq == "WEEKLY" else 1)
        if self.freq == "YEARLY":
            return begins.replace(year=begins.year + number)
        years, month = divmod(begins.month - 1 + number, 12)
        return begins.replace(year=begins.year + years, month=month + 1)

    def _chosen(self, named: Sequence[date]) -> Sequence[date]:
        if not self.bysetpos:
            return named
        length = len(named)
        return [day for n, day in enumerate(named) if {n + 1, n - length} & self.bysetpos]

    def _names_weekday(self, day: date) -> bool:
        known = Weekday(day.weekday())
        if known in self.byday:
            return True
        span = _year(day) if self.freq == "YEARLY" and not self.bymonth else _month(day)
        from_start, from_end = _numbers(day, *span)
        numbers = (from_start - 1) // _WEEK + 1, -1 - (-from_end - 1) // _WEEK
        return any(known._replace(number=number) in self.byday for number in numbers)

    def _week_numbers(self, day: date) -> tuple[int, int]:
        """Of its week, from the start and from the end of the year that has most of its days."""
        begins = day - _DAY * ((day.weekday() - self.wkst) % _WEEK)
        year = (begins + 3 * _DAY).year
        number = (begins - self._first_week(year)).days // _WEEK
        return number + 1, number - (self._first_week(year + 1) - self._first_week(year)).days // _WEEK

    def _first_week(self, year: int) -> date:
        """Where it begins: the first that has at least four of its days in the year."""
        fourth = date(year, 1, 4)
        return fourth - _DAY * ((fourth.weekday() - self.wkst) % _WEEK)


def _each(begins: date, ends: date) -> Iterator[date]:
    """From the first to before the last."""
    return (begins + _DAY * n for n in range((ends - begins).days))


def _numbers(day: date, begins: date, ends: date) -> tuple[int, int]:
    """Which day it is of a span, from its start (1, 2, ...) and from its end (-1, -2, ...)."""
    return (day - begins).days + 1, (day - ends).days


def _year(day: date) -> tuple[date, date]:
    begins = day.replace(month=1, day=1)
    return begins, begins.replace(year=day.year + 1)


def _month(day: date) -> tuple[date, date]:
    begins = day.replace(day=1)
    return begins, (begins + 31 * _DAY).replace(day=1)
