"""Counts what is sent to PostgreSQL by this process, below Django and every pool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

# What begins and ends a transaction is not counted.
_UNCOUNTED = (
    "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE",
    "SET LOCAL SYNCHRONOUS_COMMIT", "SELECT PG_LOGICAL_EMIT_MESSAGE",
)  # fmt: skip
_BETWEEN = ";\n"  # statements of one message (depots/round_trips.py)


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements executed meanwhile, as text without their values, in order."""
    seen: list[str] = []
    execute, executemany = psycopg.Cursor.execute, psycopg.Cursor.executemany

    def note(cursor: psycopg.Cursor[Any], query: Any) -> None:
        text = query.as_string(cursor) if isinstance(query, sql.Composable) else query
        text = text.decode() if isinstance(text, bytes) else str(text)
        told = [one.strip() for one in text.split(_BETWEEN)]
        seen.extend(one for one in told if not one.upper().startswith(_UNCOUNTED))

    def one(cursor: psycopg.Cursor[Any], query: Any, *rest: Any, **more: Any) -> Any:
        note(cursor, query)
        return execute(cursor, query, *rest, **more)

    def many(cursor: psycopg.Cursor[Any], query: Any, *rest: Any, **more: Any) -> Any:
        note(cursor, query)
        return executemany(cursor, query, *rest, **more)

    psycopg.Cursor.execute, psycopg.Cursor.executemany = one, many  # type: ignore[method-assign,assignment]
    try:
        yield seen
    finally:
        psycopg.Cursor.execute, psycopg.Cursor.executemany = execute, executemany  # type: ignore[method-assign]
