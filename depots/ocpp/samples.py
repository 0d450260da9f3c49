"""Sampled values of a meter, the same in all versions but for how a number is written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from depots.operations import Reading

ENERGY, POWER, SOC = "Energy.Active.Import.Register", "Power.Active.Import", "SoC"

Sample = dict[str, Any]
Scale = Callable[[Sample], Decimal | None]


def reading(at: datetime, samples: list[Sample], scale: Scale) -> Reading:
    """What we keep of one meter value. `scale` gives a sample's number in Wh, W or percent, None when it has none."""
    soc = _total(samples, SOC, scale)
    return Reading(
        at=at,
        energy_wh=_whole(_total(samples, ENERGY, scale)),
        power_w=_whole(_total(samples, POWER, scale)),
        soc_percent=None if soc is None else float(soc),
    )


def _total(samples: list[Sample], measurand: str, scale: Scale) -> Decimal | None:
    """Values of single phases count only where no total is given."""
    wanted = [
        (sample, value)
        for sample in samples
        if sample.get("measurand", ENERGY) == measurand
        and sample.get("location", "Outlet") in {"Outlet", "EV"}
        and (value := scale(sample)) is not None
    ]
    totals = [value for sample, value in wanted if "phase" not in sample]
    values = totals[:1] or [value for _, value in wanted]
    return sum(values, Decimal()) if values else None


def _whole(value: Decimal | None) -> int | None:
    return None if value is None or abs(value) >= 10**18 else round(value)
