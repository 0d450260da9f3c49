"""Rows of trips and of the waiting list that make no sense."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Model

from bookings.models import Trip
from tests.factories import NOW, make_fleet

NONSENSE: dict[str, Callable[[], Model]] = {
    "trip_status_known": lambda: _trip(status="maybe", settled_at=NOW),
    "trip_waits_until_a_time": lambda: _trip(status="asking"),
}


def _trip(**fields: Any) -> Trip:
    return Trip(fleet=make_fleet(), asked_at=NOW, asked_by_kind="dispatcher", **fields)
