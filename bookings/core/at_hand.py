"""What belongs to a booking, for whoever answers right after the operation: what was written along with it is not read again,
the rest is by one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from django.db import models

from bookings.models import Booking, BookingEvent, BookingRequest, BookingToken
from depots import round_trips
from depots.rows import columns, instance, set_fetched

# By the name it has in a booking: the rows, and the order they stand in.
_KINDS: dict[str, tuple[type[models.Model], str]] = {
    "tokens": (BookingToken, "position"),
    "requests": (BookingRequest, "id"),
    "events": (BookingEvent, "id"),
}


def fetch(booking: Booking, *names: str) -> Booking:
    """The booking with these of its rows ("tokens", "requests", "events") at hand as after `prefetch_related`; its EVSE too where
    its option has those at hand."""
    missing = []
    for name in names:
        written = _written(booking, name)
        if written is None:
            missing.append(name)
        else:
            set_fetched(booking, name, written)
    for name, found in _read(booking, missing).items():
        set_fetched(booking, name, found)
    _place(booking)
    return booking


def _written(booking: Booking, name: str) -> Sequence[models.Model] | None:
    """Those it was made with, as far as that is all: None where more may have been written behind them."""
    if not booking.written_with:
        return None
    rows = [row for row in booking.written_with if isinstance(row, _KINDS[name][0])]
    match name:
        case "tokens":
            return rows
        case "requests":  # of one that is declined at once it is logged afterwards
            return rows or None
        case _:  # each event has raised the version
            is_all = any(isinstance(row, BookingEvent) and row.version == booking.version for row in rows)
            return rows if is_all else None


def _read(booking: Booking, names: Sequence[str]) -> dict[str, list[models.Model]]:
    if not names:
        return {}
    *before, last = names
    asked = {name: round_trips.ask(_statement(name), [booking.pk]) for name in before}
    found = {last: round_trips.rows(_statement(last), [booking.pk])}
    found |= {name: answer.rows for name, answer in asked.items()}
    return {name: [instance(_KINDS[name][0], row) for row in rows] for name, rows in found.items()}


@cache
def _statement(name: str) -> str:
    model, order = _KINDS[name]
    table = model._meta.db_table  # noqa: SLF001
    return round_trips.Prepared(
        f"SELECT {columns(model, 'r')} FROM {table} r WHERE r.booking_id = %s ORDER BY r.{order}"  # noqa: S608
    )


def _place(booking: Booking) -> None:
    """Its EVSE as its option has it, where it was named by its id alone."""
    if booking.evse_id is None or Booking.evse.is_cached(booking):
        return
    option = booking.option
    if "evses" in getattr(option, "_prefetched_objects_cache", {}):
        booking.evse = next((evse for evse in option.evses.all() if evse.pk == booking.evse_id), None)
