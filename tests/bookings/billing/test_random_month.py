"""Whatever fleets, chargers and accountants do in whatever order, the books balance and what was issued stays."""

from __future__ import annotations

import pytest

from tests.bookings.billing.books import faults, issued
from tests.bookings.billing.random_month import RandomMonth

pytestmark = pytest.mark.django_db


def play(seed: int, steps: int) -> RandomMonth:
    month = RandomMonth(seed)
    month.play(steps)
    found = faults(month.now)
    month.finish()
    found += faults(month.now)

    assert not found, "\n".join(found)
    assert issued() == month.hashes
    return month


def test_the_books_balance_after_a_random_month():
    month = play(10, 120)

    for tried in ("book", "change", "cancel", "plug_in", "unplug", "dispute", "answer", "bill"):
        assert month.done[f"{tried}: done"], month.done


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10, 60))
def test_the_books_balance_after_many_random_months(seed):
    play(seed, 1500)
