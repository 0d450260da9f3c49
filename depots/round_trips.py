"""Statements whose answer nobody reads travel together with the next one whose answer is read.

A round trip to PostgreSQL costs this process and the server more than most statements do, and a booking has many that only
lock, or leave a row for somebody else. Within `atomic()` here those are held until a statement comes that is waited for, or the
end, and all go as one message. They stay in their order, and each has a snapshot of its own, as if they had been sent one by
one (PostgreSQL, "Multiple Statements in a Simple Query"): what is read behind a lock is read once the lock is held.

An error of one that was held, a deadlock say, is raised by the statement it travels with, and none behind it is executed.

A `Prepared` statement is planned once a connection. Planning what a booking reads and writes takes PostgreSQL longer than
doing it does, and most of that time others wait for the locks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property, lru_cache
from itertools import chain, count
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from psycopg import sql
from psycopg.adapt import Transformer
from psycopg.pq import TransactionStatus

from depots import literals

# At the level at which each statement sees what others have committed: what is read behind a lock rests on it.
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
# Locks are given back before the commit is on the disk, and the answer is given once it is: an empty transaction behind it
# waits for all of the log up to its own end.
_COMMIT_GIVING_WAY = (
    "SET LOCAL synchronous_commit = off",
    "COMMIT",
    "SELECT pg_logical_emit_message(true, 'berth', '')",
)
# Django's own, when `atomic` blocks are nested. Going back to a savepoint is sent at once, behind what is held.
_SAVEPOINTS = ("SAVEPOINT ", "RELEASE SAVEPOINT ")
_Parameters = Sequence[Any] | Mapping[str, Any] | None
_Row = tuple[Any, ...]
# A value's place, with its name if it has one; or %%, a percent sign that begins none.
_PLACEHOLDER = re.compile(r"%(?:%|(?:\((\w+)\))?s)")
_under_way: ContextVar[_Joining | None] = ContextVar("under_way", default=None)


class Prepared(str):
    """A statement that is one of few, each executed often. Each connection keeps the plans of those it has had."""

    __slots__ = ()


class Locking(Prepared):
    """One that locks what others wait for: the transaction gives it back before its commit is on the disk. Whoever is answered
    behind such a lock, with what the one before did, is answered once that is there too."""

    __slots__ = ()


class _Literal(str):
    """A value as it is written into a statement."""

    __slots__ = ()


class Answer:
    """The rows of a statement that travels with the next one that is read, there once that has been."""

    def __init__(self) -> None:
        self._rows: list[_Row] | None = None

    @property
    def rows(self) -> list[_Row]:
        assert self._rows is not None, "nothing it could travel with has been read yet"
        return self._rows

    def take(self, cursor: Any) -> None:
        self._rows = cursor.fetchall()


def ask(statement: str, parameters: Sequence[Any] | Mapping[str, Any]) -> Answer:
    """Read rows: within `atomic()` with the next statement that is waited for, else at once."""
    answer = Answer()
    joining = _under_way.get()
    if joining is not None:
        joining.hold(statement, parameters, answer)
    else:
        with connection.cursor() as cursor:
            _execute_alone(cursor, statement, parameters)
            answer.take(cursor)
    return answer


def rows(statement: str, parameters: Sequence[Any] | Mapping[str, Any]) -> list[_Row]:
    """Read rows at once, with what is held before them."""
    joining = _under_way.get()
    if joining is not None:
        return joining.rows(statement, parameters)
    with connection.cursor() as cursor:
        _execute_alone(cursor, statement, parameters)
        found: list[_Row] = cursor.fetchall()
    return found


def send(statement: str, parameters: Sequence[Any] | Mapping[str, Any]) -> None:
    """Execute a statement whose answer nobody reads: within `atomic()` with the next one that is waited for, else at once."""
    joining = _under_way.get()
    if joining is not None:
        joining.hold(statement, parameters)
    else:
        with connection.cursor() as cursor:
            _execute_alone(cursor, statement, parameters)


def _execute_alone(cursor: Any, statement: str, parameters: _Parameters) -> None:
    if isinstance(statement, Prepared):
        with connection.wrap_database_errors:
            executed = _Composing(connections[DEFAULT_DB_ALIAS]).composed(statement, parameters)
        cursor.execute(executed)
    else:
        cursor.execute(statement, parameters)


def bigints(ids: Iterable[int]) -> str:
    """A value for `%s::bigint[]`. psycopg would look at each of a list to find out what they are."""
    return f"{{{','.join(map(str, ids))}}}"


def written(values: list[Any]) -> list[Any]:
    """Values for a prepared statement of this block, written out by now: for those that are known before others have to
    wait."""
    joining = _under_way.get()
    return values if joining is None else joining.written(values)


@contextmanager
def atomic() -> Iterator[None]:
    """Django's `atomic`, in which statements share round trips: the BEGIN goes with the first that is read, and what is left at
    its end with the COMMIT."""
    with transaction.atomic():
        if _under_way.get() is not None:
            yield
            return
        joining = _Joining()
        before = _under_way.set(joining)
        try:
            with connection.execute_wrapper(joining):
                yield
                joining.finish()
        finally:
            _under_way.reset(before)
            joining.close()


class _Joining:
    """A Django execute wrapper that puts what is held before the next statement."""

    def __init__(self) -> None:
        # The proxy would look for it some fifty times a booking.
        self._database = connections[DEFAULT_DB_ALIAS]
        self._database.ensure_connection()
        self._is_whole_transaction = self._database.commit_on_exit and not self._database.savepoint_ids
        self._held: list[str] = []
        # Of those held that are asked for, by their places.
        self._answers: dict[int, Answer] = {}
        if self._is_whole_transaction:
            # psycopg would begin it by itself, with a round trip of its own.
            self._database.connection.autocommit = True
            self._held.append(_BEGIN)
        self._is_sending = False
        self._is_waited_for = False
        self._composing = _Composing(self._database)

    def hold(self, statement: str, parameters: _Parameters, answer: Answer | None = None) -> None:
        """Raises DatabaseError for a value that cannot be written."""
        with self._database.wrap_database_errors:
            self._held.append(self._composing.composed(statement, parameters))
        self._is_waited_for |= isinstance(statement, Locking)
        if answer is not None:
            self._answers[len(self._held) - 1] = answer

    def rows(self, statement: str, parameters: _Parameters) -> list[_Row]:
        """Raises DatabaseError."""
        self.hold(statement, parameters)
        self._send(self._cursor.execute, self._cursor)
        found: list[_Row] = self._cursor.fetchall()
        return found

    @cached_property
    def _cursor(self) -> CursorWrapper:
        """Of the whole block: to make one takes as long as some statements do."""
        return self._database.cursor()

    def __call__(
        self,
        execute: Callable[..., Any],
        statement: str | sql.Composable,
        parameters: Any,
        many: bool,
        context: dict[str, Any],
    ) -> Any:
        if self._is_sending:
            return execute(statement, parameters, many, context)
        if isinstance(statement, sql.Composable):
            statement = statement.as_string(self._database.connection)
        # A log of queries is to show savepoints too.
        if statement.startswith(_SAVEPOINTS) and not self._database.queries_logged:
            self.hold(statement, parameters)
            return None
        if not self._held and not isinstance(statement, Prepared):
            return execute(statement, parameters, many, context)
        cursor = context["cursor"]
        if many or isinstance(cursor.cursor, psycopg.ServerCursor):
            self.send_held()
            return execute(statement, parameters, many, context)
        self.hold(statement, parameters)
        return self._send(lambda message: execute(message, None, False, context), cursor)

    def finish(self) -> None:
        """Send what is held, and end the transaction that began with this block; Django finds nothing left to commit.

        What is held of a transaction that is going to be rolled back is not needed any more.
        """
        if self._database.needs_rollback:
            return
        if self._held == [_BEGIN]:
            return
        if self._is_whole_transaction:
            self._held += _COMMIT_GIVING_WAY if self._is_waited_for else ["COMMIT"]
        self.send_held()

    def send_held(self) -> None:
        if self._held:
            last = self._answers.get(len(self._held) - 1)
            self._send(self._cursor.execute, self._cursor)
            if last is not None:
                last.take(self._cursor)

    def close(self) -> None:
        if "_cursor" in vars(self):
            self._cursor.close()

    def _send(self, execute: Callable[[str], Any], cursor: Any) -> Any:
        """Execute what is held as one message; the cursor stands at the answer of the last statement afterwards."""
        held, self._held = self._held, []
        answers, self._answers = self._answers, {}
        self._is_sending = True
        try:
            answer = execute(";\n".join(held))
        except DatabaseError:
            self._need_rollback_if_not_begun()
            raise
        finally:
            self._is_sending = False
        for place in range(len(held) - 1):
            if place in answers:
                answers[place].take(cursor)
            cursor.nextset()
        return answer

    def _need_rollback_if_not_begun(self) -> None:
        """Of a message that cannot be parsed nothing is executed, nor is its BEGIN: whoever goes on all the same must not do so
        outside of a transaction."""
        found = self._database.connection
        if found is not None and not found.closed and found.info.transaction_status == TransactionStatus.IDLE:
            self._database.needs_rollback = True

    def written(self, values: list[Any]) -> list[Any]:
        """Raises DatabaseError for a value that cannot be written."""
        with self._database.wrap_database_errors:
            return [_Literal(self._composing.written(value)) for value in values]


class _Composing:
    """Writes statements with their values in them, for the connection as it is now."""

    def __init__(self, database: BaseDatabaseWrapper) -> None:
        database.ensure_connection()
        self._database, self._connection = database, database.connection
        self._literal = Transformer(self._connection).as_literal

    def composed(self, statement: str, parameters: _Parameters) -> str:
        """As psycopg's client-side cursors write it; of a prepared one its name with the values. A log of queries is to show
        what they say."""
        if parameters is None:
            return statement
        if isinstance(statement, Prepared) and not self._database.queries_logged:
            kept = _kept(statement)
            self._prepare(kept)
            return f"EXECUTE {kept.name}({', '.join(map(self.written, kept.values(parameters)))})"
        texts, names = _split(statement)
        values = [parameters[name] for name in names] if isinstance(parameters, Mapping) else parameters
        written = map(self.written, values)
        return "".join(chain.from_iterable(zip(texts, [*written, ""], strict=True)))

    def _prepare(self, kept: _Kept) -> None:
        """Where this connection has not prepared it yet: at once, before all that is held. It outlasts its transaction, however
        that ends."""
        known = _prepared.setdefault(self._connection, set())
        if kept.name not in known:
            self._connection.execute(f"PREPARE {kept.name} AS {kept.text}")
            known.add(kept.name)

    def written(self, value: Any) -> str:
        """A value as a literal."""
        if type(value) is _Literal:
            return str(value)
        found = literals.usual(value)
        return found if found is not None else self._literal(value).decode()


@lru_cache(maxsize=512)
def _split(statement: str) -> tuple[list[str], list[str]]:
    """The texts around the values, and the name of each value if they have names. psycopg's own keeps no statement as long as
    the one that writes a booking."""
    texts: list[str] = []
    names: list[str] = []
    text, end = "", 0
    for place in _PLACEHOLDER.finditer(statement):
        text += statement[end : place.start()]
        end = place.end()
        if place[0] == "%%":
            text += "%"
        else:
            texts.append(text)
            names.append(place[1])
            text = ""
    return [*texts, text + statement[end:]], names


class _Kept:
    """A statement as connections keep it, under a name of its own, with numbered places: one for each name, if they have
    names."""

    def __init__(self, statement: str, number: int) -> None:
        texts, names = _split(statement)
        self.name = f"berth_{number}"
        self._names = list(dict.fromkeys(names)) if any(names) else None
        places = [self._names.index(name) for name in names] if self._names else range(len(names))
        self.text = texts[0] + "".join(
            f"${place + 1}{text}" for place, text in zip(places, texts[1:], strict=True)
        )

    def values(self, parameters: Sequence[Any] | Mapping[str, Any]) -> Sequence[Any]:
        if isinstance(parameters, Mapping):
            return [parameters[name] for name in self._names or ()]
        return parameters


_numbers = count(1)
# By psycopg's connection, the names of what it has prepared.
_prepared: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()


@lru_cache(maxsize=512)
def _kept(statement: Prepared) -> _Kept:
    return _Kept(statement, next(_numbers))
