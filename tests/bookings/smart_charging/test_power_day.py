"""A day second by second: no limit is ever exceeded, every promise is kept, and more is charged than by equal sharing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from benchmarks.equal_sharing import equal_sharing_wh
from benchmarks.power_day import PowerDay

pytestmark = pytest.mark.django_db


def check(day: PowerDay) -> None:
    figures = day.run()

    assert figures.most_taken_w <= figures.limit_w
    assert figures.most_possible_w <= figures.limit_w
    assert figures.short_s == 0
    assert figures.promised_visits > 0
    assert figures.charged_wh > equal_sharing_wh(day, of_all=True)


def test_some_minutes_with_a_silent_charger_and_one_that_forgets():
    check(PowerDay(evses=4, power_kw=300, limit_kw=350, lasts=timedelta(minutes=6)))


@pytest.mark.long
def test_a_day():
    check(PowerDay(evses=8, power_kw=350, limit_kw=800, lasts=timedelta(hours=8)))
