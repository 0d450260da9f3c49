"""A booking with all its rows in one statement: a new one inserted, a known one updated, with whatever is written beside it.

Django writes them one by one, each with a round trip and a statement compiled anew; here their columns and values still come
from the models, and each set of rows has its SQL made once. The booking's id is drawn by its own row, which the others
name: foreign keys are checked at the end of the transaction, and an exclusion constraint at the end of the statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from datetime import datetime
from functools import cache
from itertools import groupby
from typing import Any

from django.db import connection, models

from bookings.models import Booking
from depots import round_trips

_ID = "(SELECT id FROM booking)"
# With more rows than these there is one statement for each number of tokens; each plan costs a connection 200 kB.
MOST_PREPARED = 12
# Fields by which the other rows name their booking.
_NAMING = {"booking", "holder"}
# Django would give these values of these fields back as they are; it asks ten functions to find out.
_READY = frozenset({str, int, bool, datetime, type(None)})
_PLAIN = frozenset(
    {
        models.BigIntegerField, models.BooleanField, models.CharField, models.DateField, models.DateTimeField, models.ForeignKey,
        models.OneToOneField, models.PositiveSmallIntegerField, models.TextField,
    }
)  # fmt: skip


def write_ahead(booking: Booking) -> None:
    """Write out what an unsaved booking has by now, while nobody waits for it. Only what is different when it is inserted is
    written out then."""
    values = [getattr(booking, name) for name, _, _ in _valued(Booking)]
    known = [_copied(value) if type(value) is dict else value for value in values]
    booking.written_ahead = list(zip(known, round_trips.written(_values(booking)), strict=True))


def _copied(content: dict[str, Any]) -> dict[str, Any]:
    """A deep copy; of terms, which are flat, nothing but a new dictionary."""
    return {name: value if type(value) in _READY else deepcopy(value) for name, value in content.items()}


def insert_with(booking: Booking, rows: Sequence[models.Model]) -> None:
    """Insert an unsaved booking and the rows that belong to it, each model's in one piece; sets their keys.

    Raises IntegrityError with the name of the constraint.
    """
    is_ahead = bool(booking.written_ahead) and len(rows) <= MOST_PREPARED
    values = _values_beside(booking) if is_ahead else _values(booking)
    _write(booking, _insert(Booking, 1), values, rows)


def update_with(booking: Booking, fields: Iterable[str], rows: Sequence[models.Model]) -> None:
    """Save the named fields of a booking that its caller has locked, and insert rows that belong to it. Raises as above."""
    named = tuple(_field(name) for name in sorted(set(fields)))
    values = [field.get_db_prep_save(getattr(booking, field.attname), connection) for field in named]
    _write(booking, _update(named), [*values, booking.pk], rows)


def _write(booking: Booking, own: str, values: list[Any], rows: Sequence[models.Model]) -> None:
    groups = [(model, list(found)) for model, found in groupby(rows, key=type)]
    for _, found in groups:
        for row in found:
            values += _values(row)
    statement = _statement(own, tuple((model, len(found)) for model, found in groups))
    [(booking_id, *keys)] = round_trips.rows(statement, values)
    alias = connection.alias
    _saved(booking, booking_id, alias)
    for (_, found), ids in zip(groups, keys, strict=True):
        for row, key in zip(found, ids, strict=True):
            _name_booking(row, booking)
            _saved(row, key, alias)


@cache
def _statement(own: str, groups: tuple[tuple[type[models.Model], int], ...]) -> str:
    """`WITH booking AS (…), rows_0 AS (INSERT …), … SELECT` of all their keys; `own` writes the booking's row."""
    parts = [f"booking AS ({own})"]
    parts += [f"rows_{n} AS ({_insert(model, count)})" for n, (model, count) in enumerate(groups)]
    # Keys are drawn in the order of the rows.
    keys = [f"ARRAY(SELECT id FROM rows_{n} ORDER BY id)" for n in range(len(groups))]  # noqa: S608 - names of our own
    statement = f"WITH {', '.join(parts)} SELECT {', '.join([_ID, *keys])}"
    is_usual = sum(count for _, count in groups) <= MOST_PREPARED
    return round_trips.Prepared(statement) if is_usual else statement


@cache
def _field(name: str) -> models.Field[Any, Any]:
    return Booking._meta.get_field(name)  # type: ignore[return-value] # noqa: SLF001


@cache
def _update(fields: tuple[models.Field[Any, Any], ...]) -> str:
    written = [f"{connection.ops.quote_name(field.column or '')} = %s" for field in fields]
    table = connection.ops.quote_name(Booking._meta.db_table)  # noqa: SLF001
    return f"UPDATE {table} SET {', '.join(written)} WHERE id = %s RETURNING id"  # noqa: S608


@cache
def _insert(model: type[models.Model], count: int) -> str:
    names = ", ".join(connection.ops.quote_name(field.column or "") for field in _columns(model))
    row = f"({', '.join(map(_placeholder, _columns(model)))})"
    table = connection.ops.quote_name(model._meta.db_table)  # noqa: SLF001
    return f"INSERT INTO {table} ({names}) VALUES {', '.join([row] * count)} RETURNING id"  # noqa: S608


@cache
def _columns(model: type[models.Model]) -> tuple[models.Field[Any, Any], ...]:
    """All but the key, which the database gives."""
    return tuple(field for field in model._meta.concrete_fields if not field.primary_key)  # noqa: SLF001


def _placeholder(field: models.Field[Any, Any]) -> str:
    if field.name in _NAMING:
        return _ID
    make = getattr(field, "get_placeholder", None)  # of ranges: with their type
    return make(None, None, connection) if make else "%s"


def _values(row: models.Model) -> list[Any]:
    of = row.__dict__
    return [_value(of[name], field, is_plain) for name, field, is_plain in _valued(type(row))]


def _values_beside(booking: Booking) -> list[Any]:
    """The same, but for what is written ahead, without looking at what cannot change; what can was copied."""
    of, ahead = booking.__dict__, zip(_valued(Booking), booking.written_ahead, strict=True)
    return [
        kept
        if (value := of[name]) is known or (type(value) is dict and value == known)
        else _value(value, field, is_plain)
        for (name, field, is_plain), (known, kept) in ahead
    ]


def _value(value: Any, field: models.Field[Any, Any], is_plain: bool) -> Any:
    return value if is_plain and type(value) in _READY else field.get_db_prep_save(value, connection)


@cache
def _valued(model: type[models.Model]) -> tuple[tuple[str, models.Field[Any, Any], bool], ...]:
    """Of each column that a row has a value of its own for: its attribute, its field, and whether that is a plain one."""
    fields = [field for field in _columns(model) if field.name not in _NAMING]
    return tuple((field.attname, field, type(field) in _PLAIN) for field in fields)


def _name_booking(row: models.Model, booking: Booking) -> None:
    for name in _naming(type(row)):
        setattr(row, name, booking if name == "booking" else booking.pk)


@cache
def _naming(model: type[models.Model]) -> frozenset[str]:
    return frozenset(_NAMING & {field.name for field in _columns(model)})


def _saved(row: models.Model, key: int, alias: str) -> None:
    row.pk = key
    row._state.adding, row._state.db = False, alias  # noqa: SLF001 - as Model.save does
