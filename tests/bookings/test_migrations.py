"""Migrations run beside bookings that are made: none holds the largest tables while it reads them whole."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import migrations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

# The last whose operations are as they were run already. Those of 0062 and 0069 read the bookings once, for columns that are null
# in all of them; where they have run nothing is gained by others, and half of one that stopped would be worse.
RELEASED = 69
LARGE = {"booking", "bookingevent", "bookingrequest", "occupancy"}
LOCKING = {"AddIndex", "AddConstraint"}


def _run(operation: Operation) -> Iterator[Operation]:
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        for inner in operation.database_operations:
            yield from _run(inner)
    else:
        yield operation


def test_indexes_and_constraints_of_large_tables_are_built_beside_writers() -> None:
    found = MigrationLoader(None).disk_migrations.items()

    locking = [
        f"{name}: {operation.describe()}"
        for (app, name), migration in found
        if app == "bookings" and int(name[:4]) > RELEASED
        for each in migration.operations
        for operation in _run(each)
        if type(operation).__name__ in LOCKING and getattr(operation, "model_name_lower", "") in LARGE
    ]

    assert locking == []
