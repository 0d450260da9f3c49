"""Exact quantities as a numerator and a denominator, not reduced: cheaper than a Fraction in the walk of a long session."""

from __future__ import annotations

from math import lcm

Ratio = tuple[int, int]


def added(one: Ratio, other: Ratio) -> Ratio:
    if one[1] == other[1]:
        return one[0] + other[0], one[1]
    whole = lcm(one[1], other[1])
    return one[0] * (whole // one[1]) + other[0] * (whole // other[1]), whole
