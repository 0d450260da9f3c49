"""A partner's terms within what our tables hold. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bookings.rules.terms import LIMITS
from roaming.mirror.values import NEVER_MIN

# Deadlines are the partner's to judge; on lengths of time our own pages and tables rely.
_WITHIN_LIMITS = set(LIMITS) - {"change_until_min", "cancel_until_min"}


def within_limits(told: Mapping[str, Any]) -> dict[str, Any]:
    """Whole minutes that fit their columns; a fraction is not worth an argument."""
    return {name: _within_limits(name, value) for name, value in told.items()}


def _within_limits(name: str, told: Any) -> Any:
    kept = _minutes(told) if name.endswith("_min") else told
    return LIMITS[name].nearest(kept) if name in _WITHIN_LIMITS and kept is not None else kept


def _minutes(told: float | None) -> int | None:
    return None if told is None else min(int(told), NEVER_MIN)
