"""Which bookings make room for one more: a pure search, against all arrangements there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bookings.rules.rearrangement import Block, Budget, Movable, Rearrangement, can_have_room, rearrangements
from depots.periods import Period
from tests.factories import NOW, slot

UNBOUNDED = 10**9


def first_of(*args: Any, budget: Budget) -> Rearrangement | None:
    return next(rearrangements(*args, budget=budget), None)


def spans_after(
    plan: Rearrangement, wanted: Period, taken: Mapping[int, Sequence[Block]]
) -> dict[int, list[Period]]:
    found: dict[int, list[Period]] = {plan.evse_id: [wanted]}
    for evse_id, blocks in taken.items():
        for block in blocks:
            found.setdefault(plan.moves.get(block.holder, evse_id), []).append(block.span)
    return found


def is_possible(
    wanted: Period,
    evse_ids: Sequence[int],
    taken: Mapping[int, Sequence[Block]],
    movable: Mapping[int, Movable],
) -> bool:
    """By trying everything."""
    home = {block.holder: pk for pk, blocks in taken.items() for block in blocks}
    choices = [[home[holder], *movable[holder].evse_ids] for holder in movable]
    return any(
        are_apart(spans_after(Rearrangement(evse_id, dict(zip(movable, places, strict=True))), wanted, taken))
        for evse_id in evse_ids
        for places in product(*choices)
    )


def are_apart(spans: Mapping[int, Sequence[Period]]) -> bool:
    return not any(a.overlaps(b) for here in spans.values() for a, b in combinations(here, 2))


@st.composite
def depots(draw: st.DrawFn) -> tuple[dict[int, list[Block]], dict[int, Movable]]:
    """Up to four EVSEs over eight hours with up to six bookings, some of which may go to some others."""
    evse_ids = list(range(1, draw(st.integers(2, 4)) + 1))
    taken: dict[int, list[Block]] = {pk: [] for pk in evse_ids}
    movable = {}
    for holder in range(1, draw(st.integers(0, 6)) + 1):
        start = draw(st.integers(0, 14))
        span = hours(start, start + draw(st.integers(1, 5)))
        evse_id = draw(st.sampled_from(evse_ids))
        if any(block.span.overlaps(span) for block in taken[evse_id]):
            continue
        taken[evse_id].append(Block(span, holder))
        others = draw(st.lists(st.sampled_from([pk for pk in evse_ids if pk != evse_id]), unique=True))
        if others:
            movable[holder] = Movable(span, others)
    return taken, movable


def hours(start: int, end: int) -> Period:
    """In half hours of the tests' day."""
    return Period(NOW + timedelta(minutes=30 * start), NOW + timedelta(minutes=30 * end))


@settings(max_examples=60)
@given(depots(), st.integers(0, 14), st.integers(1, 4))
def test_room_is_found_exactly_where_some_arrangement_has_it(
    world: tuple[dict[int, list[Block]], dict[int, Movable]], start: int, length: int
) -> None:
    taken, movable = world
    wanted = hours(start, start + length)

    plan = first_of(wanted, list(taken), taken, movable, budget=Budget(UNBOUNDED, 1e9))

    assert (plan is not None) == is_possible(wanted, list(taken), taken, movable)
    if plan is None:
        return
    assert are_apart(spans_after(plan, wanted, taken))
    assert all(evse_id in movable[holder].evse_ids for holder, evse_id in plan.moves.items())
    assert can_have_room(wanted, list(taken), taken, movable)


@settings(max_examples=60)
@given(depots(), st.integers(0, 14), st.integers(1, 4))
def test_a_free_evse_is_taken_without_a_move(
    world: tuple[dict[int, list[Block]], dict[int, Movable]], start: int, length: int
) -> None:
    """So whatever is accepted by looking for a free EVSE is accepted here."""
    taken, movable = world
    wanted = hours(start, start + length)
    free = [pk for pk, blocks in taken.items() if not any(b.span.overlaps(wanted) for b in blocks)]

    plan = first_of(wanted, list(taken), taken, movable, budget=Budget())

    if free:
        assert plan == Rearrangement(free[0], {})
    else:
        assert plan is None or plan.moves


def test_a_chain_goes_on_until_everybody_stands_somewhere() -> None:
    """10 stands at EVSE 1 and may go to 2, where 20 stands, which may go to 3."""
    taken = {1: [Block(slot(10, 12), 10)], 2: [Block(slot(11, 13), 20)], 3: [Block(slot(9, 11), 30)]}
    movable = {10: Movable(slot(10, 12), [2]), 20: Movable(slot(11, 13), [3])}

    plan = first_of(slot(10, 11), [1], taken, movable, budget=Budget())

    assert plan == Rearrangement(1, {10: 2, 20: 3})


def test_the_fewest_moves_come_first() -> None:
    taken = {1: [Block(slot(10, 11), 10), Block(slot(11, 12), 11)], 2: [Block(slot(10, 12), 20)], 3: []}
    movable = {10: Movable(slot(10, 11), [3]), 11: Movable(slot(11, 12), [3]), 20: Movable(slot(10, 12), [3])}

    fewest, *others = rearrangements(slot(10, 12), [1, 2], taken, movable, budget=Budget())

    assert fewest == Rearrangement(2, {20: 3})
    assert others == [Rearrangement(1, {10: 3, 11: 3})]


@pytest.mark.parametrize("budget", [Budget(tries=3), Budget(seconds=-1.0)])
def test_a_search_ends_with_its_budget(budget: Budget) -> None:
    """Twelve EVSEs whose bookings cannot all be put elsewhere, and could be tried in very many ways."""
    everywhere = list(range(1, 14))
    taken = {pk: [Block(slot(10, 12), pk)] for pk in everywhere[:-1]} | {13: [Block(slot(11, 12), 99)]}
    movable = {
        pk: Movable(slot(10, 12), [other for other in everywhere if other != pk]) for pk in everywhere[:-1]
    }

    assert first_of(slot(10, 11), everywhere[:-1], taken, movable, budget=budget) is None
    assert budget.tries <= 0


def test_a_full_depot_is_refused_without_a_search() -> None:
    taken = {pk: [Block(slot(10, 12), pk)] for pk in range(1, 51)}
    movable = {pk: Movable(slot(10, 12), [other for other in taken if other != pk]) for pk in taken}
    budget = Budget(tries=0)

    assert first_of(slot(10, 11), list(taken), taken, movable, budget=budget) is None
    assert budget.tries == 0
