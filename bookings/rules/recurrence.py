"""The moments of a series: a rule of RFC 5545 (section 3.3.10) by the clock of its depot, read in bounded time.

A series has at most one slot a day, known by its local date. Its rule has an end, and lies within MOST_YEARS: whatever a rule
says, each day until then is looked at once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from bookings.errors import RuleUnclear
from bookings.rules.rule_days import DayRule, Weekday

MOST_OCCURRENCES = 400
MOST_YEARS = 10
MOST_CHARACTERS = 300
_FREQUENCIES = {name: name for name in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")}
_WEEKDAYS = {"MO": 0, "TU": 1, "WE": 2, "TH": 3, "FR": 4, "SA": 5, "SU": 6}
_NUMBERS = {
    "BYMONTH": (1, 12),
    "BYMONTHDAY": (-31, 31),
    "BYYEARDAY": (-366, 366),
    "BYWEEKNO": (-53, 53),
    "BYSETPOS": (-366, 366),
}
_ONLY_WITH = {
    "BYMONTHDAY": ("DAILY", "MONTHLY", "YEARLY"),
    "BYYEARDAY": ("YEARLY",),
    "BYWEEKNO": ("YEARLY",),
}
_YEARS = range(2000, 2200)
_ENDS = {"COUNT", "UNTIL"}
_SUB_DAILY = {"BYHOUR", "BYMINUTE", "BYSECOND"}
_WEEKDAY = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,3}", re.ASCII)
_UNTIL = re.compile(r"(\d{8})(T(\d{6})(Z?))?", re.ASCII)


@dataclass(frozen=True)
class Recurrence:
    """`starts` are the local times, without a zone, at which its slots begin, in order; `text` is the rule as it is kept."""

    text: str
    starts: tuple[datetime, ...]

    def without(self, exceptions: Collection[date]) -> list[datetime]:
        """Those of other days. Raises RuleUnclear where none is left."""
        left = [moment for moment in self.starts if moment.date() not in exceptions]
        if not left:
            raise RuleUnclear("With these exceptions nothing is left of the series.", field="exceptions")
        return left


def read(text: str, first: datetime, zone: ZoneInfo) -> Recurrence:
    """The rule of a series that begins at `first`, a local time without a zone. Raises RuleUnclear, naming what is not
    understood or not offered."""
    parts = _parts(text)
    if ("COUNT" in parts) == ("UNTIL" in parts):
        raise RuleUnclear("A series has an end: write either COUNT or UNTIL.")
    if first.year not in _YEARS:
        raise RuleUnclear(f"A series begins in a year before {_YEARS.stop}.", field="first.starts_at")
    asked = {name.lower(): _part(name, value) for name, value in parts.items() if name not in _ENDS}
    last = first + timedelta(days=366 * MOST_YEARS)
    count = _number("COUNT", parts["COUNT"], 1, MOST_OCCURRENCES) if "COUNT" in parts else None
    until = _until(parts["UNTIL"], zone) if "UNTIL" in parts else last
    if until > last:
        raise RuleUnclear(f"A series ends within {MOST_YEARS} years.")
    _check_parts(parts)
    starts = tuple(islice(_generated(DayRule(**asked), first, until), count or MOST_OCCURRENCES + 1))
    _check(starts, first, count)
    return Recurrence(";".join(f"{name}={value}" for name, value in parts.items()), starts)


def moment(local: datetime, zone: ZoneInfo) -> datetime:
    """In UTC: a local time that is skipped is read with the offset before the gap, of one that comes twice it is the first
    (RFC 5545, section 3.3.5)."""
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def local(moment: datetime, zone: ZoneInfo) -> datetime:
    """As the clock shows it, without the zone."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _parts(text: str) -> dict[str, str]:
    """By name, as they stand there."""
    if len(text) > MOST_CHARACTERS:
        raise RuleUnclear(f"A rule has at most {MOST_CHARACTERS} characters.")
    found: dict[str, str] = {}
    for part in text.strip().upper().removeprefix("RRULE:").split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise RuleUnclear(f"{part or 'Nothing'} is no part of a rule, as FREQ=WEEKLY is.")
        if name in found:
            raise RuleUnclear(f"{name} stands there twice.")
        found[name] = value
    if "FREQ" not in found:
        raise RuleUnclear("A rule says how often: FREQ=DAILY, WEEKLY, MONTHLY or YEARLY.")
    return found


def _part(name: str, value: str) -> Any:
    """Its value, as of DayRule."""
    if name == "FREQ":
        return _chosen(value, _FREQUENCIES, "A series has at most one slot a day: FREQ is one of {}.")
    if name == "WKST":
        return _chosen(value, _WEEKDAYS, "WKST is one of {}.")
    if name == "INTERVAL":
        return _number(name, value, 1, 999)
    if name == "BYDAY":
        return frozenset(_weekday(one) for one in _listed(name, value))
    if name in _NUMBERS:
        return frozenset(_number(name, one, *_NUMBERS[name]) for one in _listed(name, value))
    if name in _SUB_DAILY:
        raise RuleUnclear(f"A series has at most one slot a day, at the time of its first: leave {name} out.")
    raise RuleUnclear(f"{name[:20]} is no part of a rule.")


def _chosen(value: str, known: Mapping[str, object], sentence: str) -> object:
    if value not in known:
        raise RuleUnclear(sentence.format(", ".join(known)))
    return known[value]


def _listed(name: str, value: str) -> list[str]:
    found = value.split(",")
    if len(set(found)) != len(found):
        raise RuleUnclear(f"{name} names something twice.")
    return found


def _number(name: str, value: str, least: int, most: int) -> int:
    number = int(value) if _NUMBER.fullmatch(value) else 0
    if not number or not least <= number <= most:
        raise RuleUnclear(f"{name} is a number from {least} to {most}{', not 0' if least < 0 else ''}.")
    return number


def _weekday(value: str) -> Weekday:
    found = _WEEKDAY.fullmatch(value)
    if found is None:
        raise RuleUnclear(f"{value[:20] or 'Nothing'} is no weekday, as MO or -1FR is.")
    return Weekday(_WEEKDAYS[found[2]], _number("BYDAY", found[1], -53, 53) if found[1] else None)


def _until(value: str, zone: ZoneInfo) -> datetime:
    """In local time, and included; of a day its end."""
    found = _UNTIL.fullmatch(value)
    try:
        if found is None:
            raise ValueError
        moment = datetime.strptime(found[1] + (found[3] or "235959"), "%Y%m%d%H%M%S")  # noqa: DTZ007
        if moment.year not in _YEARS:
            raise ValueError
    except ValueError:
        raise RuleUnclear("UNTIL is a day, as 20301231, or a time, as 20301231T120000Z.") from None
    return local(moment.replace(tzinfo=UTC), zone) if found[4] else moment


def _generated(rule: DayRule, first: datetime, until: datetime) -> Iterator[datetime]:
    days = rule.completed(first.date()).days(first.date(), until.date())
    starts = (datetime.combine(day, first.time()) for day in days)
    return (start for start in starts if start <= until)


def _check_parts(parts: Mapping[str, str]) -> None:
    """Raises RuleUnclear of what RFC 5545 forbids beside each other."""
    frequency = parts["FREQ"]
    for name, allowed in _ONLY_WITH.items():
        if name in parts and frequency not in allowed:
            raise RuleUnclear(f"{name} stands with FREQ={' or '.join(allowed)} alone.")
    is_numbered = any(sign.isdigit() for sign in parts.get("BYDAY", ""))
    if is_numbered and (frequency in {"DAILY", "WEEKLY"} or "BYWEEKNO" in parts):
        raise RuleUnclear("A numbered weekday in BYDAY stands with FREQ=MONTHLY or YEARLY alone.")
    if "BYSETPOS" in parts and not any(name.startswith("BY") for name in parts.keys() - {"BYSETPOS"}):
        raise RuleUnclear("BYSETPOS chooses among the days of another part, as BYDAY.")


def _check(starts: tuple[datetime, ...], first: datetime, count: int | None) -> None:
    if not starts:
        raise RuleUnclear("The rule has no day in its time.")
    if starts[0] != first:
        raise RuleUnclear(
            f"The first slot is on {first:%a %-d %b %Y}, which is no day of the rule: its next is {starts[0]:%a %-d %b %Y}.",
            field="first.starts_at",
        )
    if len(starts) > MOST_OCCURRENCES:
        raise RuleUnclear(f"A series has at most {MOST_OCCURRENCES} slots.")
    if count is not None and len(starts) < count:
        raise RuleUnclear(f"A series ends within {MOST_YEARS} years: of {count} slots {len(starts)} do.")
