"""Exact quantities as a numerator and a denominator, not reduced: cheaper than a Fraction in the walk of a long session."""

from __future__ import annotations

Ratio = tuple[int, int]


def added(one: Ratio, other: Ratio) -> Ratio:
    if one[1] == other[1]:
        return one[0] + other[0], one[1]
    return one[0] * other[1] + other[0] * one[1], one[1] * other[1]
