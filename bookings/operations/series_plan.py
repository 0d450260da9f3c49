"""What a series asks for, day by day; and the locks of all that any of its days may take."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from bookings.errors import TooFarAhead
from bookings.models import BookingSeries
from bookings.operations.lock_together import lock_places
from bookings.operations.many_wishes import ManyOutcome
from bookings.operations.slot_request import OfSeries, SlotRequest
from bookings.rules import recurrence
from bookings.rules.charging_duration import EnergyAsked
from bookings.rules.entitlement import TokenName
from bookings.rules.recurrence import Recurrence
from bookings.rules.terms import Terms
from bookings.search.bookable import terms_for
from depots.periods import Period


@dataclass(frozen=True, kw_only=True)
class SeriesRequest:
    """`first` is the slot of the first day, which is one of the rule; what it asks for, all others ask for on theirs, at the same
    local time. `exceptions` are local dates. The same `request_id` makes one series, however often it is sent. `adopts` is a
    booking that is there already and becomes the first day; `moved` are days at other times."""

    rrule: str
    first: SlotRequest
    exceptions: frozenset[date] = frozenset()
    request_id: str = ""
    adopts: int | None = None
    moved: Mapping[date, Period] = field(default_factory=dict)


@dataclass(frozen=True)
class OccurrenceOutcome(ManyOutcome):
    """What became of one day. `asked` is the time it was asked for; of one that ends when charged (`is_open`) the start."""

    date: date | None = None
    asked: Period | None = None
    is_open: bool = False

    @property
    def starts_at(self) -> datetime | None:
        return self.asked.starts_at if self.asked is not None else None

    @property
    def ends_at(self) -> datetime | None:
        """None where it is not known."""
        if self.booking is not None:
            return self.booking.ends_at
        return self.asked.ends_at if self.asked is not None and not self.is_open else None

    @property
    def is_beyond(self) -> bool:
        """Whether it lies beyond the horizon of its depot: it may be booked later."""
        return isinstance(self.refusal, TooFarAhead)


@dataclass(frozen=True)
class SeriesPlan:
    """`first` as of SeriesRequest, but for its time; a slot begins `shift` after the local time of its day's rule, and lasts
    `length`."""

    first: SlotRequest
    rule: Recurrence
    exceptions: frozenset[date]
    shift: timedelta
    length: timedelta | None
    adopts: int | None = None
    moved: Mapping[date, Period] = field(default_factory=dict)

    @classmethod
    def of_request(cls, asked: SeriesRequest) -> SeriesPlan:
        """Raises RuleUnclear."""
        period, zone = asked.first.period, asked.first.option.depot.zone
        rule = recurrence.read(asked.rrule, recurrence.local(period.starts_at, zone), zone)
        length = None if asked.first.ends_when_charged else period.duration
        plan = cls(asked.first, rule, asked.exceptions, timedelta(), length, asked.adopts, asked.moved)
        rule.without(plan.exceptions)
        return plan

    @classmethod
    def of_series(cls, series: BookingSeries) -> SeriesPlan:
        zone, kept = series.option.depot.zone, series.asked
        rule = recurrence.read(series.rrule, series.first_start, zone)
        length = series.length
        starts_at = recurrence.moment(series.first_start + series.shift, zone)
        tokens = kept.get("tokens")
        first = SlotRequest(
            fleet=series.fleet, option=series.option, evse=series.evse, vehicle=series.vehicle, trailer=series.trailer,
            period=Period(starts_at, starts_at + (length or timedelta(minutes=1))), power_w=kept.get("power_w"),
            energy=EnergyAsked(**kept["energy"]) if kept.get("energy") else None, ends_when_charged=length is None,
            tokens=[TokenName(**token) for token in tokens] if tokens is not None else None,
        )  # fmt: skip
        return cls(first, rule, frozenset(series.exceptions), series.shift, length)

    @property
    def zone(self) -> ZoneInfo:
        return self.first.option.depot.zone

    @cached_property
    def dates(self) -> list[date]:
        """Its days, but for exceptions."""
        return [start.date() for start in self.rule.starts if start.date() not in self.exceptions]

    def period(self, day: date) -> Period:
        """Of one that ends when charged only the start counts."""
        if day in self.moved:
            return self.moved[day]
        # The first is as it was asked: the clock may show its hour twice.
        if day == self.rule.starts[0].date():
            return self.first.period
        local = datetime.combine(day, self.rule.starts[0].time()) + self.shift
        starts_at = recurrence.moment(local, self.zone)
        return Period(starts_at, starts_at + (self.length or timedelta(minutes=1)))

    def request(self, day: date, series_id: int | None) -> SlotRequest:
        of_series = OfSeries(series_id, day) if series_id is not None else None
        return replace(self.first, period=self.period(day), request_id="", of_series=of_series)


def kept_of(first: SlotRequest) -> dict[str, object]:
    """For BookingSeries.asked."""
    asked: dict[str, object] = {
        "power_w": first.power_w,
        "energy": first.energy.to_json() if first.energy is not None else None,
        "tokens": [asdict(token) for token in first.tokens] if first.tokens is not None else None,
    }
    return {name: value for name, value in asked.items() if value is not None}


def lock_days(first: SlotRequest, *, also: Collection[int] = (), now: datetime) -> Terms:
    """Lock all that any day may take, or move others to, before the first is looked at, and `also` these EVSEs; gives the terms
    of a booking made now. Nothing is locked where the depot is a partner's."""
    there = lock_places([first], also=also, now=now).get(first.option.depot_id)
    if there is None:
        return terms_for(first.option, first.fleet, now=now)
    return there.terms(first.option.pk, first.fleet.pk, now=now)


def version_of(series: BookingSeries, booking_versions: Iterable[int]) -> int:
    """Rises with whatever happens to the series or to one of its bookings."""
    return series.version + sum(booking_versions)
