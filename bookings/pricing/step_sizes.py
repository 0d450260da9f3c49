"""What is billed of what was used: totals of a pass rounded up to the step of the last component that priced any of it.

The total counts what some component prices, at zero too. What rounding adds is billed by that last component. Of the two
kinds of time only parking is rounded once any of it was billed.
"""

from __future__ import annotations

from dataclasses import dataclass

from bookings.pricing.passes import PricedComponent
from bookings.pricing.tariff_content import Dimension
from bookings.pricing.walk import Usage

# A numerator and a denominator, not reduced: cheaper than a Fraction, and as exact.
Ratio = tuple[int, int]
WH_A_KWH = 1000


@dataclass(frozen=True, slots=True)
class BilledQuantity:
    """kWh, seconds, or 1 of a flat price."""

    priced: PricedComponent
    quantity: Ratio
    billed: Ratio


def billed_quantities(usage: Usage) -> list[BilledQuantity]:
    """In the order of elements and dimensions."""
    used = _quantities(usage)
    last_of_time = usage.last_parking or usage.last_time
    added = {
        last: _to_whole_steps(used, last, steps_a_unit)
        for last, steps_a_unit in ((usage.last_energy, WH_A_KWH), (last_of_time, 1))
        if last is not None and last.component.step
    }
    billed = [
        BilledQuantity(priced, quantity, _sum(quantity, added[priced]) if priced in added else quantity)
        for priced, quantity in used.items()
    ]
    if usage.flat is not None:
        billed.append(BilledQuantity(usage.flat, (1, 1), (1, 1)))
    return sorted(billed, key=_place) if len(billed) > 1 else billed


def _quantities(usage: Usage) -> dict[PricedComponent, Ratio]:
    used = {priced: amount.as_integer_ratio() for priced, amount in usage.whole.items()}
    for priced, part in usage.parts.items():
        ratio = part.as_integer_ratio()
        used[priced] = _sum(used[priced], ratio) if priced in used else ratio
    return used


def _to_whole_steps(used: dict[PricedComponent, Ratio], last: PricedComponent, steps_a_unit: int) -> Ratio:
    dimension, step = last.component.dimension, last.component.step
    total: Ratio = (0, 1)
    for priced, quantity in used.items():
        if priced.component.dimension is dimension:
            total = _sum(total, quantity)
    amount, scale = total[0] * steps_a_unit, total[1]
    steps = -(-amount // (scale * step))
    return steps * step * scale - amount, scale * steps_a_unit


def _sum(one: Ratio, other: Ratio) -> Ratio:
    if one[1] == other[1]:
        return one[0] + other[0], one[1]
    return one[0] * other[1] + other[0] * one[1], one[1] * other[1]


_DIMENSIONS = list(Dimension)


def _place(billed: BilledQuantity) -> tuple[int, int]:
    return billed.priced.element, _DIMENSIONS.index(billed.priced.component.dimension)
