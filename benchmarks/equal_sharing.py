"""What a day's trucks would have charged in equal parts of the limit, to compare a plan with."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.power_day import PowerDay

SECOND = timedelta(seconds=1)


def equal_sharing_wh(day: PowerDay, *, of_all: bool) -> float:
    """What the same trucks would have charged in equal parts of the limit: one for each that is there, or for each EVSE.

    Who found its EVSE without power, or taken, did not charge in either.
    """
    visits = [replace(visit, charged_wh=0) for visit in day.visits if visit.has_begun]
    now, most = day.begins_at, day.evses[0].max_power_w
    while now < day.ends_at:
        now += SECOND
        here = [visit for visit in visits if visit.comes_at <= now < visit.leaves_at]
        part = day.figures.limit_w / max(len(day.evses) if of_all else len(here), 1)
        for visit in here:
            visit.charged_wh += min(visit.wants_w(visit.charged_wh), most, part) / 3600
    return sum(visit.charged_wh for visit in visits)
