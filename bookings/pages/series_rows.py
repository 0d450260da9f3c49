"""The days of a series in words: in a preview, and a rule as a person would say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from zoneinfo import ZoneInfo

from bookings.models import Booking, BookingSeries, BookingStatus
from bookings.operations import OccurrenceOutcome, SeriesPlan
from bookings.operations.change_series import changeable
from bookings.operations.series_plan import version_of
from bookings.pages import day
from bookings.pages.day import Entry
from bookings.pages.forms.series import UNITS, WEEKDAYS, moved_line
from bookings.rules import quotes
from bookings.rules.permissions import CANCELLABLE
from depots.periods import Period
from depots.templatetags.berth import money


@dataclass(frozen=True)
class SeriesRow:
    """A day beside what becomes of it. `nearest` is what a button sends to have the nearest time instead."""

    day: str
    when: str
    level: str
    words: str
    price: str = ""
    nearest: str = ""
    nearest_words: str = ""


def series_rows(outcomes: Sequence[OccurrenceOutcome], zone: ZoneInfo) -> list[SeriesRow]:
    return [_row(outcome, zone) for outcome in outcomes]


def _row(outcome: OccurrenceOutcome, zone: ZoneInfo) -> SeriesRow:
    assert outcome.date is not None  # every day has one
    assert outcome.asked is not None
    booking, near = outcome.booking, outcome.nearest
    named = f"{outcome.date}", span(booking.period if booking is not None else outcome.asked, zone)
    if booking is None:
        level = "warning" if outcome.is_beyond else "danger"
        words = f"Waits: {outcome.detail}" if outcome.is_beyond else outcome.detail
        return SeriesRow(
            *named, level, words, nearest=moved_line(outcome.date, near) if near else "",
            nearest_words=span(near, zone) if near else "",
        )  # fmt: skip
    price, is_asked = quotes.brief(booking.quote), booking.status == BookingStatus.REQUESTED
    words = "Is asked for" if is_asked else f"{booking.evse}" if booking.evse else "Fits"
    return SeriesRow(
        *named,
        "warning" if is_asked else "success",
        words,
        price=money(price["total"], price["currency"]) if price else "",
    )


def can_repeat(booking: Booking) -> bool:
    """Whether it has all that a series asks for, and is none already."""
    is_whole = booking.vehicle_id is not None and not booking.is_reservation
    return is_whole and booking.series_id is None and booking.status != BookingStatus.HELD


def span(period: Period, zone: ZoneInfo) -> str:
    first, last = (moment.astimezone(zone) for moment in (period.starts_at, period.ends_at))
    return f"{first:%a %-d %b %H:%M}–{last:%H:%M}"


def rule_words(rrule: str) -> str:
    """`Every 2 weeks on Mon, Thu, 20 times`; of a rule that no page makes the rule itself."""
    parts = dict(part.split("=", 1) for part in rrule.split(";"))
    if parts.keys() - {"FREQ", "INTERVAL", "BYDAY", "COUNT", "UNTIL"} or parts["FREQ"] not in dict(UNITS):
        return rrule
    unit, number = dict(UNITS)[parts["FREQ"]], parts.get("INTERVAL", "1")
    words = f"Every {unit.removesuffix('s')}" if number == "1" else f"Every {number} {unit}"
    if "BYDAY" in parts:
        names = [dict(WEEKDAYS).get(name, "") for name in parts["BYDAY"].split(",")]
        if not all(names):
            return rrule
        words += f" on {', '.join(names)}"
    if "COUNT" in parts:
        return f"{words}, {parts['COUNT']} times"
    last = datetime.strptime(parts["UNTIL"][:8], "%Y%m%d")  # noqa: DTZ007 - a day
    return f"{words}, until {last:%-d %b %Y}"


@dataclass(frozen=True)
class ShownSeries:
    """A series with its bookings by the days of its rule, whose rows are those of any list."""

    series: BookingSeries
    bookings: Sequence[Booking]
    now: datetime

    @property
    def rule(self) -> str:
        return rule_words(self.series.rrule)

    @cached_property
    def entries(self) -> list[Entry]:
        return day.entries(self.bookings, self.now)

    @property
    def version(self) -> int:
        return version_of(self.series, [booking.version for booking in self.bookings])

    @cached_property
    def upcoming(self) -> list[Booking]:
        """What a change of several is for."""
        return [one for one in self.bookings if changeable(one, self.now)]

    @property
    def next_days(self) -> list[str]:
        """Those that wait for the horizon."""
        if self.series.next_date is None:
            return []
        dates = SeriesPlan.of_series(self.series).dates
        return [f"{one:%a %-d %b %Y}" for one in dates if one >= self.series.next_date]

    @property
    def can_be_given_up(self) -> bool:
        return self.series.next_date is not None or any(
            one.status in CANCELLABLE and one.starts_at > self.now for one in self.bookings
        )
