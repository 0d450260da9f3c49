"""What is billed of what was used: totals of a pass rounded up to the step of the last component that priced any of it.

The total counts what some component prices, at zero too. What rounding adds is billed by that last component. Of the two
kinds of time only parking is rounded once any of it was billed.
"""

from __future__ import annotations

from typing import NamedTuple

from bookings.pricing.passes import PricedComponent
from bookings.pricing.ratios import Ratio, added
from bookings.pricing.walk import Usage

WH_A_KWH = 1000


class BilledQuantity(NamedTuple):
    """kWh, seconds, or 1 of a flat price."""

    priced: PricedComponent
    quantity: Ratio
    billed: Ratio


ONCE: Ratio = (1, 1)


def billed_quantities(usage: Usage) -> list[BilledQuantity]:
    """In the order of elements and dimensions; `billed` is the very `quantity` where steps add nothing."""
    used = _quantities(usage)
    if usage.flat is not None:
        used[usage.flat] = ONCE
    billed = used.copy()
    for last, steps_a_unit in (
        (usage.last_energy, WH_A_KWH),
        (usage.last_parking or usage.last_time, 1),
    ):
        if last is not None and last.component.step:
            missing = _missing_to_step(used, last, steps_a_unit)
            if missing[0]:
                billed[last] = added(used[last], missing)
    lines = [BilledQuantity(priced, used[priced], billed[priced]) for priced in used]
    lines.sort(key=_place)
    return lines


def _quantities(usage: Usage) -> dict[PricedComponent, Ratio]:
    used = {priced: amount.as_integer_ratio() for priced, amount in usage.whole.items()}
    for priced, part in usage.parts.items():
        used[priced] = added(used[priced], part) if priced in used else part
    return used


def _missing_to_step(used: dict[PricedComponent, Ratio], last: PricedComponent, steps_a_unit: int) -> Ratio:
    """What the total of a dimension lacks to a whole number of steps."""
    dimension = last.component.dimension
    total = (0, 1)
    for priced, quantity in used.items():
        if priced.component.dimension is dimension:
            total = added(total, quantity)
    amount, scale = total
    return -amount * steps_a_unit % (scale * last.component.step), scale * steps_a_unit


def _place(line: BilledQuantity) -> tuple[int, int]:
    return line.priced.place
