"""Many rows of one model inserted by one statement: bulk_create, where hundreds of rows are somebody's wait.

Django writes each value of each row by functions of its field, and psycopg each again: 2 ms a row of a dozen columns. Here rows
are one JSON document, which the database reads by the types of its own columns.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from django.db import connection, models
from django.db.models.expressions import Value

# Fields whose values JSON carries as they are; a moment goes as text.
_PLAIN = (
    models.AutoField, models.BooleanField, models.CharField, models.DateTimeField, models.ForeignKey, models.IntegerField,
    models.JSONField, models.TextField,
)  # fmt: skip


def insert_many(rows: Sequence[models.Model]) -> None:
    """Insert unsaved rows of one model in their order, and set their keys; nothing where there are none.

    Raises TypeError for a model with a column that JSON does not carry, and what bulk_create raises.
    """
    if not rows:
        return
    columns, statement = _insert(type(rows[0]))
    content = [{column: getattr(row, name) for column, name in columns} for row in rows]
    with connection.cursor() as cursor:
        cursor.execute(statement, [json.dumps(content, default=_as_json)])
        for row, (key,) in zip(rows, cursor.fetchall(), strict=True):
            row.pk = key
            row._state.adding, row._state.db = False, connection.alias  # noqa: SLF001 - as bulk_create does


@cache
def _insert(model: type[models.Model]) -> tuple[list[tuple[str, str]], str]:
    """The columns but the key, each with its attribute; and the statement."""
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]  # noqa: SLF001
    for field in fields:
        if not isinstance(field, _PLAIN):
            raise TypeError(f"{field} is not carried by JSON")
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)  # noqa: SLF001
    key = quote(model._meta.pk.column or "")  # noqa: SLF001
    names = ", ".join(quote(field.column or "") for field in fields)
    statement = f"INSERT INTO {table} ({names}) SELECT {names} FROM json_populate_recordset(NULL::{table}, %s) RETURNING {key}"  # noqa: S608
    return [(field.column or "", field.attname) for field in fields], statement


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    # A column's default of the database, which an unsaved row has in its place.
    if isinstance(default := getattr(value, "expression", None), Value):
        return default.value
    raise TypeError(f"{type(value).__name__} in a row")
