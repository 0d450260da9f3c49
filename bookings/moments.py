"""Times as people write them: a place's own wall clock, or a moment with its offset."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo


class MomentUnclear(ValueError):
    """The text names no moment; `str()` says why and what to write instead."""


def read(text: str) -> datetime:
    """`2026-11-23T11:00`, naive, or `2026-11-23T11:00+01:00` or `…Z`, aware. Raises MomentUnclear."""
    try:
        moment = datetime.fromisoformat(text.strip())
        moment.astimezone(UTC)  # the first and last days of the calendar have no other zones
    except (ValueError, OverflowError):
        raise MomentUnclear("Write a date and a time, as in 2026-11-23T11:00.") from None
    return moment.replace(second=0, microsecond=0)


def in_zone(moment: datetime, zone: ZoneInfo) -> datetime:
    """The moment in UTC; a naive one is read off the wall clock of the zone. Raises MomentUnclear where the clocks change."""
    try:
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
        first, second = moment.replace(tzinfo=zone, fold=0), moment.replace(tzinfo=zone, fold=1)
        back = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
    except (OverflowError, ValueError):
        raise MomentUnclear("Write a date and a time, as in 2026-11-23T11:00.") from None
    if first.utcoffset() == second.utcoffset():
        return first.astimezone(UTC)
    if back != moment:
        raise MomentUnclear(
            f"{moment:%H:%M} does not exist on {moment:%-d %B} in {zone.key}: the clocks go forward. Take {_later(moment, zone)}."
        )
    raise MomentUnclear(
        f"{moment:%H:%M} comes twice on {moment:%-d %B} in {zone.key}: the clocks go back. "
        f"Write {_with_offset(first)} for the first or {_with_offset(second)} for the second."
    )


def local_text(moment: datetime, zone: ZoneInfo) -> str:
    """As a datetime-local input takes it; with its offset where the wall clock alone would be unclear."""
    local = moment.astimezone(zone)
    is_unclear = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    return _with_offset(local) if is_unclear else f"{local:%Y-%m-%dT%H:%M}"


def _with_offset(local: datetime) -> str:
    return local.isoformat(timespec="minutes")


def _later(moment: datetime, zone: ZoneInfo) -> str:
    """The wall clock an hour on, when the gap is over."""
    after = moment.replace(tzinfo=zone, fold=0).astimezone(UTC).astimezone(zone)
    return f"{after:%H:%M}"
