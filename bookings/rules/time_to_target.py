"""How long a session will still take, from what its meter shows: a range, the narrower where the vehicle's charge curve is
kept; or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from math import ceil, floor, inf, log

from bookings.rules.charge_curve import Curve, power_at

# Below that it pauses, or has as good as ended.
LEAST_W = 1000
LONGEST = timedelta(hours=24)
# Where drivers go on, when nobody has said how much they want.
USUAL_TARGET_PERCENT = 80
# From there on a battery takes less and less; full, a quarter of what it took before.
TAPERS_FROM_PERCENT = 80
_TAPER = 0.75 / (100 - TAPERS_FROM_PERCENT)
# Power swings with temperature, and with what others at the depot draw.
_AT_BEST, _AT_WORST = 1.05, 0.85
# The same where the curve is known; what is left of it is the battery's temperature.
_CURVE_AT_BEST, _CURVE_AT_WORST = 1.05, 0.92
# What is measured at this much of the curve is the curve; less is a limit of the charger or the depot.
_ON_CURVE = 0.95


@dataclass(frozen=True)
class TimeToTarget:
    """At least `shortest`, at most `longest`, until `target`: `80 %` or `267 kWh`."""

    shortest: timedelta
    longest: timedelta
    target: str


def time_to_target(
    *,
    power_w: int | None,
    delivered_wh: int | None,
    booked_wh: int | None,
    soc_percent: float | None,
    battery_wh: int | None,
    curve: Curve = (),
) -> TimeToTarget | None:
    """To the booked energy where that fits into the battery, else to the battery's usual or full charge. None where that cannot
    be said, or is reached. `curve` is the vehicle's, empty where it is not known."""
    if power_w is None or power_w < LEAST_W:
        return None
    knows_battery = battery_wh is not None and soc_percent is not None
    soc = min(max(soc_percent, 0.0), 100.0) if soc_percent is not None else 0.0
    room_wh = (battery_wh or 0) * (100 - soc) / 100
    left_wh = booked_wh - delivered_wh if booked_wh is not None and delivered_wh is not None else None
    if left_wh is not None and (not knows_battery or left_wh <= room_wh):
        left, target = float(left_wh), f"{(booked_wh or 0) / 1000:,.0f} kWh"
    elif knows_battery:
        percent = USUAL_TARGET_PERCENT if left_wh is None and soc < USUAL_TARGET_PERCENT else 100
        left, target = (battery_wh or 0) * (percent - soc) / 100, f"{percent} %"
    else:
        return None
    if left <= 0:
        return None
    if knows_battery and curve:
        by_curve_h = _along_curve_h(left, power_w, soc, battery_wh or 0, curve)
        shortest, longest = by_curve_h / _CURVE_AT_BEST, by_curve_h / _CURVE_AT_WORST
    else:
        at_worst_h = _tapered_h(left, power_w, soc, battery_wh or 0) if knows_battery else left / power_w
        shortest, longest = left / power_w / _AT_BEST, at_worst_h / _AT_WORST
    if timedelta(hours=longest) > LONGEST:
        return None
    return TimeToTarget(_minutes(shortest, floor), _minutes(longest, ceil), target)


def in_words(found: TimeToTarget) -> str:
    """`25–40 min to 80 %`; where it takes longer `1:25–2:20 h to 267 kWh`."""
    shortest, longest = (round(each.total_seconds() / 60) for each in (found.shortest, found.longest))
    if longest < 100:
        return f"{shortest}–{longest} min to {found.target}"
    return f"{shortest // 60}:{shortest % 60:02}–{longest // 60}:{longest % 60:02} h to {found.target}"


def _along_curve_h(left_wh: float, power_w: int, soc: float, battery_wh: int, curve: Curve) -> float:
    """Hours for the energy, a percent at a time: what is measured now is the curve, moved a little, or a limit under it."""
    measured = power_w / power_at(curve, soc)
    scale = measured if measured >= _ON_CURVE else 1.0
    limit_w = power_w if measured < _ON_CURVE else inf
    hours = 0.0
    while left_wh > 0 and soc < 100:
        step_wh = min(left_wh, battery_wh * min(1.0, 100 - soc) / 100)
        hours += step_wh / min(limit_w, scale * power_at(curve, soc + 0.5))
        left_wh, soc = left_wh - step_wh, soc + 1
    return hours


def _tapered_h(left_wh: float, power_w: int, soc: float, battery_wh: int) -> float:
    """Hours for the energy when the power falls from 80 % on: what is measured now is power at the present charge."""
    end = min(soc + left_wh / battery_wh * 100, 100.0)
    full_w = power_w / _share_of_power(soc)
    level = max(0.0, min(end, TAPERS_FROM_PERCENT) - soc) / 100 * battery_wh / full_w
    start = max(soc, TAPERS_FROM_PERCENT)
    if end <= start:
        return level
    falling = log(_share_of_power(start) / _share_of_power(end)) / _TAPER / 100 * battery_wh / full_w
    return level + falling


def _share_of_power(soc: float) -> float:
    return 1 - max(0.0, soc - TAPERS_FROM_PERCENT) * _TAPER


def _minutes(hours: float, rounded: Callable[[float], int]) -> timedelta:
    """As exact as can be said: to the minute, from twenty on in steps of five."""
    minutes = hours * 60
    step = 5 if minutes >= 20 else 1
    return timedelta(minutes=max(1, rounded(minutes / step) * step))
