"""The moments of a series: a rule of RFC 5545 (section 3.3.10) by the clock of its depot, read in bounded time.

A series has at most one slot a day, known by its local date. Its rule has an end, and lies within MOST_YEARS: whatever a rule
says, no more than one day after the other is looked at until then.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from dateutil import rrule

from bookings.errors import RuleUnclear

MOST_OCCURRENCES = 400
MOST_YEARS = 10
MOST_CHARACTERS = 300
_FREQUENCIES = {
    "DAILY": rrule.DAILY, "WEEKLY": rrule.WEEKLY, "MONTHLY": rrule.MONTHLY, "YEARLY": rrule.YEARLY,
}  # fmt: skip
_WEEKDAYS = {
    "MO": rrule.MO, "TU": rrule.TU, "WE": rrule.WE, "TH": rrule.TH, "FR": rrule.FR, "SA": rrule.SA, "SU": rrule.SU,
}  # fmt: skip
_NUMBERS = {
    "BYMONTH": ("bymonth", 1, 12),
    "BYMONTHDAY": ("bymonthday", -31, 31),
    "BYYEARDAY": ("byyearday", -366, 366),
    "BYWEEKNO": ("byweekno", -53, 53),
    "BYSETPOS": ("bysetpos", -366, 366),
}
_ONLY_WITH = {
    "BYMONTHDAY": ("DAILY", "MONTHLY", "YEARLY"),
    "BYYEARDAY": ("YEARLY",),
    "BYWEEKNO": ("YEARLY",),
}
_LAST_YEAR = 9999
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
    asked = dict(_keyword(name, value) for name, value in parts.items() if name not in _ENDS)
    last = first + timedelta(days=366 * MOST_YEARS)
    count = _number("COUNT", parts["COUNT"], 1, MOST_OCCURRENCES) if "COUNT" in parts else None
    until = _until(parts["UNTIL"], zone) if "UNTIL" in parts else last
    if until > last:
        raise RuleUnclear(f"A series ends within {MOST_YEARS} years.")
    _check_parts(parts)
    starts = tuple(islice(_generated(first, until, asked), count or MOST_OCCURRENCES + 1))
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


def _keyword(name: str, value: str) -> tuple[str, Any]:
    """What dateutil calls it, and its value."""
    if name == "FREQ":
        return "freq", _chosen(value, _FREQUENCIES, "A series has at most one slot a day: FREQ is one of {}.")
    if name == "WKST":
        return "wkst", _chosen(value, _WEEKDAYS, "WKST is one of {}.")
    if name == "INTERVAL":
        return "interval", _number(name, value, 1, 999)
    if name == "BYDAY":
        return "byweekday", [_weekday(one) for one in _listed(name, value)]
    if name in _NUMBERS:
        keyword, least, most = _NUMBERS[name]
        return keyword, [_number(name, one, least, most) for one in _listed(name, value)]
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


def _weekday(value: str) -> object:
    found = _WEEKDAY.fullmatch(value)
    if found is None:
        raise RuleUnclear(f"{value[:20] or 'Nothing'} is no weekday, as MO or -1FR is.")
    day = _WEEKDAYS[found[2]]
    return day(_number("BYDAY", found[1], -53, 53)) if found[1] else day


def _until(value: str, zone: ZoneInfo) -> datetime:
    """In local time, and included; of a day its end."""
    found = _UNTIL.fullmatch(value)
    try:
        if found is None:
            raise ValueError
        moment = datetime.strptime(found[1] + (found[3] or "235959"), "%Y%m%d%H%M%S")  # noqa: DTZ007
        if not 2000 <= moment.year < 2200:
            raise ValueError
    except ValueError:
        raise RuleUnclear("UNTIL is a day, as 20301231, or a time, as 20301231T120000Z.") from None
    return local(moment.replace(tzinfo=UTC), zone) if found[4] else moment


def _generated(first: datetime, until: datetime, asked: dict[str, Any]) -> Iterator[datetime]:
    """Dateutil looks for a day that never comes until the year 9999. It is asked as close to that as the calendar is the same,
    which it is every 400 years."""
    years = (_LAST_YEAR - MOST_YEARS - 1 - first.year) // 400 * 400
    ahead = rrule.rrule(dtstart=_in_year(first, years), until=_in_year(until, years), **asked)
    return (_in_year(moment, -years) for moment in ahead)


def _in_year(moment: datetime, later: int) -> datetime:
    return moment.replace(year=moment.year + later)


def _check_parts(parts: Mapping[str, str]) -> None:
    """What RFC 5545 forbids beside each other, and dateutil would read as something else."""
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
