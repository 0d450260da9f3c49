"""The promise of power: what can be promised where and when, from the limits and floors in the tables.

The rule itself is `power_profile`'s. Promises are made under the depot's lock, and only where a limit can bind at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import JSONObject

from bookings.errors import PowerUnavailable
from bookings.models import ExternalLimit
from bookings.rules.power_profile import (
    Fed,
    Floor,
    Limit,
    LimitProfile,
    Power,
    Reduction,
    binding,
    leasts,
)
from depots.models import Depot, Evse
from depots.periods import Period

if TYPE_CHECKING:
    from bookings.rules.configuration import Bay


def can_bind(depot: Depot) -> bool:
    """Whether a promise at this depot needs the depot's lock."""
    return bool(limits_at([depot.pk]))


def fed_together(evse_ids: Collection[int]) -> set[int]:
    """The EVSEs that share a limit with one of these, by id."""
    depots = Evse.objects.filter(pk__in=list(evse_ids)).values("depot_id")
    groups = [set(limit.feeds) for limit in limits_at(depots)]
    return {pk for group in groups if group & set(evse_ids) for pk in group}


class Supply:
    """The limits of some depots and the floors promised there in a span, read once (two queries) for many questions."""

    def __init__(self, limits: Sequence[Limit], floors: Iterable[Floor]) -> None:
        least, floors = leasts(limits), list(floors)
        self._profiles: dict[int, list[LimitProfile]] = {}
        for limit in limits:
            profile = LimitProfile(limit, least, floors)
            for evse_id in limit.feeds:
                self._profiles.setdefault(evse_id, []).append(profile)
        self._pieces: dict[tuple[object, ...], list[tuple[datetime | None, Power]]] = {}
        self._least = least

    @classmethod
    def at(
        cls,
        depot_ids: Collection[int],
        span: Period,
        *,
        without: int | None = None,
        now: datetime | None = None,
    ) -> Supply:
        """`without` is a booking whose own floors do not count; holds that ran out by `now` do not either."""
        return cls.behind(limits_at(depot_ids), span, without=without, now=now)

    @classmethod
    def behind(
        cls, limits: Sequence[Limit], span: Period, *, without: int | None = None, now: datetime | None = None
    ) -> Supply:
        """The same of limits that are known; one query."""
        fed = {evse_id for limit in limits for evse_id in limit.feeds}
        if not fed:
            return cls([], [])
        with connection.cursor() as cursor:
            cursor.execute(_FLOORS, [list(fed), span.starts_at, span.ends_at, without, now])
            rows = cursor.fetchall()
        return cls(limits, [Floor(pk, _period(*ends), watts) for pk, *ends, watts in rows])

    def is_limited(self, evse: Evse | Bay) -> bool:
        return evse.pk in self._profiles

    def is_fed_with(self, evse: Evse | Bay, other: Evse | Bay) -> bool:
        """Whether no limit feeds it that does not feed the other as well."""
        return all(profile.limit.feeds.get(other.pk) for profile in self._profiles.get(evse.pk, []))

    def lowest(self, evse: Evse | Bay, span: Period) -> Power:
        """What the EVSE, free then, can be promised all through the span."""
        found = Power(evse.max_power_w, evse.max_power_w)
        for profile in self._profiles.get(evse.pk, []):
            for level in profile.within(span):
                found = found.lower(profile.power(evse.pk, level))
        return found

    def promise(
        self,
        evse: Evse | Bay,
        span: Period,
        wish_w: int | None,
        vehicle_max_w: int | None,
        *,
        most_w: int | None = None,
    ) -> int:
        """The watts to promise for an occupied span: the wish, or the default as far as the vehicle can use it.

        `most_w` is the term that bounds every promise. Raises PowerUnavailable.
        """
        power = self.lowest(evse, span)
        if power.default_w <= 0:
            raise PowerUnavailable(f"{self._scarce(evse, span)} has no power left then.", available_w=0)
        if wish_w is None:
            return min(w for w in (power.default_w, vehicle_max_w, most_w) if w)
        most = min(power.most_w, most_w or power.most_w)
        if wish_w > most:
            raise PowerUnavailable(self._why_not(evse, span, wish_w, power.most_w, most_w), available_w=most)
        return wish_w

    def pieces(self, evse: Evse | Bay) -> list[tuple[datetime | None, Power]]:
        """What the EVSE can be promised at each moment it is free: (since when, what), from before all time on."""
        profiles = self._profiles.get(evse.pk, [])
        key = (*map(id, profiles), evse.max_power_w, self._least.get(evse.pk))
        if any(level.closed for profile in profiles for level in profile.levels):
            key = (*key, evse.pk)  # elsewhere EVSEs behind the same limits have the same
        if key not in self._pieces:
            self._pieces[key] = _joined(evse, profiles)
        return self._pieces[key]

    def _why_not(self, evse: Evse | Bay, span: Period, wish_w: int, left_w: int, most_w: int | None) -> str:
        if wish_w > evse.max_power_w:
            return f"{evse} gives {evse.max_power_w // 1000} kW at most."
        if most_w is not None and wish_w > most_w:
            return f"At most {most_w // 1000} kW are promised here."
        return f"{self._scarce(evse, span)} has {left_w // 1000} kW left then."

    def _scarce(self, evse: Evse | Bay, span: Period) -> str:
        """The name of the limit that leaves least."""
        profiles = self._profiles[evse.pk]
        lowest = min(profiles, key=lambda p: min(p.power(evse.pk, level).most_w for level in p.within(span)))
        return lowest.limit.name


# As bigint the ids are what the constraint's index holds: numbers that psycopg sends as smallint would have it read for
# everybody's time in the span. Moments as seconds, for Django parses others one by one. A null `now` is later than no
# hold: then all of them count.
_FLOORS = """
    SELECT evse_id, extract(epoch FROM lower(span))::float8, extract(epoch FROM upper(span))::float8, power_w
    FROM bookings_occupancy
    WHERE evse_id = ANY (%s::bigint[]) AND span && tstzrange(%s, %s)
      AND kind <> 'closure' AND holder IS DISTINCT FROM %s
      AND holder NOT IN (
          SELECT id FROM bookings_booking WHERE status = 'held' AND held_until <= %s::timestamptz
      )
"""


def _period(starts_at: float, ends_at: float) -> Period:
    return Period(datetime.fromtimestamp(starts_at, UTC), datetime.fromtimestamp(ends_at, UTC))


def promise(
    evse: Evse,
    span: Period,
    wish_w: int | None,
    vehicle_max_w: int | None,
    *,
    most_w: int | None = None,
    holder: int | None = None,
    now: datetime | None = None,
) -> int:
    """See `Supply.promise`; `holder` is a booking whose own floors do not count against it."""
    supply = Supply.at({evse.depot_id}, span, without=holder, now=now)
    return supply.promise(evse, span, wish_w, vehicle_max_w, most_w=most_w)


def peak(floors: Iterable[tuple[Period, int]], within: Period) -> int:
    """The highest sum of floors at one moment inside the span, in watts. Floors that touch do not add up."""
    steps: list[tuple[datetime, int]] = []
    for span, watts in floors:
        inside = span.intersection(within)
        if inside is not None:
            steps += [(inside.starts_at, watts), (inside.ends_at, -watts)]
    highest = running = 0
    # At one moment the leaving come before the coming: the negative change sorts first.
    for _, change in sorted(steps):
        running += change
        highest = max(highest, running)
    return highest


def _joined(evse: Evse | Bay, profiles: Sequence[LimitProfile]) -> list[tuple[datetime | None, Power]]:
    """The levels of all its limits as one run, the lowest holding; what does not change is not named again."""
    unlimited = Power(evse.max_power_w, evse.max_power_w)
    changes = sorted(
        (level.starts_at, number, profile.power(evse.pk, level))
        for number, profile in enumerate(profiles)
        for level in profile.levels
        if level.starts_at is not None
    )
    now = [profile.power(evse.pk, profile.levels[0]) for profile in profiles]
    found: list[tuple[datetime | None, Power]] = [(None, _lowest(unlimited, now))]
    for moment, number, power in changes:
        now[number] = power
        lowest = _lowest(unlimited, now)
        if found[-1][0] == moment:
            found[-1] = (moment, lowest)
        elif found[-1][1] != lowest:
            found.append((moment, lowest))
    return found


def _lowest(power: Power, others: Iterable[Power]) -> Power:
    for other in others:
        power = power.lower(other)
    return power


def limits_at(depot_ids: Collection[int] | QuerySet[Evse, Any]) -> list[Limit]:
    """The limits at these depots that can bind; one query."""
    reduced = ExternalLimit.objects.filter(depot=OuterRef("depot_id"), lifted_at__isnull=True)
    limited = Q(depot__grid_limit_w__isnull=False) | Q(charger__cabinet_limit_w__isnull=False)
    evses = Evse.objects.filter(limited | Exists(reduced), depot_id__in=depot_ids, is_withdrawn=False)
    told = reduced.values(one=JSONObject(watts="watts", starts_at="starts_at", ends_at="ends_at"))
    rows = list(evses.annotate(reductions=ArraySubquery(told)).select_related("depot", "charger"))
    return binding(
        map(fed_by, rows), {row.depot_id: [_reduction(one) for one in row.reductions] for row in rows}
    )


def _reduction(told: dict[str, Any]) -> Reduction:
    starts_at, ends_at = (datetime.fromisoformat(told[name]) for name in ("starts_at", "ends_at"))
    return Reduction(Period(starts_at, ends_at), told["watts"])


def fed_by(evse: Evse) -> Fed:
    charger = evse.charger
    capped = charger if charger is not None and charger.cabinet_limit_w is not None else None
    return Fed(
        evse_id=evse.pk,
        depot_id=evse.depot_id,
        most_w=evse.max_power_w,
        grid_limit_w=evse.depot.grid_limit_w,
        cabinet=(capped.cabinet or capped.identity) if capped else "",
        cabinet_limit_w=capped.cabinet_limit_w if capped else None,
    )
