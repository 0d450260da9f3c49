"""How much a vehicle takes at which state of charge: points of (percent, watts), straight between them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from depots.imports.schemas import watts

MOST_POINTS = 24
MOST_KW = 5000
_POINT = re.compile(r"(\d{1,3}) ?%? ?[:=] ?(\d{1,4}(?:\.\d{1,3})?)(?: ?kW)?", re.ASCII | re.IGNORECASE)
_SHAPE = "Write percent and kW, as in 10:350, 80:180, 100:60."

Curve = Sequence[Sequence[int]]


def read_curve(text: str) -> list[list[int]]:
    """`10:350, 80:180, 100:60` as points; nothing is no curve. Raises ValueError with a sentence."""
    parts = [part.strip() for part in re.split(r"[;,\n]", text)]
    found = [_POINT.fullmatch(part) for part in parts if part]
    if None in found:
        raise ValueError(_SHAPE)
    points = [[int(point[1]), watts(float(point[2]))] for point in found if point is not None]
    if fault := _fault(points):
        raise ValueError(fault)
    return points


def curve_text(curve: Curve) -> str:
    return ", ".join(f"{percent}:{power_w / 1000:g}" for percent, power_w in curve)


def power_at(curve: Curve, soc_percent: float) -> float:
    """Watts the vehicle takes there; before the first point and after the last as at them. The curve has points."""
    for (low, low_w), (high, high_w) in pairwise(curve):
        if low <= soc_percent <= high:
            return low_w + (high_w - low_w) * (soc_percent - low) / (high - low)
    return curve[0][1] if soc_percent < curve[0][0] else curve[-1][1]


def _fault(points: Iterable[Sequence[int]]) -> str:
    points = list(points)
    if not points:
        return ""
    if not 2 <= len(points) <= MOST_POINTS:
        return f"A curve has 2 to {MOST_POINTS} points."
    if any(low[0] >= high[0] for low, high in pairwise(points)) or points[-1][0] > 100:
        return "The percentages rise from point to point, to 100 at most."
    if not all(1000 <= power_w <= MOST_KW * 1000 for _, power_w in points):
        return f"The power is 1 to {MOST_KW} kW at each point."
    return ""
