"""Whole days asked for booking by booking, as `assignment_vs_first_fit` generates them: against the first free EVSE that fits."""

from __future__ import annotations

import random
from copy import deepcopy

import pytest

from benchmarks import assignment
from benchmarks.assignment import Day, berth, generated
from tests.bookings.rules.test_rearrangement import are_apart


@pytest.fixture(scope="module", params=range(4))
def day(request: pytest.FixtureRequest) -> int:
    return request.param


def test_whatever_the_first_free_evse_accepts_from_the_same_state_is_accepted(day: int) -> None:
    """Followed booking by booking, with what stood there before each."""
    wishes = generated(random.Random(day))
    ours = Day({}, {})
    for holder, wish in enumerate(wishes):
        same = deepcopy(ours)
        is_accepted = assignment.first_fit(same, wish, holder)
        assignment.take(ours, wish, holder)

        assert not is_accepted or holder in ours.there
        spans = {pk: [row.span for row in rows] for pk, rows in ours.taken.items()}
        assert are_apart(spans)


def test_these_days_have_more_bookings_and_more_minutes() -> None:
    days = [generated(random.Random(seed)) for seed in range(4)]
    first = [assignment.accepted(wishes, assign=assignment.first_fit) for wishes in days]
    ours = [berth(wishes)[0] for wishes in days]

    assert sum(len(day.there) for day in ours) > sum(len(day.there) for day in first)
    assert sum(day.minutes for day in ours) > 1.03 * sum(day.minutes for day in first)
