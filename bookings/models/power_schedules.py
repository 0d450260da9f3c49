"""What a charging profile allows over time: an amount, and from later moments on less."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple


class Fall(NamedTuple):
    """From `at` on, by the charger's clock, it allows `watts`."""

    at: datetime
    watts: int


class PowerSchedule(NamedTuple):
    """`falls` are ever later and lower."""

    watts: int
    falls: tuple[Fall, ...] = ()

    def watts_at(self, moment: datetime) -> int:
        return next((fall.watts for fall in reversed(self.falls) if fall.at <= moment), self.watts)

    def falls_as_json(self) -> list[list[str | int]]:
        return [[fall.at.isoformat(), fall.watts] for fall in self.falls]


def from_json(watts: int | None, falls: Iterable[tuple[str, int]]) -> PowerSchedule | None:
    if watts is None:
        return None
    return PowerSchedule(watts, tuple(Fall(datetime.fromisoformat(at), less) for at, less in falls))


def larger(schedules: Iterable[PowerSchedule | None]) -> PowerSchedule | None:
    """What holds at most at every moment where any of these may hold; None where there is none."""
    given = [schedule for schedule in schedules if schedule is not None]
    if not given:
        return None
    found = PowerSchedule(max(schedule.watts for schedule in given))
    for at in sorted({fall.at for schedule in given for fall in schedule.falls}):
        watts = max(schedule.watts_at(at) for schedule in given)
        if watts < found.watts_at(at):
            found = PowerSchedule(found.watts, (*found.falls, Fall(at, watts)))
    return found
