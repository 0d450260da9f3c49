"""Fleets, chargers, depots and accountants at once, in processes of their own: no deadlock, and the books balance."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from tests.bookings.billing.books import faults, issued
from tests.bookings.billing.random_month import RandomMonth
from tests.races.processes import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.races]

# The month ends while they are at it.
EVENING = datetime(2030, 1, 31, 20, 0, tzinfo=UTC)


def play(seed: int, *, processes: int, steps: int) -> Counter[str]:
    # Each process has a clock of its own. A state of charging that comes after its session has ended corrects no record, and a
    # version of a tariff that begins before a session of no booking would have priced it.
    month = RandomMonth(seed, now=EVENING, without=frozenset({"demand", "walk_in"}))

    def live(number: int) -> tuple[Counter[str], dict[str, str]]:
        mine = month.alone(seed * 1000 + number)
        mine.play(steps)
        return mine.done, mine.hashes

    reports = at_once(live, processes)

    assert not (failures := [report for report in reports if isinstance(report, str)]), "\n".join(failures)
    month.now = max(EVENING.replace(day=1, month=2), month.now)
    month.finish()
    found = faults(month.now)
    assert not found, "\n".join(found)
    kept = issued()
    assert all(kept[name] == digest for _, hashes in reports for name, digest in hashes.items())
    return sum((done for done, _ in reports), Counter())


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10, 25))
def test_the_books_balance_whoever_is_at_them_at_once(seed):
    done = play(seed, processes=8, steps=150)

    for tried in ("book", "plug_in", "unplug", "bill"):
        assert done[f"{tried}: done"], done
