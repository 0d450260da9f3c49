"""What one customer may have of a depot: in which hours, how far ahead, and how much at the same time. Immutable values.

They are resolved from `AccessRule` rows (bookings/rules/configuration.py). Of each kind the narrowest owner that has any
counts: the agreement with this customer, the one with everybody, the depot. What is for all guests together, and what is kept
for trucks without a booking, holds beside those. The own fleet is bound by the latter alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

from bookings.models import AccessRule
from depots import opening
from depots.models import Agreement
from depots.periods import Period, gaps, united

Kind, Unit, Counts = AccessRule.Kind, AccessRule.Unit, AccessRule.Counts
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class WeeklyHours:
    """The same hours of some weekdays, in minutes of the wall clock; into the next day where the end is not after the start."""

    weekdays: tuple[int, ...]
    from_minute: int
    to_minute: int

    def spans(self, within: Period, zone: ZoneInfo) -> list[Period]:
        """These hours inside a span, joined, in order."""
        return opening.open_spans([_Day(weekday, self) for weekday in self.weekdays], zone, within)

    def __str__(self) -> str:
        days = _day_words(self.weekdays)
        if (self.from_minute, self.to_minute) == (0, 1440):
            return days
        return f"{days} {_clock(self.from_minute)}–{_clock(self.to_minute)}"


@dataclass(frozen=True)
class _Day:
    weekday: int
    hours: WeeklyHours

    def on(self, day: date, zone: ZoneInfo) -> Period | None:
        return opening.stretch(day, self.hours.from_minute, self.hours.to_minute, zone)


@dataclass(frozen=True)
class OwnFirst:
    """In these hours a guest's slot may begin no further ahead than this; None: none may be had."""

    hours: WeeklyHours
    ahead: timedelta | None

    def kept(self, within: Period, zone: ZoneInfo, now: datetime) -> list[Period]:
        """The time in which no guest's slot may begin by now."""
        spans = self.hours.spans(within, zone)
        if self.ahead is None:
            return spans
        later = Period(now + self.ahead, max(within.ends_at, now + self.ahead) + timedelta(days=1))
        return [cut for span in spans if (cut := span.intersection(later)) is not None]


class Counted(Enum):
    """Whose bookings count towards a quota."""

    CUSTOMER = "customer"
    GUESTS = "guests"
    EVERYBODY = "everybody"


@dataclass(frozen=True)
class Quota:
    """At most so many EVSEs, or so many watts, at the same time in these hours; the other is None. `customer_id` is of
    Counted.CUSTOMER; `operator_id` runs the depot. Of Counted.EVERYBODY it is about `evse_ids`."""

    hours: WeeklyHours
    counted: Counted
    operator_id: int
    places: int | None = None
    watts: int | None = None
    customer_id: int | None = None
    evse_ids: frozenset[int] | None = None

    def counts(self, fleet_id: int | None, evse_id: int) -> bool:
        """Whether what somebody has at an EVSE counts; a `fleet_id` of None is a closure, which leaves walk-ins no EVSE."""
        if self.counted == Counted.EVERYBODY:
            return self.concerns(evse_id)
        if self.counted == Counted.CUSTOMER:
            return fleet_id == self.customer_id
        return fleet_id is not None and fleet_id != self.operator_id

    def concerns(self, evse_id: int) -> bool:
        """Whether who wants this EVSE is bound by it."""
        return self.evse_ids is None or evse_id in self.evse_ids


@dataclass(frozen=True)
class Allowance:
    """No windows: at any time. `ends_at`: when the last agreement that admits the customer ends, if all of them do."""

    windows: tuple[WeeklyHours, ...] = ()
    own_first: tuple[OwnFirst, ...] = ()
    quotas: tuple[Quota, ...] = ()
    ends_at: datetime | None = None

    @property
    def is_always(self) -> bool:
        """Whether any time is as good as another."""
        return not self.windows and not self.own_first and self.ends_at is None

    def open_spans(self, within: Period, zone: ZoneInfo, *, now: datetime) -> list[Period]:
        """The time inside a span in which every period is allowed. One that begins in it and reaches into hours that are kept
        for the own fleet is allowed too, but is no part of it."""
        if self.is_always:
            return [within]
        found = self.window_spans(within, zone)
        for rule in self.own_first:
            kept = rule.kept(within, zone, now)
            found = [part for span in found for part in gaps(span, kept)]
        return found

    def window_spans(self, within: Period, zone: ZoneInfo) -> list[Period]:
        """The same whatever is kept for the own fleet."""
        if self.ends_at is not None:
            if self.ends_at <= within.starts_at:
                return []
            within = Period(within.starts_at, min(within.ends_at, self.ends_at))
        if not self.windows:
            return [within]
        return united([span for hours in self.windows for span in hours.spans(within, zone)])


UNBOUND = Allowance()


def allowance_of_own_fleet(
    rules: Iterable[AccessRule],
    operator_id: int,
    pools: Mapping[int, Collection[int]],
    all_evses: Collection[int],
) -> Allowance:
    """`pools` are the EVSEs of each option that is offered, by its id, and `all_evses` the depot's."""
    kept = tuple(
        _kept_free(rule, operator_id, pools, all_evses) for rule in rules if rule.kind == Kind.WALK_IN
    )
    return Allowance(quotas=kept) if kept else UNBOUND


def allowance_of_guest(
    rules: Sequence[AccessRule],
    agreements: Sequence[Agreement],
    customer_id: int,
    own: Allowance,
    *,
    operator_id: int,
    evses: int,
) -> Allowance:
    """`agreements` are those that admit the customer, `own` what binds even the own fleet, `evses` how many the depot has."""
    ends_at = _last_end(agreements)
    if not rules and ends_at is None:
        return UNBOUND
    ranks = {one.pk: 2 if one.guest_id is not None else 1 for one in agreements}
    mine = [rule for rule in rules if rule.agreement_id is None or rule.agreement_id in ranks]

    def narrowest(kind: str, counts: str = "") -> list[AccessRule]:
        of_kind = [rule for rule in mine if (rule.kind, rule.counts) == (kind, counts)]
        best = max((ranks.get(rule.agreement_id or 0, 0) for rule in of_kind), default=0)
        return [rule for rule in of_kind if ranks.get(rule.agreement_id or 0, 0) == best]

    each = [_quota(rule, operator_id, evses, customer_id) for rule in narrowest(Kind.QUOTA, Counts.EACH)]
    together = [
        _quota(rule, operator_id, evses)
        for rule in mine
        if (rule.kind, rule.counts) == (Kind.QUOTA, Counts.GUESTS)
    ]
    return Allowance(
        windows=tuple(hours_of(rule) for rule in narrowest(Kind.WINDOW)),
        own_first=tuple(OwnFirst(hours_of(rule), _ahead(rule)) for rule in narrowest(Kind.OWN_FIRST)),
        quotas=(*each, *together, *own.quotas),
        ends_at=ends_at,
    )


def _last_end(agreements: Iterable[Agreement]) -> datetime | None:
    ends = [one.ends_at for one in agreements]
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None


def hours_of(rule: AccessRule) -> WeeklyHours:
    """When it holds."""
    return WeeklyHours(tuple(sorted(set(rule.weekdays))), rule.from_minute, rule.to_minute)


def _ahead(rule: AccessRule) -> timedelta | None:
    return None if rule.ahead_min is None else timedelta(minutes=rule.ahead_min)


def _quota(rule: AccessRule, operator_id: int, evses: int, customer_id: int | None = None) -> Quota:
    counted = Counted.GUESTS if customer_id is None else Counted.CUSTOMER
    amount = rule.amount or 0
    places = {Unit.EVSES: amount, Unit.PERCENT: amount * evses // 100}.get(Unit(rule.unit))
    watts = amount * 1000 if rule.unit == Unit.KW else None
    return Quota(hours_of(rule), counted, operator_id, places, watts, customer_id)


def _kept_free(
    rule: AccessRule, operator_id: int, pools: Mapping[int, Collection[int]], all_evses: Collection[int]
) -> Quota:
    there = frozenset(all_evses if rule.option_id is None else pools.get(rule.option_id, ()))
    places = max(len(there) - (rule.amount or 0), 0)
    return Quota(hours_of(rule), Counted.EVERYBODY, operator_id, places, evse_ids=there)


def _day_words(weekdays: Sequence[int]) -> str:
    """`Mon–Fri`, `Mon, Wed`, `every day`."""
    days = sorted(set(weekdays))
    if len(days) == len(DAYS):
        return "every day"
    names = [DAYS[day - 1] for day in days]
    is_run = len(days) > 2 and days[-1] - days[0] == len(days) - 1
    return f"{names[0]}–{names[-1]}" if is_run else ", ".join(names)


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
