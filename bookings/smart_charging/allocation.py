"""Who gets how much power, as a pure function over values; watts throughout.

A limit (connection, cabinet, or what somebody outside set for a while) is never exceeded by the sum of what its EVSEs may
give. Within it: first what was promised, then what a truck needs to be done when it leaves, then the rest in equal parts as
far as each can take it, and last what a free EVSE may give to whoever plugs in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

STEP_W = 1000


class PowerLimit(NamedTuple):
    """Something that feeds these EVSEs, all of it."""

    name: str
    watts: int
    feeds: frozenset[int]


class Charging(NamedTuple):
    """A vehicle that charges. `needed_w` is the rate at which it has what it came for when it `leaves_at`; `most_w` what it can
    take now, as far as is known."""

    needed_w: int
    most_w: int
    leaves_at: datetime | None = None


class Place(NamedTuple):
    """An EVSE. `floor_w` is what it shall have first of all: a promise, or the little that a free one keeps; of several floors
    that do not fit together those of the lowest `rank` are kept. `ready_w` is what a free one may give where there is plenty.
    `fixed_w` is what one that cannot be told anything now takes at most."""

    evse_id: int
    floor_w: int
    rank: tuple[int | float | str, ...]
    ready_w: int = 0
    charging: Charging | None = None
    fixed_w: int | None = None


def allocate(limits: Sequence[PowerLimit], places: Iterable[Place]) -> dict[int, int]:
    """Watts by EVSE id, in whole steps but for floors and what is fixed."""
    shares = _Shares(limits)
    told = []
    for place in places:
        if place.fixed_w is None:
            told.append(place)
        else:
            shares.fix(place.evse_id, place.fixed_w)
    for place in sorted(told, key=lambda place: (place.rank, place.evse_id)):
        shares.give(place.evse_id, min(place.floor_w, _most(place)))
    charging = [(place.evse_id, place.charging) for place in told if place.charging is not None]
    for evse_id, vehicle in sorted(charging, key=_leaves_first):
        shares.give(evse_id, min(vehicle.needed_w, vehicle.most_w))
    shares.fill({evse_id: vehicle.most_w for evse_id, vehicle in charging})
    for place in sorted(told, key=lambda place: place.evse_id):
        if place.charging is None and shares.has_room(place.evse_id, place.ready_w):
            shares.give(place.evse_id, place.ready_w)
    return shares.watts


def _most(place: Place) -> int:
    return place.floor_w if place.charging is None else max(place.charging.most_w, place.floor_w)


def _leaves_first(one: tuple[int, Charging]) -> tuple[bool, float, int]:
    evse_id, vehicle = one
    at = vehicle.leaves_at
    return at is None, at.timestamp() if at else 0.0, evse_id


class _Shares:
    def __init__(self, limits: Sequence[PowerLimit]) -> None:
        self.watts: dict[int, int] = {}
        self._left = [limit.watts for limit in limits]
        self._behind: dict[int, list[int]] = {}
        for number, limit in enumerate(limits):
            for evse_id in limit.feeds:
                self._behind.setdefault(evse_id, []).append(number)

    def fix(self, evse_id: int, watts: int) -> None:
        """Counted whether there is room or not: it takes it anyway."""
        self._set(evse_id, watts)

    def give(self, evse_id: int, up_to_w: int) -> None:
        """As much as there is room for, and no less than it has."""
        has = self.watts.get(evse_id, 0)
        room = min((max(self._left[n], 0) for n in self._behind.get(evse_id, ())), default=up_to_w)
        fits = up_to_w if has + room >= up_to_w else (has + room) // STEP_W * STEP_W
        self._set(evse_id, max(has, fits))

    def has_room(self, evse_id: int, watts: int) -> bool:
        more = watts - self.watts.get(evse_id, 0)
        return all(self._left[n] >= more for n in self._behind.get(evse_id, ()))

    def fill(self, most: Mapping[int, int]) -> None:
        """Raise all of these together, each until it can take no more or one of its limits is used up; what is less than a
        step for each of them goes to the first."""
        while open_ids := self._below(most):
            rise = self._rise(open_ids, most)
            for evse_id in open_ids:
                watts = min(self.watts[evse_id] + max(rise, STEP_W), most[evse_id])
                if rise >= STEP_W or self.has_room(evse_id, watts):
                    self._set(evse_id, watts)

    def _below(self, most: Mapping[int, int]) -> list[int]:
        """Those that can take more and for which there is a step of it."""
        found = []
        for evse_id in sorted(most):
            watts = self.watts.get(evse_id, 0)
            if watts < most[evse_id] and self.has_room(evse_id, min(watts + STEP_W, most[evse_id])):
                found.append(evse_id)
        return found

    def _rise(self, open_ids: Sequence[int], most: Mapping[int, int]) -> int:
        """How far all of these can be raised at once, until the first is full or a limit used up."""
        counts: dict[int, int] = {}
        for evse_id in open_ids:
            for number in self._behind.get(evse_id, ()):
                counts[number] = counts.get(number, 0) + 1
        rooms = [max(self._left[number], 0) // count for number, count in counts.items()]
        smallest_gap = min(most[evse_id] - self.watts[evse_id] for evse_id in open_ids)
        if not rooms or smallest_gap <= min(rooms):
            return max(smallest_gap, STEP_W) if not rooms or min(rooms) >= STEP_W else 0
        return min(rooms) // STEP_W * STEP_W

    def _set(self, evse_id: int, watts: int) -> None:
        more = watts - self.watts.get(evse_id, 0)
        self.watts[evse_id] = watts
        for number in self._behind.get(evse_id, ()):
            self._left[number] -= more


class Sending(NamedTuple):
    """What may be sent now: EVSEs whose limit is lowered, and those that may be raised besides. Others wait."""

    lower: list[int]
    higher: list[int]


def sendable(
    limits: Sequence[PowerLimit],
    counted: Mapping[int, int],
    wanted: Mapping[int, int],
    *,
    urgency: Callable[[int], Any],
) -> Sending:
    """`counted` is what each EVSE may take by what stands or may stand at its charger: the larger of both until the answer. A
    raise goes out once it fits beside what all others count with, the most urgent first; a lowering at once."""
    behind = {evse_id: [limit for limit in limits if evse_id in limit.feeds] for evse_id in wanted}
    sums = {limit: sum(counted.get(evse_id, 0) for evse_id in limit.feeds) for limit in limits}
    lower = [evse_id for evse_id, watts in wanted.items() if watts < counted.get(evse_id, 0)]
    raised = [evse_id for evse_id, watts in wanted.items() if watts > counted.get(evse_id, 0)]
    higher = []
    for evse_id in sorted(raised, key=lambda evse_id: (urgency(evse_id), evse_id)):
        more = wanted[evse_id] - counted.get(evse_id, 0)
        if all(sums[limit] + more <= limit.watts for limit in behind[evse_id]):
            higher.append(evse_id)
            for limit in behind[evse_id]:
                sums[limit] += more
    return Sending(lower, higher)
