"""Rows of trips and of the waiting list that make no sense."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Model

from bookings.models import Trip, WaitlistEntry
from tests.factories import NOW, book_slot, make_evse, make_fleet, option_of, slot

NONSENSE: dict[str, Callable[[], Model]] = {
    "trip_status_known": lambda: _trip(status="maybe", settled_at=NOW),
    "trip_waits_until_a_time": lambda: _trip(status="asking"),
    "waitlist_status_known": lambda: _entry(status="maybe"),
    "waitlist_offered_until_a_time": lambda: _entry(status="offered"),
    "waitlist_ends_after_start": lambda: _entry(ends_at=slot(9, 10).starts_at),
}


def waiting() -> dict[str, Callable[[int], Model]]:
    entry = _entry()
    beside = {"fleet": entry.fleet, "depot": entry.depot, "option": entry.option}
    held = book_slot(fleet=entry.fleet, option=entry.option, period=slot(14, 15))
    statuses = ("waiting", "withdrawn")
    return {
        "waitlist_once": lambda _: _entry(**beside),
        "bookings_waitlistentry.held_id": lambda n: _entry(**beside, status=statuses[n], held=held),
    }


def _entry(**fields: Any) -> WaitlistEntry:
    if "option" not in fields:
        option = option_of(make_evse())
        fields |= {"fleet": make_fleet(), "depot": option.depot, "option": option}
    period = slot(10, 11)
    wanted = {
        "starts_at": period.starts_at,
        "ends_at": period.ends_at,
        "waits_until": period.starts_at,
        "asked_at": NOW,
    }
    return WaitlistEntry(**{**wanted, "asked_by_kind": "dispatcher", **fields})


def _trip(**fields: Any) -> Trip:
    return Trip(fleet=make_fleet(), asked_at=NOW, asked_by_kind="dispatcher", **fields)
