"""What is billed of what was used: totals of a pass rounded up to the step of the last component that priced any of it.

The total counts what some component prices, at zero too. What rounding adds is billed by that last component. Of the two
kinds of time only parking is rounded once any of it was billed.
"""

from __future__ import annotations

from typing import NamedTuple

from bookings.pricing.passes import PricedComponent
from bookings.pricing.ratios import Ratio, added
from bookings.pricing.tariff_content import Dimension
from bookings.pricing.walk import Usage

WH_A_KWH = 1000


class BilledQuantity(NamedTuple):
    """kWh, seconds, or 1 of a flat price."""

    priced: PricedComponent
    quantity: Ratio
    billed: Ratio


def billed_quantities(usage: Usage) -> list[BilledQuantity]:
    """In the order of elements and dimensions."""
    used = _quantities(usage)
    last_of_time = usage.last_parking or usage.last_time
    in_steps = {
        last: _to_whole_steps(used, last, steps_a_unit)
        for last, steps_a_unit in ((usage.last_energy, WH_A_KWH), (last_of_time, 1))
        if last is not None and last.component.step
    }
    billed = [
        BilledQuantity(
            priced, quantity, added(quantity, in_steps[priced]) if priced in in_steps else quantity
        )
        for priced, quantity in used.items()
    ]
    if usage.flat is not None:
        billed.append(BilledQuantity(usage.flat, (1, 1), (1, 1)))
    return sorted(billed, key=_place) if len(billed) > 1 else billed


def _quantities(usage: Usage) -> dict[PricedComponent, Ratio]:
    used = {priced: amount.as_integer_ratio() for priced, amount in usage.whole.items()}
    for priced, part in usage.parts.items():
        used[priced] = added(used[priced], part) if priced in used else part
    return used


def _to_whole_steps(used: dict[PricedComponent, Ratio], last: PricedComponent, steps_a_unit: int) -> Ratio:
    dimension, step = last.component.dimension, last.component.step
    total: Ratio = (0, 1)
    for priced, quantity in used.items():
        if priced.component.dimension is dimension:
            total = added(total, quantity)
    amount, scale = total[0] * steps_a_unit, total[1]
    steps = -(-amount // (scale * step))
    return steps * step * scale - amount, scale * steps_a_unit


_DIMENSIONS = list(Dimension)


def _place(billed: BilledQuantity) -> tuple[int, int]:
    return billed.priced.element, _DIMENSIONS.index(billed.priced.component.dimension)
