"""Times as OCPP writes them, and as chargers do."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from depots.periods import utc_text

# No charger existed then: a clock that says so was never set.
_FIRST_SENSIBLE_YEAR = 2010
# Told within this of its arrival, a time is from this moment.
_NOW = timedelta(minutes=1)
_READABLE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:[0-5]\d)", re.ASCII)
_SHORT_OFFSET = re.compile(r"[+-]\d{2}$")
_NO_OFFSET = re.compile(r"T.*[+-]\d\d:?[6-9]\d$", re.ASCII)
_FRACTION = re.compile(r"\.(\d+)")


class Moment(NamedTuple):
    """An aware UTC time, and what was odd about how it was told: "no_zone", "bad_clock", "no_time"."""

    at: datetime
    flags: tuple[str, ...] = ()


def read_time(text: str | None, *, zone: tzinfo, arrived_at: datetime) -> Moment:
    """The moment a charger means. Without a zone it is the site's time, or UTC where only that is now; an unset or
    unreadable clock tells nothing, so the time of arrival stands in, flagged.
    """
    if not text:
        return Moment(arrived_at, ("no_time",))
    try:
        read = datetime.fromisoformat(_iso(text))
    except ValueError:
        return Moment(arrived_at, ("bad_clock",))
    if read.year < _FIRST_SENSIBLE_YEAR or read.year > arrived_at.year + 50:
        return Moment(arrived_at, ("bad_clock",))
    if read.tzinfo is None:
        in_utc, local = read.replace(tzinfo=UTC), read.replace(tzinfo=zone).astimezone(UTC)
        is_utc = abs(in_utc - arrived_at) <= _NOW < abs(local - arrived_at)
        return Moment(in_utc if is_utc else local, ("no_zone",))
    return Moment(read.astimezone(UTC))


def write_time(moment: datetime) -> str:
    """UTC with Z and milliseconds: what every firmware reads."""
    return utc_text(moment, timespec="milliseconds")


def rewrite_time(text: str) -> str:
    """One of our times in a command's payload, as OCPP has it."""
    return write_time(datetime.fromisoformat(text))


def _iso(text: str) -> str:
    """Fractions of any length and offsets such as `+02` made readable; most chargers write what is. Raises ValueError for an
    offset that there is not, which Python would take."""
    if _READABLE.fullmatch(text):
        return text
    text = text.strip().upper().replace(" ", "T", 1)
    if _NO_OFFSET.search(text):
        raise ValueError(text)
    text = _FRACTION.sub(lambda found: f".{found[1][:6]:0<6}", text)
    return f"{text}:00" if "T" in text and _SHORT_OFFSET.search(text) else text
