"""The promise of power: floors promised at one moment never add up to more than the connection carries.

Checked under the depot's lock, and only where a limit can bind at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from bookings.errors import PowerUnavailable
from bookings.models import Occupancy
from depots.models import Depot, Evse
from depots.periods import Period

# What a booking without a wish is promised at least, where the limit leaves less than its EVSE could give.
LEAST_PROMISE_W = 50_000


@dataclass(frozen=True)
class Limit:
    """A connection or cabinet that cannot feed all its EVSEs at once, in watts."""

    name: str
    watts: int
    evse_ids: frozenset[int]


def can_bind(depot: Depot) -> bool:
    """Whether a promise at this depot needs the depot's lock."""
    return bool(_limits([depot.pk]))


def promise(
    evse: Evse, span: Period, wanted_w: int | None, vehicle_max_w: int | None, *, holder: int | None = None
) -> int:
    """The watts that can be promised in the span: the wish, or as much as vehicle and EVSE can use.

    Raises PowerUnavailable. `holder` is a booking whose own floor does not count against it.
    """
    return Loads.at({evse.depot_id}, span, without=holder).promise(evse, span, wanted_w, vehicle_max_w)


class Loads:
    """The limits of some depots and the floors promised there in a span, read once for many questions."""

    def __init__(self, limits: list[Limit], floors: list[tuple[int, Period, int]]) -> None:
        self._limits, self._floors = limits, floors

    @classmethod
    def at(cls, depot_ids: Collection[int], span: Period, *, without: int | None = None) -> Loads:
        limits = _limits(depot_ids)
        fed = set().union(*[limit.evse_ids for limit in limits])
        rows = Occupancy.objects.filter(evse_id__in=fed, span__overlap=span, power_w__gt=0).exclude(
            holder=without or 0
        )
        return cls(limits, list(rows.values_list("evse_id", "span", "power_w")) if fed else [])

    def promise(self, evse: Evse, span: Period, wanted_w: int | None, vehicle_max_w: int | None) -> int:
        """See `promise`."""
        if wanted_w is not None and wanted_w > evse.max_power_w:
            raise PowerUnavailable(
                f"{evse} gives {evse.max_power_w // 1000} kW at most.", available_w=evse.max_power_w
            )
        useful = min(evse.max_power_w, vehicle_max_w or evse.max_power_w)
        for limit in self._limits:
            if evse.pk in limit.evse_ids:
                useful = self._within(limit, span, wanted_w, useful)
        return wanted_w if wanted_w is not None else useful

    def _within(self, limit: Limit, span: Period, wanted_w: int | None, useful: int) -> int:
        taken = peak([(s, watts) for evse_id, s, watts in self._floors if evse_id in limit.evse_ids], span)
        left = max(limit.watts - taken, 0)
        least = wanted_w if wanted_w is not None else min(useful, LEAST_PROMISE_W)
        if left < least:
            raise PowerUnavailable(f"{limit.name} has {left // 1000} kW left then.", available_w=left)
        return min(useful, left)


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


def _limits(depot_ids: Collection[int]) -> list[Limit]:
    """The limits at these depots that are lower than the sum of what hangs on them."""
    grids: dict[int, int] = {}
    cabinets: dict[tuple[int, str], int] = {}
    fed: dict[object, dict[int, int]] = {}
    for evse in Evse.objects.filter(depot_id__in=list(depot_ids), is_withdrawn=False).select_related(
        "depot", "charger"
    ):
        if evse.depot.grid_limit_w is not None:
            grids[evse.depot_id] = evse.depot.grid_limit_w
            fed.setdefault(evse.depot_id, {})[evse.pk] = evse.max_power_w
        charger = evse.charger
        if charger is not None and charger.cabinet_limit_w is not None:
            key = (evse.depot_id, charger.cabinet or charger.identity)
            cabinets[key] = min(charger.cabinet_limit_w, cabinets.get(key, charger.cabinet_limit_w))
            fed.setdefault(key, {})[evse.pk] = evse.max_power_w
    limits = [Limit("The depot's grid connection", watts, frozenset(fed[pk])) for pk, watts in grids.items()]
    limits += [
        Limit(f"Power cabinet {key[1]}", watts, frozenset(fed[key])) for key, watts in cabinets.items()
    ]
    power = {pk: watts for group in fed.values() for pk, watts in group.items()}
    return [limit for limit in limits if limit.watts < sum(power[pk] for pk in limit.evse_ids)]
