"""How much power each EVSE can be promised at each moment, as pure functions over spans of time; watts throughout.

The rule (docs/decisions/0033): a limit (grid connection or cabinet) that cannot feed all its EVSEs at once keeps a least for
each of them, and fills the rest equally. So every EVSE can be booked at any time whatever the others did, and who books
without a wish never takes from what another would be promised.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from depots.periods import Period

# What an EVSE can always be promised, where its limits leave it so much of an equal share.
LEAST_W = 50_000
WHOLE_KW = 1000


class Floor(NamedTuple):
    """Power promised at an EVSE in an occupied span."""

    evse_id: int
    span: Period
    watts: int


class Power(NamedTuple):
    """What an EVSE can be promised in some time: without a wish, and at most with one. Both 0 where it is closed."""

    default_w: int
    most_w: int

    def lower(self, other: Power) -> Power:
        return Power(min(self.default_w, other.default_w), min(self.most_w, other.most_w))


class Level(NamedTuple):
    """The state of a limit in one stretch of time: every free EVSE has its least and `rise_w` more, `spare_w` is what all
    of them leave beside their leasts. `closed` names those that not even a least is left for."""

    starts_at: datetime | None
    rise_w: int
    spare_w: int
    closed: frozenset[int]


class Reduction(NamedTuple):
    """All that a depot may take in some time, by a limit from outside."""

    span: Period
    watts: int


@dataclass(frozen=True)
class Limit:
    """A connection or cabinet that cannot feed all its EVSEs at once, or not in the time of a reduction. `feeds` has the most
    each can use, by EVSE id."""

    name: str
    watts: int
    feeds: Mapping[int, int]
    reductions: tuple[Reduction, ...] = ()

    def watts_at(self, moment: datetime) -> int:
        """The lowest of what holds then."""
        held = [one.watts for one in self.reductions if one.span.starts_at <= moment < one.span.ends_at]
        return min([self.watts, *held])

    @cached_property
    def steps(self) -> list[tuple[datetime, int]]:
        """From when on how many watts there are, as far as reductions change that."""
        moments = {moment for one in self.reductions for moment in (one.span.starts_at, one.span.ends_at)}
        return [(moment, self.watts_at(moment)) for moment in sorted(moments)]

    @cached_property
    def share_w(self) -> int:
        """The level up to which it could feed all of them at once, in whole kW."""
        return _level(self.watts, Counter(self.feeds.values()))


class Fed(NamedTuple):
    """An EVSE and what feeds it: the depot's grid connection, and its cabinet ("" where that has no limit)."""

    evse_id: int
    depot_id: int
    most_w: int
    grid_limit_w: int | None
    cabinet: str
    cabinet_limit_w: int | None


def binding(evses: Iterable[Fed], reductions: Mapping[int, Sequence[Reduction]]) -> list[Limit]:
    """The limits that are lower than the sum of what hangs on them, at some time. Of a cabinet named with several the lowest
    holds. `reductions` by depot."""
    grids: dict[int, int] = {}
    cabinets: dict[tuple[int, str], int] = {}
    fed: dict[object, dict[int, int]] = {}
    for evse in evses:
        if evse.grid_limit_w is not None or reductions.get(evse.depot_id):
            if evse.grid_limit_w is not None:
                grids[evse.depot_id] = evse.grid_limit_w
            fed.setdefault(evse.depot_id, {})[evse.evse_id] = evse.most_w
        if evse.cabinet_limit_w is not None:
            key = (evse.depot_id, evse.cabinet)
            cabinets[key] = min(evse.cabinet_limit_w, cabinets.get(key, evse.cabinet_limit_w))
            fed.setdefault(key, {})[evse.evse_id] = evse.most_w
    limits = [
        _connection(fed[pk], grids.get(pk), reductions.get(pk, ()))
        for pk in dict.fromkeys([*grids, *(pk for pk in reductions if pk in fed)])
    ]
    limits += [Limit(f"Power cabinet {key[1]}", watts, fed[key]) for key, watts in cabinets.items()]
    return [limit for limit in limits if limit.watts < sum(limit.feeds.values()) or limit.reductions]


def _connection(feeds: Mapping[int, int], grid_limit_w: int | None, reductions: Sequence[Reduction]) -> Limit:
    """What carries more than all its EVSEs can use carries as much as they can, so that reductions of it alone count."""
    most = sum(feeds.values())
    watts = most if grid_limit_w is None else min(grid_limit_w, most)
    held = tuple(one for one in reductions if one.watts < watts)
    return Limit("The depot's grid connection", watts, feeds, held)


def leasts(limits: Iterable[Limit]) -> dict[int, int]:
    """What each EVSE behind these limits is always left."""
    found: dict[int, int] = {}
    for limit in limits:
        for evse_id, most in limit.feeds.items():
            found[evse_id] = min(found.get(evse_id, LEAST_W), most, limit.share_w)
    return found


class LimitProfile:
    """The levels of one limit over time. `least` as `leasts` gives it, of all limits: a cabinet's bind the grid's too."""

    def __init__(self, limit: Limit, least: Mapping[int, int], floors: Iterable[Floor]) -> None:
        self.limit, self._least = limit, least
        self._floors = [floor for floor in floors if floor.evse_id in limit.feeds]
        self._within: dict[Period, Sequence[Level]] = {}

    @cached_property
    def levels(self) -> list[Level]:
        return list(_levels(self.limit, self._least, self._floors))

    def within(self, span: Period) -> Sequence[Level]:
        """The levels that hold somewhere in the span, in order; the first and last reach beyond it. Many are asked about the
        same short span, so that it costs less than all levels."""
        if span not in self._within:
            here = [floor for floor in self._floors if floor.span.overlaps(span)]
            levels = list(_levels(self.limit, self._least, here))
            starts = [level.starts_at for level in levels if level.starts_at is not None]
            first, last = bisect_right(starts, span.starts_at), bisect_left(starts, span.ends_at)
            self._within[span] = levels[first : last + 1]
        return self._within[span]

    def power(self, evse_id: int, level: Level) -> Power:
        if evse_id in level.closed:
            return Power(0, 0)
        most, least = self.limit.feeds[evse_id], self._least[evse_id]
        return Power(min(most, least + level.rise_w), min(most, least + level.spare_w))


def _levels(limit: Limit, least: Mapping[int, int], floors: Sequence[Floor]) -> Iterator[Level]:
    """A sweep over the beginnings and ends of the floors, and of the limit's reductions."""
    state = _State(limit, least)
    yield state.level(None)
    changes = sorted(
        [(floor.span.starts_at, _BEGINS, number) for number, floor in enumerate(floors)]
        + [(floor.span.ends_at, _ENDS, number) for number, floor in enumerate(floors)]
        + [(moment, _LIMITED, watts) for moment, watts in limit.steps]
    )
    for position, (moment, kind, number) in enumerate(changes):
        if kind == _LIMITED:
            state.limit(number)
        else:
            state.change(number, floors[number], begins=kind == _BEGINS)
        if position + 1 == len(changes) or changes[position + 1][0] != moment:
            yield state.level(moment)


_ENDS, _BEGINS, _LIMITED = range(3)


class _State:
    """Who is free behind a limit at one moment of the sweep, and what is left for them."""

    def __init__(self, limit: Limit, least: Mapping[int, int]) -> None:
        self._limit, self._least = limit, least
        self._floors: dict[int, dict[int, int]] = {}
        # What the holder at an EVSE keeps from the others, by EVSE id.
        self._taken: dict[int, int] = {}
        self._watts = self._left = limit.watts
        self._needed = sum(least[evse_id] for evse_id in limit.feeds)
        self._rooms = Counter(most - least[evse_id] for evse_id, most in limit.feeds.items())

    def change(self, number: int, floor: Floor, *, begins: bool) -> None:
        """A floor begins or ends. Of a booking and its pending change at one EVSE the larger counts, once; and never less than
        the least of the EVSE, which is needed again when it goes."""
        evse_id = floor.evse_id
        least, floors = self._least[evse_id], self._floors.setdefault(evse_id, {})
        if begins:
            floors[number] = floor.watts
        else:
            del floors[number]
        before, after = self._taken.pop(evse_id, None), max(floors.values(), default=None)
        if after is not None:
            after = self._taken[evse_id] = max(after, least)
        self._left += (before or 0) - (after or 0)
        if (before is None) != (after is None):
            sign = 1 if after is None else -1
            self._needed += sign * least
            self._rooms[self._limit.feeds[evse_id] - least] += sign

    def limit(self, watts: int) -> None:
        """There are so many watts from now on."""
        self._left += watts - self._watts
        self._watts = watts

    def level(self, starts_at: datetime | None) -> Level:
        if self._needed <= self._left:
            spare = self._left - self._needed
            return Level(starts_at, _level(spare, self._rooms), spare, frozenset())
        return self._short(starts_at)

    def _short(self, starts_at: datetime | None) -> Level:
        """The limit was lowered, or an EVSE added: as many as can be are left open, in a fixed order, so that a booking at
        one of them closes no other."""
        rooms: Counter[int] = Counter()
        closed: list[int] = []
        left = self._left
        for evse_id in sorted(self._limit.feeds):
            if evse_id in self._taken:
                continue
            if closed or self._least[evse_id] > left:
                closed.append(evse_id)
                continue
            left -= self._least[evse_id]
            rooms[self._limit.feeds[evse_id] - self._least[evse_id]] += 1
        spare = max(left, 0)
        return Level(starts_at, _level(spare, rooms), spare, frozenset(closed))


def _level(watts: int, rooms: Counter[int]) -> int:
    """How high the watts fill vessels of these sizes (`rooms[size]` of each) at once, in whole kW; all full: the largest."""
    level, count = 0, sum(rooms.values())
    for size in sorted(rooms):
        number = rooms[size]
        if not number:
            continue
        if (size - level) * count > watts:
            return (level + watts // count) // WHOLE_KW * WHOLE_KW
        watts -= (size - level) * count
        level, count = size, count - number
    return level
