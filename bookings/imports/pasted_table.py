"""A table of bookings as somebody pastes it: from a spreadsheet or a mail, with or without a header, in English or German.

Cells are kept as text; `read_day`, `read_clock` and `read_end` say what they mean. What could mean two things is refused with
what to write instead, never guessed.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, time, timedelta

MOST_ROWS = 100


class Unreadable(ValueError):
    """A cell that means nothing, or two things; `str()` is a sentence with what to write instead."""


@dataclass(frozen=True)
class PastedRow:
    """One line. `ends` is a time or a number of minutes; `latest`, where somebody can wait, the time by which it has to end."""

    vehicle: str = ""
    place: str = ""
    day: str = ""
    starts: str = ""
    ends: str = ""
    latest: str = ""
    power: str = ""
    trailer: str = ""


COLUMNS = tuple(field.name for field in fields(PastedRow))
# What people write above a column.
_HEADERS = {
    "vehicle": ("plate", "vehicle", "truck", "kennzeichen", "fahrzeug", "lkw"),
    "place": ("depot", "option", "place", "site", "location", "ort", "standort", "platz"),
    "day": ("date", "day", "datum", "tag"),
    "starts": ("from", "start", "starts", "begin", "von", "ab", "beginn"),
    "ends": ("to", "until", "end", "ends", "minutes", "min", "duration", "bis", "ende", "minuten", "dauer"),
    "latest": ("latest", "latest end", "by", "spätestens", "spaetestens"),
    "power": ("kw", "power", "power kw", "leistung"),
    "trailer": ("trailer", "semitrailer", "anhänger", "anhaenger", "auflieger"),
}
_NAMED = {word: column for column, words in _HEADERS.items() for word in words}
_MONTHS = {
    name: number
    for number, names in enumerate(
        ("jan january januar", "feb february februar", "mar march mär märz maerz mrz", "apr april", "may mai",
         "jun june juni", "jul july juli", "aug august", "sep sept september", "oct october okt oktober",
         "nov november", "dec december dez dezember"), 1,
    )
    for name in names.split()
}  # fmt: skip
_WORDS = {"today": 0, "heute": 0, "tomorrow": 1, "morgen": 1}


def read_table(text: str) -> list[PastedRow]:
    """The rows that are not empty. Raises Unreadable for a table of more than MOST_ROWS, or of more columns than are known."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return []
    rows = [
        [cell.strip() for cell in row]
        for row in csv.reader(lines, delimiter=_delimiter(lines), skipinitialspace=True)
    ]
    columns: Sequence[str] = COLUMNS
    if (named := _header(rows[0])) is not None:
        columns, rows = named, rows[1:]
    if len(rows) > MOST_ROWS:
        raise Unreadable(f"These are {len(rows)} rows; {MOST_ROWS} are booked at once.")
    return [_row(columns, row, number) for number, row in enumerate(rows, 1) if any(row)]


def line_of(row: PastedRow) -> str:
    """The row as it can be edited and read again, in the order of COLUMNS."""
    cells = [_quoted(getattr(row, name)) for name in COLUMNS]
    while cells and not cells[-1]:
        cells.pop()
    return "; ".join(cells)


def read_day(text: str, today: date) -> date:
    """`2026-11-28`, `28.11.2026`, `28.11.`, `28 Nov 2026`, `28. November`, `tomorrow`, `morgen`; without a year the next such
    day. Raises Unreadable."""
    word = text.strip().lower()
    if word in _WORDS:
        return today + timedelta(days=_WORDS[word])
    if found := re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})", word):
        return _date(*map(int, found.groups()), text=text)
    if found := re.fullmatch(r"(\d{1,2})\.\s?(\d{1,2})\.?(?:\s?(\d{4}|\d{2}))?", word):
        return _in_year(int(found[1]), int(found[2]), found[3], today, text)
    if found := re.fullmatch(r"(\d{1,2})\.?\s?([a-zäé]+)\.?(?:\s(\d{4}))?", word):
        return _in_year(int(found[1]), _MONTHS.get(found[2], 0), found[3], today, text)
    if found := re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})", word):
        first, second = int(found[1]), int(found[2])
        if first != second and first <= 12 and second <= 12:
            raise Unreadable(f"{text} is two days, read the English or the American way: write 2026-11-28.")
        day, month = (second, first) if second > 12 else (first, second)
        return _in_year(day, month, found[3], today, text)
    raise Unreadable(f"{text or 'Nothing'} is no day: write 2026-11-28 or 28.11.2026.")


def read_clock(text: str) -> time:
    """`7:30`, `07.30`, `0730`, `7h30`, `7:30 pm`, `7 Uhr`, `7am`. Raises Unreadable."""
    word = text.strip().lower().removesuffix("uhr").strip()
    found = re.fullmatch(r"(\d{1,2})[:.h](\d{2})(?::00)?\s?(am|pm)?", word)
    found = found or re.fullmatch(r"(\d{2})(\d{2})()", word) or re.fullmatch(r"(\d{1,2})()\s?(am|pm)", word)
    if found is None and "uhr" in text.lower():
        found = re.fullmatch(r"(\d{1,2})()()", word)
    if found is None:
        raise Unreadable(f"{text or 'Nothing'} is no time of day: write 14:30.")
    hour, minute, half = int(found[1]), int(found[2] or 0), found[3]
    if half:
        if not 1 <= hour <= 12:
            raise Unreadable(f"{text} is no time of day: write 14:30.")
        hour = hour % 12 + (12 if half == "pm" else 0)
    if hour == 24 and minute == 0:
        hour = 0
    if hour > 23 or minute > 59:
        raise Unreadable(f"{text} is no time of day: write 14:30.")
    return time(hour, minute)


def read_end(text: str) -> time | timedelta:
    """A time of day, or how long: `45`, `45 min`, `90 Minuten`, `1.5 h`, `1,5 Std`. Raises Unreadable."""
    word = text.strip().lower()
    if found := re.fullmatch(r"(\d{1,4})\s?(min|mins|minutes|minuten|m)?\.?", word):
        if found[2] is None and (int(found[1]) <= 24 or len(found[1]) == 4):
            raise Unreadable(f"{text} is a time or a length: write 9:00 or 9 min.")
        return _length(int(found[1]))
    if found := re.fullmatch(r"(\d{1,2})(?:[.,](\d))?\s?(h|hours?|std|stunden?)\.?", word):
        return _length(int(found[1]) * 60 + int(found[2] or 0) * 6)
    return read_clock(text)


def read_kw(text: str) -> int | None:
    """Watts of `250`, `250 kW`, `22,5`; None where nothing is wished. Raises Unreadable."""
    word = text.strip().lower().removesuffix("kw").strip()
    if not word:
        return None
    if (found := re.fullmatch(r"(\d{1,5})(?:[.,](\d{1,2}))?", word)) is None:
        raise Unreadable(f"{text} is no power: write 250 or 22.5.")
    watts = int(found[1]) * 1000 + int((found[2] or "0").ljust(3, "0"))
    if not watts:
        raise Unreadable("No power at all cannot be wished for.")
    return watts


def _delimiter(lines: Sequence[str]) -> str:
    """Of a spreadsheet tabs; else semicolons, where decimals have commas; else commas."""
    return next((sign for sign in "\t;" if all(sign in line for line in lines)), ",")


def _header(row: Sequence[str]) -> list[str] | None:
    """The columns that the first line names; None where it is a row."""
    named = [_NAMED.get(re.sub(r"\s*[(\[].*$", "", cell).lower().strip(" :*")) for cell in row]
    if "vehicle" not in named and sum(name is not None for name in named) < 2:
        return None
    known = [name for name in named if name is not None]
    if missing := [
        _HEADERS[name][0] for name in ("vehicle", "place", "day", "starts", "ends") if name not in named
    ]:
        raise Unreadable(f"The table has no column {', '.join(missing)}.")
    if len(set(known)) < len(known):
        raise Unreadable("Two columns of the table have the same meaning.")
    return [name or "" for name in named]


def _row(columns: Sequence[str], cells: Sequence[str], number: int) -> PastedRow:
    if any(cells[len(columns) :]):
        raise Unreadable(
            f"Row {number} has more than the {len(columns)} columns there are: {', '.join(cells)}."
        )
    named = {name: cell[:100] for name, cell in zip(columns, cells, strict=False) if name}
    return PastedRow(**named)


def _in_year(day: int, month: int, year: str | None, today: date, text: str) -> date:
    if year:
        return _date(int(year) + (2000 if len(year) == 2 else 0), month, day, text=text)
    found = _date(today.year, month, day, text=text)
    return found if found >= today else _date(today.year + 1, month, day, text=text)


def _date(year: int, month: int, day: int, *, text: str) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise Unreadable(f"{text} is no day: write 2026-11-28 or 28.11.2026.") from None


def _length(minutes: int) -> timedelta:
    if not minutes:
        raise Unreadable("A slot lasts at least a minute.")
    return timedelta(minutes=minutes)


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if ";" in cell or '"' in cell else cell
