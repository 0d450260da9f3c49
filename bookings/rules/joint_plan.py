"""Many at once: which EVSE and time each of many wishes gets, so that as many as can be are served, and of those the most time.

Pure, over what is taken already. It begins with one after the other in the order they were written, so that a plan is never worse
than that. Then come other orders, in each of which whoever finds nothing takes a place from those who can go elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import thread_time
from typing import NamedTuple

from bookings.rules.rearrangement import Block, Budget, Spot, arrangements
from depots.periods import Period

# The processor's time that a plan may take.
PLANNING_S = 2.0
# How often a place is tried for one who finds nothing, in one order.
TRIES = 3_000

# The spots that would do, best first.
Wish = Sequence[Spot]
# Where each is put, by its number in the list of wishes; whoever is missing got nothing.
Plan = dict[int, Spot]


def planned(
    wishes: Sequence[Wish], taken: Mapping[int, Sequence[Period]], *, seconds: float = PLANNING_S
) -> Plan:
    """The best plan that was found: most wishes served, then most time, then each as early in its list as can be.

    No two of its spots at one EVSE overlap each other, or what is taken there.
    """
    free = [[spot for spot in wish if _is_free(spot, taken)] for wish in wishes]
    until, possible = thread_time() + seconds, sum(bool(wish) for wish in free)
    first = best = _placed(range(len(free)), free)
    for order in _orders(free):
        if len(best) == possible or thread_time() > until:
            break
        plan = _placed(order, free, until=until)
        if _worth(plan, free).minutes >= _worth(first, free).minutes:
            best = max(best, plan, key=lambda one: _worth(one, free))
    return best


def in_turn(wishes: Sequence[Wish], taken: Mapping[int, Sequence[Period]]) -> Plan:
    """One after the other, each the first of its spots that is free then."""
    free = [[spot for spot in wish if _is_free(spot, taken)] for wish in wishes]
    return _placed(range(len(free)), free)


class _Worth(NamedTuple):
    """What a plan is worth, to compare by."""

    served: int
    minutes: float
    spared: int


def _worth(plan: Plan, wishes: Sequence[Wish]) -> _Worth:
    passed_over = sum(wishes[number].index(spot) for number, spot in plan.items())
    return _Worth(len(plan), sum(spot.span.minutes for spot in plan.values()), -passed_over)


def _orders(wishes: Sequence[Wish]) -> list[list[int]]:
    """As they were written; who has least choice first; the longest first; who is gone first first."""
    numbers = [number for number, wish in enumerate(wishes) if wish]
    return [
        numbers,
        sorted(numbers, key=lambda n: (len({spot.evse_id for spot in wishes[n]}), len(wishes[n]))),
        sorted(numbers, key=lambda n: -wishes[n][0].span.minutes),
        sorted(numbers, key=lambda n: wishes[n][0].span.ends_at),
    ]


def _placed(order: Sequence[int], wishes: Sequence[Wish], *, until: float | None = None) -> Plan:
    """Each in this order where it finds a spot; until that moment of this thread's time also by moving others of the plan."""
    plan: Plan = {}
    blocks: dict[int, list[Block]] = {}
    for number in order:
        spot = next((one for one in wishes[number] if _is_open(one, blocks)), None)
        if spot is not None:
            _put(number, spot, plan, blocks)
        elif until is not None and thread_time() < until:
            _make_room(number, wishes, plan, blocks)
    return plan


def _make_room(number: int, wishes: Sequence[Wish], plan: Plan, blocks: dict[int, list[Block]]) -> None:
    movable = {other: [spot for spot in wishes[other] if spot != at] for other, at in plan.items()}
    movable = {other: spots for other, spots in movable.items() if spots}
    budget = Budget(tries=TRIES, seconds=0.2)
    found = next(arrangements(wishes[number], blocks, movable, budget=budget), None)
    if found is None:
        return
    for other in found.moves:
        at = plan[other]
        blocks[at.evse_id].remove(Block(at.span, other))
    for other, to in {**found.moves, number: found.spot}.items():
        _put(other, to, plan, blocks)


def _put(number: int, spot: Spot, plan: Plan, blocks: dict[int, list[Block]]) -> None:
    plan[number] = spot
    blocks.setdefault(spot.evse_id, []).append(Block(spot.span, number))


def _is_free(spot: Spot, taken: Mapping[int, Sequence[Period]]) -> bool:
    return not any(span.overlaps(spot.span) for span in taken.get(spot.evse_id, ()))


def _is_open(spot: Spot, blocks: Mapping[int, Sequence[Block]]) -> bool:
    return not any(block.span.overlaps(spot.span) for block in blocks.get(spot.evse_id, ()))
