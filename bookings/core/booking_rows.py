"""A booking with what its operations read beside it, by a statement that is planned once a connection.

Django compiles the joins of seven tables anew for each booking, which takes longer than all else that a cancellation does.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from django.db import models

from bookings.models import Booking, BookingOption, Vehicle
from depots import round_trips
from depots.models import Charger, Depot, Evse, Organisation
from depots.rows import columns, instance, width

# By the alias of its table: what it is, what it belongs to, and as what.
_BESIDE: dict[str, tuple[type[models.Model], str, str]] = {
    "depot": (Depot, "booking", "depot"),
    "operator": (Organisation, "depot", "operator"),
    "option": (BookingOption, "booking", "option"),
    "evse": (Evse, "booking", "evse"),
    "charger": (Charger, "evse", "charger"),
    "fleet": (Organisation, "booking", "fleet"),
    "vehicle": (Vehicle, "booking", "vehicle"),
}


def alone(booking_id: int) -> Booking:
    """Raises Booking.DoesNotExist."""
    found = round_trips.rows(_alone(), [booking_id])
    if not found:
        raise Booking.DoesNotExist
    return instance(Booking, found[0])


def with_all(booking_id: int) -> Booking:
    """With depot and operator, option, EVSE and charger, fleet and vehicle. Raises Booking.DoesNotExist."""
    return _read(_with_all(is_locking=False), booking_id)


def locked(booking_id: int) -> Booking:
    """The same, its own row locked. Raises Booking.DoesNotExist."""
    return _read(_with_all(is_locking=True), booking_id)


def _read(statement: round_trips.Prepared, booking_id: int) -> Booking:
    found = round_trips.rows(statement, [booking_id])
    if not found:
        raise Booking.DoesNotExist
    values = found[0]
    at = width(Booking)
    read: dict[str, models.Model] = {"booking": instance(Booking, values[:at])}
    for alias, (model, owner, name) in _BESIDE.items():
        end = at + width(model)
        row = instance(model, values[at:end]) if values[at] is not None else None
        at = end
        if row is not None:
            read[alias] = row
        if owner in read:
            _field(read[owner], name).set_cached_value(read[owner], row)
    booking = read["booking"]
    assert isinstance(booking, Booking)
    return booking


def _field(of: models.Model, name: str) -> Any:
    return of._meta.get_field(name)  # noqa: SLF001 - as Django's own select_related does


@cache
def _alone() -> round_trips.Prepared:
    return round_trips.Prepared(f"SELECT {columns(Booking, 'b')} FROM bookings_booking b WHERE b.id = %s")  # noqa: S608


@cache
def _with_all(*, is_locking: bool) -> round_trips.Prepared:
    tables: dict[str, type[models.Model]] = {"booking": Booking}
    tables |= {alias: model for alias, (model, _, _) in _BESIDE.items()}
    told = ", ".join(columns(model, alias) for alias, model in tables.items())
    lock = "FOR NO KEY UPDATE OF booking" if is_locking else ""
    return round_trips.Prepared(
        f"SELECT {told} FROM bookings_booking booking {' '.join(_joins())} WHERE booking.id = %s {lock}"  # noqa: S608
    )


def _joins() -> Iterator[str]:
    for alias, (model, owner, name) in _BESIDE.items():
        yield f'LEFT JOIN {model._meta.db_table} "{alias}" ON "{alias}".id = "{owner}".{name}_id'  # noqa: SLF001
