"""Chargers' clocks. Times that a wrong one has told are corrected before anything is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from depots.models import Charger
from depots.operations.transaction_reports import Reading, Start, Stop, TransactionReport

# Messages take their time, and nobody books by the second: a clock that is right within this is right.
RIGHT_WITHIN = timedelta(seconds=10)
NOW_WITHIN, FAR_OFF = timedelta(minutes=1), timedelta(minutes=10)
# These times are ours already.
_OF_ARRIVAL = {"bad_clock", "no_time"}

Report = TypeVar("Report", Start, Stop, TransactionReport)


def by_our_clock(report: Report, charger: Charger, *, now: datetime) -> Report:
    """The report with the times of itself and of its readings by our clock, flagged where they were not."""
    by = correction(charger, report.at, report.flags, now=now)
    if not by:
        return report
    flags = (*report.flags, "wrong_clock")
    if isinstance(report, Start):
        return replace(report, at=report.at + by, flags=flags)
    return replace(report, at=report.at + by, flags=flags, readings=shifted(report.readings, by))


def correction(charger: Charger, at: datetime, flags: Sequence[str], *, now: datetime) -> timedelta:
    """What to add to a time that came just now.

    A message that says it is from this moment is: its clock is right by now, whatever it was. A boot is answered with
    the time, so what was known of the clock before it counts only for times that would lie ahead of us otherwise. And
    nothing comes from the future.
    """
    offset = timedelta(seconds=charger.clock_offset_s or 0)
    # One that was far off and now is not has been set: the message may have been under way for a while.
    right_within = NOW_WITHIN if abs(offset) >= FAR_OFF else RIGHT_WITHIN
    if _OF_ARRIVAL & set(flags) or abs(at - now) <= right_within:
        return timedelta()
    is_ahead = at > now
    is_known = is_known_off(charger) and (is_ahead or not _booted_since_seen(charger))
    if is_known and at - offset <= now + RIGHT_WITHIN:
        return -offset
    return now - at if is_ahead else timedelta()


def is_known_off(charger: Charger) -> bool:
    return abs(timedelta(seconds=charger.clock_offset_s or 0)) > RIGHT_WITHIN


def corrected(charger: Charger, at: datetime, *, now: datetime) -> datetime:
    """A single time by our clock."""
    return at + correction(charger, at, (), now=now)


def shifted(readings: Sequence[Reading], by: timedelta) -> list[Reading]:
    return [reading if reading.is_arrival else replace(reading, at=reading.at + by) for reading in readings]


def _booted_since_seen(charger: Charger) -> bool:
    seen_at, booted_at = charger.clock_seen_at, charger.booted_at
    return booted_at is not None and (seen_at is None or seen_at < booted_at)
