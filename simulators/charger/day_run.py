"""Runs scripted days by a clock that may go faster than ours, and says what each truck got."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

from simulators.charger.day import ChargerDay, close, make_day
from simulators.charger.day_script import DayScript

TICK_S = 0.25


class DayClock:
    """Runs `speed` times as fast as ours from `begins_at` on. With 1 and now it is ours."""

    def __init__(self, begins_at: datetime, speed: float) -> None:
        self._begins_at, self._speed = begins_at, speed
        self._started = monotonic()

    def __call__(self) -> datetime:
        return self._begins_at + timedelta(seconds=(monotonic() - self._started) * self._speed)


async def run_days(script: DayScript, *, speed: float) -> list[ChargerDay]:
    """Until every truck has gone and nothing more is to happen, or it is cancelled."""
    begins_at = script.begins_at or datetime.now(UTC)
    clock = DayClock(begins_at, speed)
    days = [
        make_day(replace(each, options=replace(each.options, clock=clock, records=False)), begins_at)
        for each in script.chargers
    ]
    try:
        async with asyncio.TaskGroup() as group:
            for day in days:
                group.create_task(_run(day))
    except asyncio.CancelledError:
        pass
    finally:
        await close(days)
    return days


def summary(days: list[ChargerDay]) -> dict[str, Any]:
    """What the trucks got, and how many of them got what they wanted."""
    stories = [story for day in days for story in day.stories]
    outcomes: dict[str, int] = {}
    for story in stories:
        outcomes[story.outcome] = outcomes.get(story.outcome, 0) + 1
    return {
        "trucks": [story.as_json() for story in stories],
        "outcomes": dict(sorted(outcomes.items())),
        "energy_wh": sum(story.energy_wh for story in stories),
        "unsent": {day.charger.identity: len(day.charger.outbox) for day in days if len(day.charger.outbox)},
    }


def write_summary(days: list[ChargerDay], path: Path | None) -> None:
    text = json.dumps(summary(days), indent=1)
    if path is None:
        print(text)
    else:
        path.write_text(text + "\n")


async def _run(day: ChargerDay) -> None:
    while not day.is_over:
        await day.advance()
        await asyncio.sleep(TICK_S)
