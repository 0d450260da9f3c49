"""Many at once: a joint plan serves at least what one after the other gets, and takes nothing twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from bookings.rules.joint_plan import Plan, in_turn, planned
from bookings.rules.rearrangement import Spot
from depots.periods import Period
from tests.factories import NOW, slot


def minutes(plan: Plan) -> float:
    return sum(spot.span.minutes for spot in plan.values())


def half_hours(start: int, length: int) -> Period:
    begin = NOW + timedelta(minutes=30 * start)
    return Period(begin, begin + timedelta(minutes=30 * length))


@st.composite
def wishes(draw: st.DrawFn) -> list[list[Spot]]:
    """Up to nine wishes at up to four EVSEs, each for some of them and in a window of up to four starts."""
    found = []
    for _ in range(draw(st.integers(1, 9))):
        evse_ids = draw(st.lists(st.integers(1, 4), min_size=1, unique=True))
        start, length, window = draw(st.integers(0, 8)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
        found.append([Spot(pk, half_hours(start + n, length)) for n in range(window) for pk in evse_ids])
    return found


@settings(max_examples=80)
@given(wishes(), st.lists(st.tuples(st.integers(1, 4), st.integers(0, 10)), max_size=4))
def test_a_joint_plan_takes_nothing_twice_and_serves_no_less_than_one_after_the_other(
    asked: Sequence[Sequence[Spot]], standing: Sequence[tuple[int, int]]
) -> None:
    taken: dict[int, list[Period]] = {}
    for evse_id, start in standing:
        taken.setdefault(evse_id, []).append(half_hours(start, 2))

    plan, first = planned(asked, taken), in_turn(asked, taken)

    assert len(plan) >= len(first)
    assert minutes(plan) >= minutes(first)
    assert all(spot in asked[number] for number, spot in plan.items())
    assert not any(
        a.evse_id == b.evse_id and a.span.overlaps(b.span) for a, b in combinations(plan.values(), 2)
    )
    assert not any(span.overlaps(spot.span) for spot in plan.values() for span in taken.get(spot.evse_id, ()))


def test_who_can_go_elsewhere_or_wait_makes_room_for_who_cannot() -> None:
    """The first takes EVSE 1 although 2 would do, the second has a window of three hours, and the third can do with neither."""
    first = [Spot(1, slot(10, 11)), Spot(2, slot(10, 11))]
    second = [Spot(2, slot(10, 12)), Spot(2, slot(11, 13))]
    third = [Spot(1, slot(10, 12))]

    assert len(in_turn([first, second, third], {})) == 2
    assert planned([first, second, third], {}) == {
        0: Spot(2, slot(10, 11)), 1: Spot(2, slot(11, 13)), 2: Spot(1, slot(10, 12)),
    }  # fmt: skip
