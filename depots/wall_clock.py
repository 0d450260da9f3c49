"""Times as people write them: with an offset, or as the clock on the depot's wall shows them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_SHAPE = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?\s*(Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
)


class UnreadableTimeError(ValueError):
    """A text that names no moment, or two. `str()` is the end of a sentence: "is not a time …"."""


def read_moment(text: str, zone: ZoneInfo) -> datetime:
    """The moment in UTC of `2026-12-01T10:00`, with `Z`, an offset, or neither (then in the zone).

    Raises UnreadableTimeError, also for a local time that the change of clocks skips or repeats.
    """
    text = text.strip()
    if not _SHAPE.fullmatch(text):
        raise UnreadableTimeError("is not a time such as 2026-12-01T10:00 or 2026-12-01T10:00+01:00")
    try:
        given = datetime.fromisoformat(text.upper().replace(" ", "T", 1).replace(" ", ""))
    except ValueError as error:
        raise UnreadableTimeError(f"is not a time: {str(error).rstrip('.')}") from None
    if not 2000 <= given.year < 2200:
        raise UnreadableTimeError(
            "is too far from our days"
        )  # and near the ends of the calendar sums overflow
    return given.astimezone(UTC) if given.tzinfo else on_the_wall(given, zone)


def on_the_wall(local: datetime, zone: ZoneInfo) -> datetime:
    """The moment in UTC when the clock in the zone shows this naive time. Raises UnreadableTimeError."""
    first, second = local.replace(tzinfo=zone, fold=0), local.replace(tzinfo=zone, fold=1)
    moment = first.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) != local:
        before = _clocks_change(moment, zone)
        raise UnreadableTimeError(f"does not exist in {zone.key}: the clocks go forward then{before}")
    if first.utcoffset() != second.utcoffset():
        offsets = f"{_offset(first)} or {_offset(second)}"
        raise UnreadableTimeError(f"happens twice in {zone.key}, as the clocks go back; add {offsets}")
    return moment


def _clocks_change(moment: datetime, zone: ZoneInfo) -> str:
    later = (moment + timedelta(hours=1)).astimezone(zone)
    return f" (the offset is {_offset(later)} afterwards)"


def _offset(moment: datetime) -> str:
    return moment.isoformat()[-6:]
