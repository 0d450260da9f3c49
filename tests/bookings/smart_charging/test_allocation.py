"""Power shared out: limits hold whatever is asked, promises come first, and nothing is wasted that somebody could take."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from bookings.smart_charging.allocation import STEP_W, Charging, Place, PowerLimit, allocate, sendable
from tests.factories import NOW

KW = 1000
HOUR = timedelta(hours=1)


def truck(
    evse_id: int, *, promised: int = 0, needed: int = 0, most: int = 400, leaves=None, rank: int = 0
) -> Place:
    return Place(
        evse_id,
        promised * KW,
        (rank,),
        charging=Charging(needed * KW, most * KW, leaves and NOW + leaves * HOUR),
    )


def free(evse_id: int, *, floor: int = 10, ready: int = 50, rank: int = 9) -> Place:
    return Place(evse_id, floor * KW, (rank,), ready_w=ready * KW)


def grid(watts: int, *evse_ids: int) -> PowerLimit:
    return PowerLimit("grid", watts * KW, frozenset(evse_ids))


def shared(limits, *places: Place) -> dict[int, int]:
    return {evse_id: watts // KW for evse_id, watts in allocate(limits, places).items()}


def test_promises_come_first_and_the_rest_is_shared_equally():
    places = truck(1, promised=150), truck(2, promised=50), truck(3, promised=50)

    assert shared([grid(400, 1, 2, 3)], *places) == {1: 200, 2: 100, 3: 100}


def test_what_a_truck_cannot_take_goes_to_the_others():
    assert shared([grid(400, 1, 2)], truck(1, promised=50, most=80), truck(2, promised=50)) == {1: 80, 2: 320}


def test_who_leaves_first_has_what_it_needs_before_anybody_has_more():
    early, late = truck(1, needed=200, leaves=1), truck(2, needed=200, leaves=3)

    assert shared([grid(300, 1, 2)], late, early) == {1: 200, 2: 100}


def test_promises_that_do_not_fit_any_more_are_kept_in_the_order_of_their_rank():
    places = truck(1, promised=100, rank=2), truck(2, promised=100, rank=1), truck(3, promised=100, rank=3)

    assert shared([grid(150, 1, 2, 3)], *places) == {2: 100, 1: 50, 3: 0}


def test_a_free_evse_is_ready_for_more_only_where_there_is_plenty():
    assert shared([grid(200, 1, 2)], truck(1, most=400), free(2)) == {1: 190, 2: 10}
    assert shared([grid(200, 1, 2)], truck(1, most=100), free(2)) == {1: 100, 2: 50}


def test_one_that_cannot_be_told_anything_takes_what_it_takes():
    silent = Place(1, 0, (0,), fixed_w=250 * KW)

    assert shared([grid(300, 1, 2)], silent, truck(2, promised=100)) == {1: 250, 2: 50}
    assert shared([grid(200, 1, 2)], silent, truck(2, promised=100)) == {1: 250, 2: 0}


def test_a_cabinet_leaves_the_others_what_its_own_cannot_have():
    cabinet = PowerLimit("cabinet", 100 * KW, frozenset({1, 2}))

    assert shared([grid(600, 1, 2, 3), cabinet], truck(1), truck(2), truck(3)) == {1: 50, 2: 50, 3: 400}


def test_a_raise_waits_for_the_lowerings_that_make_room_for_it():
    limits = [grid(300, 1, 2, 3)]
    counted = {1: 200 * KW, 2: 50 * KW, 3: 50 * KW}

    first = sendable(
        limits, counted, {1: 100 * KW, 2: 100 * KW, 3: 100 * KW}, urgency=lambda evse_id: evse_id
    )
    then = sendable(
        limits,
        counted | {1: 100 * KW},
        {1: 100 * KW, 2: 100 * KW, 3: 100 * KW},
        urgency=lambda evse_id: evse_id,
    )

    assert first == ([1], [])
    assert then == ([], [2, 3])


def test_an_evse_behind_a_full_cabinet_keeps_nothing_from_the_others():
    full = PowerLimit("cabinet", 50 * KW, frozenset({1}))

    assert shared([grid(400, 1, 2), full], truck(1, promised=50), truck(2)) == {1: 50, 2: 350}


def test_what_is_less_than_a_step_for_each_goes_to_the_first_of_them():
    assert shared([grid(200, 1, 2, 3)], truck(1), truck(2), truck(3)) == {1: 67, 2: 67, 3: 66}


@st.composite
def depots(draw) -> tuple[list[PowerLimit], list[Place]]:
    ids = list(range(1, draw(st.integers(1, 7)) + 1))
    watts = st.integers(0, 400_000)
    limits = [PowerLimit("grid", draw(st.integers(0, 1_500_000)), frozenset(ids))]
    for name in range(draw(st.integers(0, 2))):
        fed = draw(st.sets(st.sampled_from(ids), min_size=1))
        limits.append(PowerLimit(f"cabinet {name}", draw(st.integers(0, 600_000)), frozenset(fed)))
    places = []
    for evse_id in ids:
        floor, rank = draw(watts), (draw(st.integers(0, 3)),)
        kind = draw(st.sampled_from(["charging", "free", "fixed"]))
        if kind == "charging":
            leaves = draw(st.none() | st.integers(0, 5).map(lambda hours: NOW + hours * HOUR))
            places.append(Place(evse_id, floor, rank, charging=Charging(draw(watts), draw(watts), leaves)))
        elif kind == "free":
            places.append(Place(evse_id, floor, rank, ready_w=floor + draw(st.integers(0, 50_000))))
        else:
            places.append(Place(evse_id, 0, rank, fixed_w=draw(watts)))
    return limits, places


@settings(max_examples=200, deadline=None)
@given(depots())
def test_no_limit_is_exceeded_by_what_can_be_told_promises_come_first_and_nothing_is_wasted(depot):
    limits, places = depot
    given_w = allocate(limits, places)

    assert given_w.keys() == {place.evse_id for place in places}
    fixed = {place.evse_id: place.fixed_w for place in places if place.fixed_w is not None}
    for limit in limits:
        told = sum(given_w[evse_id] for evse_id in limit.feeds if evse_id not in fixed)
        taken = sum(fixed.get(evse_id, 0) for evse_id in limit.feeds)
        assert told <= max(limit.watts - taken, 0)
    room = {limit: limit.watts - sum(given_w[evse_id] for evse_id in limit.feeds) for limit in limits}
    if all(
        limit.watts >= sum(p.fixed_w or p.floor_w for p in places if p.evse_id in limit.feeds)
        for limit in limits
    ):
        assert all(given_w[p.evse_id] >= p.floor_w for p in places if p.fixed_w is None)
    for place in places:
        if place.charging is not None and given_w[place.evse_id] < place.charging.most_w - STEP_W:
            behind = [room[limit] for limit in limits if place.evse_id in limit.feeds]
            # What is left over is less than a step for each of those that could take more.
            assert min(behind) < STEP_W * len(places)


@settings(max_examples=200, deadline=None)
@given(depots(), st.data())
def test_at_every_step_of_telling_the_larger_of_old_and_new_stays_within_the_limits(depot, data):
    """Every answer may be lost or late: until it is there, the larger counts."""
    limits, places = depot
    places = [place for place in places if place.fixed_w is None]
    counted = allocate(limits, places)
    wanted = allocate(
        limits, [place._replace(floor_w=data.draw(st.integers(0, 300_000))) for place in places]
    )
    for _ in range(2 * len(places) + 2):
        sending = sendable(limits, counted, wanted, urgency=lambda evse_id: 0)
        for limit in limits:
            larger = [
                max(counted[e], wanted[e] if e in sending.higher else 0) for e in limit.feeds if e in counted
            ]
            assert sum(larger) <= limit.watts
        answered = (
            data.draw(st.sets(st.sampled_from([*sending.lower, *sending.higher]))) if any(sending) else set()
        )
        counted |= {evse_id: wanted[evse_id] for evse_id in answered}
    counted |= {
        evse_id: wanted[evse_id] for evse_id in sendable(limits, counted, wanted, urgency=lambda _: 0).lower
    }
    rest = sendable(limits, counted, wanted, urgency=lambda _: 0)
    assert set(rest.higher) == {evse_id for evse_id in wanted if wanted[evse_id] > counted[evse_id]}
