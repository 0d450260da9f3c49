"""A day second by second: no limit is ever exceeded, every promise is kept, and more is charged than by equal sharing."""

from __future__ import annotations

from datetime import datetime, timedelta

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


def test_a_station_that_accepts_and_takes_more_is_found_by_its_meter_and_the_others_leave_it_room():
    day = PowerDay(evses=4, power_kw=200, limit_kw=350, lasts=timedelta(minutes=6), faults=False, ignoring=0)
    figures = day.run()

    station = day.evses[0].charger
    assert station is not None
    station.refresh_from_db()
    found_at = datetime.fromisoformat(station.measured["profiles_at"])
    assert station.measured["profiles"] == "ignores"
    assert figures.over_s > 0
    assert figures.last_over_at is not None
    assert figures.last_over_at <= found_at + timedelta(seconds=6)


@pytest.mark.long
def test_a_day():
    check(PowerDay(evses=8, power_kw=350, limit_kw=800, lasts=timedelta(hours=8)))
