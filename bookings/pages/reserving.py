"""What was seen of reserving at a charger, in words for who looks after it."""

from __future__ import annotations

from depots.models import Charger

RESERVING = {
    "works": ("Reserves", "success"),
    "refuses": ("Refuses to reserve", "warning"),
    "lies": ("Accepts and does not keep it", "danger"),
    "unknown": ("Not seen yet", "info"),
}


def reserving(charger: Charger) -> tuple[str, str]:
    """What was measured of its reservations, in words, and how good that is."""
    measured = str(charger.measured.get("reservation", "unknown")) if charger.measured else "unknown"
    return RESERVING.get(measured, RESERVING["unknown"])
