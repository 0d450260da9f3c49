"""What a charging profile allows over time: an amount, and from later moments on another."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple


class Step(NamedTuple):
    """From `at` on, by the charger's clock, it allows `watts`."""

    at: datetime
    watts: int


class PowerSchedule(NamedTuple):
    """`steps` are ever later."""

    watts: int
    steps: tuple[Step, ...] = ()

    def watts_at(self, moment: datetime) -> int:
        return next((step.watts for step in reversed(self.steps) if step.at <= moment), self.watts)

    def most_between(self, begin: datetime, end: datetime) -> int:
        """What it allows at most at any moment of these."""
        return max([self.watts_at(begin), *(step.watts for step in self.steps if begin < step.at <= end)])

    def next_rise(self, after: datetime) -> datetime | None:
        """The first moment from which on it allows more than just before."""
        before = self.watts_at(after)
        for step in self.steps:
            if step.at > after:
                if step.watts > before:
                    return step.at
                before = step.watts
        return None

    def steps_as_json(self) -> list[list[str | int]]:
        return [[step.at.isoformat(), step.watts] for step in self.steps]


def from_json(watts: int | None, steps: Iterable[tuple[str, int]]) -> PowerSchedule | None:
    if watts is None:
        return None
    return PowerSchedule(watts, tuple(Step(datetime.fromisoformat(at), then) for at, then in steps))


def larger(schedules: Iterable[PowerSchedule | None]) -> PowerSchedule | None:
    """What holds at most at every moment where any of these may hold; None where there is none."""
    given = [schedule for schedule in schedules if schedule is not None]
    if not given:
        return None
    found = PowerSchedule(max(schedule.watts for schedule in given))
    for at in sorted({step.at for schedule in given for step in schedule.steps}):
        watts = max(schedule.watts_at(at) for schedule in given)
        if watts != found.watts_at(at):
            found = PowerSchedule(found.watts, (*found.steps, Step(at, watts)))
    return found
