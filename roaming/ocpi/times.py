"""Times of OCPI: read in any spelling, written in one (OCPI 2.3.0 types §DateTime)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    PlainSerializer,
    ValidationInfo,
)

from depots.periods import utc_text
from roaming.ocpi.wire_object import Notes, UnreadableError, notes_of

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)([Tt ])(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s?(Z|z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)


def read_time(value: Any, notes: Notes | None = None) -> datetime:
    """A DateTime of any spelling, in UTC. Raises ValueError.

    Without designator it is UTC. A leap second (23:59:60 UTC, RFC 3339 §5.7) is the first moment after it; other seconds and
    minutes above 59 are none.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("must be a time with its zone")
        return value.astimezone(UTC)
    match = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a time like 2026-03-01T08:00:00Z")
    year, month, day, between, hour, minute, second, fraction, zone = match.groups()
    notes = notes or Notes(is_strict=False)
    if between != "T" or zone == "z":
        notes.add("time.spelling")
    if second is None:
        notes.add("time.without_seconds")
    is_leap = second == "60"
    try:
        at = datetime(
            int(year), int(month), int(day), int(hour) % 24, int(minute), 59 if is_leap else int(second or "0"),
            int((fraction or "0")[:6].ljust(6, "0")), tzinfo=_zone(zone, notes),
        )  # fmt: skip
        at = (at + timedelta(days=1) if _is_midnight_24(hour, minute, second) else at).astimezone(UTC)
        at = _after_leap_second(at) if is_leap else at
    except UnreadableError:  # it is read strictly
        raise
    except (ValueError, OverflowError):
        raise ValueError("must be a time that exists") from None
    if not EARLIEST <= at < LATEST:
        raise ValueError("must be a time of this or the next century")
    return at


def time_out(at: datetime) -> str:
    """UTC, whole seconds, `Z`: never `+00:00`, which OCPI does not allow."""
    return utc_text(at)


def _after_leap_second(second_before: datetime) -> datetime:
    if (second_before.hour, second_before.minute) != (23, 59):
        raise ValueError("no leap second")
    return second_before.replace(microsecond=0) + timedelta(seconds=1)


def _is_midnight_24(hour: str, minute: str, second: str | None) -> bool:
    if hour > "24" or (hour == "24" and (minute != "00" or (second or "00") != "00")):
        raise ValueError("no such hour")
    return hour == "24"


def _zone(text: str | None, notes: Notes) -> timezone:
    if text is None or text in "Zz":
        return UTC
    notes.add("time.offset")
    if text[-2:] > "59":
        raise ValueError("no such offset")
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)


def _moment(value: Any, info: ValidationInfo) -> datetime:
    return read_time(value, notes_of(info))


Moment = Annotated[datetime, BeforeValidator(_moment), PlainSerializer(time_out, return_type=str)]
