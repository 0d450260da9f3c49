"""Model instances out of statements whose SQL is made once.

Django compiles a queryset anew each time, which for a join of three tables costs more than PostgreSQL's answer. What every
request of a machine has to read is written by hand instead; the columns still come from the models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

from django.db import connection, models

M = TypeVar("M", bound=models.Model)


def columns(model: type[models.Model], alias: str) -> str:
    """All columns of a table, as `SELECT` lists them; `instance` takes their values in this order."""
    return ", ".join(f'{alias}."{field.column}"' for field in _fields(model))


def width(model: type[models.Model]) -> int:
    return len(_fields(model))


def instance(model: type[M], values: Sequence[Any]) -> M:
    """The instance as a queryset would give it."""
    names, converters = _reading(model)
    read = list(values)
    for at, convert in converters:
        read[at] = convert(read[at])
    return model.from_db(connection.alias, names, read)


def set_fetched(of: models.Model, name: str, found: Sequence[models.Model]) -> None:
    """Have `of.<name>.all()` give what was read already, as after `prefetch_related`."""
    rows = getattr(of, name).get_queryset()
    rows._result_cache, rows._prefetch_done = list(found), True  # noqa: SLF001 - as prefetch_related_objects does
    cache_of: dict[str, Any] = of.__dict__.setdefault("_prefetched_objects_cache", {})
    cache_of[name] = rows


@cache
def _fields(model: type[models.Model]) -> list[models.Field[Any, Any]]:
    return list(model._meta.concrete_fields)  # noqa: SLF001 - as Django's own compiler does


@cache
def _reading(model: type[models.Model]) -> tuple[list[str], list[tuple[int, Callable[[Any], Any]]]]:
    """The names of the attributes, and what makes their values of what the database gives (JSON, say), by position."""
    converters = [
        (at, _bound(convert, field))
        for at, field in enumerate(_fields(model))
        for convert in field.get_db_converters(connection)
    ]
    return [field.attname for field in _fields(model)], converters


def _bound(convert: Callable[..., Any], field: models.Field[Any, Any]) -> Callable[[Any], Any]:
    expression = field.cached_col
    return lambda value: convert(value, expression, connection)
