"""Rows that somebody else has locked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections, transaction

from depots.models import Charger, Evse


@contextmanager
def somebody_locks(*rows: Charger | Evse) -> Iterator[None]:
    """Another connection holds the rows for as long as the block lasts."""
    other = connections["default"].copy()
    try:
        with transaction.atomic():
            other.set_autocommit(False)
            with other.cursor() as cursor:
                for row in rows:
                    cursor.execute(f"SELECT 1 FROM {row._meta.db_table} WHERE id = {row.pk} FOR UPDATE")
            yield
        other.rollback()
    finally:
        other.close()
