"""Times as people write them: with an offset, or as the clock on the depot's wall shows them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

_SHAPE = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?\s*(Z|[+-]\d\d:?[0-5]\d)?", re.ASCII | re.IGNORECASE
)
_TURN = re.compile(r"\s+(first|second)$", re.ASCII | re.IGNORECASE)


class Turn(tzinfo):
    """Which of two is meant where a wall clock shows one time twice. Without an offset: such a moment is still naive."""

    def __init__(self, name: str, fold: int) -> None:
        self.name, self.fold = name, fold

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        return None

    def dst(self, moment: datetime | None) -> timedelta | None:
        return None

    def tzname(self, moment: datetime | None) -> str:
        return self.name


TURNS = {"first": Turn("first", 0), "second": Turn("second", 1)}


class MomentUnclear(ValueError):
    """The text names no moment, or two; `str()` is a sentence that says why and what to write instead.

    `is_repeated`: there are two, and `first` or `second` after it says which.
    """

    def __init__(self, sentence: str, *, is_repeated: bool = False) -> None:
        super().__init__(sentence)
        self.is_repeated = is_repeated


def read_moment(text: str, zone: ZoneInfo) -> datetime:
    """The moment in UTC of `2026-12-01T10:00`, with `Z`, an offset, or neither (then in the zone).

    Raises MomentUnclear, also for a local time that the change of clocks skips, or repeats where the text does not end
    with `first` or `second`.
    """
    return in_zone(read(text), zone)


def read(text: str) -> datetime:
    """As it is written: naive without an offset (perhaps with a Turn), aware with one. Raises MomentUnclear."""
    text = text.strip()
    turn = _TURN.search(text)
    if turn:
        text = text[: turn.start()]
    try:
        given = datetime.fromisoformat(text.upper().replace(" ", "T", 1).replace(" ", ""))
    except ValueError:
        given = None
    named = text[:40] or "Nothing"
    if given is None or not _SHAPE.fullmatch(text):
        raise MomentUnclear(f"{named} is not a time. Write a date and a time, as in 2026-11-23T11:00.")
    if not 2000 <= given.year < 2200:  # near the ends of the calendar sums overflow
        raise MomentUnclear(f"{named} is too far from our days.")
    return given.replace(tzinfo=TURNS[turn[1].lower()]) if turn and given.tzinfo is None else given


def in_zone(moment: datetime, zone: ZoneInfo) -> datetime:
    """The moment in UTC; a naive one is read off the wall clock of the zone. Raises MomentUnclear where the clocks
    change and no Turn says which is meant."""
    turn = moment.tzinfo
    if isinstance(turn, Turn):
        moment = moment.replace(tzinfo=None)
    elif turn is not None:
        return moment.astimezone(UTC)
    first, second = moment.replace(tzinfo=zone, fold=0), moment.replace(tzinfo=zone, fold=1)
    in_utc = first.astimezone(UTC)
    where = f"on {moment:%-d %B} in {zone.key}"
    if in_utc.astimezone(zone).replace(tzinfo=None) != moment:
        after = in_utc.astimezone(zone)
        raise MomentUnclear(
            f"{moment:%H:%M} does not exist {where}: the clocks go forward. Take {after:%H:%M}."
        )
    if first.utcoffset() != second.utcoffset():
        if isinstance(turn, Turn):
            return (second if turn.fold else first).astimezone(UTC)
        raise MomentUnclear(
            f"{moment:%H:%M} comes twice {where}: the clocks go back. "
            f"Write {_with_offset(first)} for the first or {_with_offset(second)} for the second.",
            is_repeated=True,
        )
    return in_utc


def local_text(moment: datetime, zone: ZoneInfo) -> str:
    """As a form shows it; with its offset where the wall clock alone would be unclear."""
    local = moment.astimezone(zone)
    is_unclear = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    return _with_offset(local) if is_unclear else f"{local:%Y-%m-%dT%H:%M}"


def _with_offset(local: datetime) -> str:
    return local.isoformat(timespec="minutes")
