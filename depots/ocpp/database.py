"""Operations from the event loop: in threads of our own, tried again while the database is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar, cast
from weakref import WeakValueDictionary

import stamina
from django.db import IntegrityError, close_old_connections

from depots.ocpp.batches import TOGETHER, UNAVAILABLE, Batches

P = ParamSpec("P")
T = TypeVar("T")

# A charger waits 30 s for an answer, and a restarted database is back within a second or two.
PATIENCE_S = 20
THREADS = 6
# What is about one depot waits for the same rows: it never takes all threads.
THREADS_OF_ONE_DEPOT = 4
# One batch at a time: two at once would lock each other's rows, and what finds them locked is done one by one.
BATCH_THREADS = 1


# Whoever lost a clash finds what the other has written.
_AGAIN_AFTER_A_CLASH = stamina.RetryingCaller(attempts=3, wait_initial=0, wait_max=0, wait_jitter=0).on(
    IntegrityError
)
_UNTIL_IT_IS_BACK = stamina.RetryingCaller(
    attempts=None, timeout=PATIENCE_S, wait_initial=0.05, wait_max=1, wait_jitter=0.05
).on(UNAVAILABLE)


class Database:
    """`after_commit(name)` is called in the loop after each operation that committed, before anything is answered:
    the places where a crash would tell whether an operation and its answer may come apart.
    """

    def __init__(
        self,
        after_commit: Callable[[str], None] = lambda name: None,
        *,
        threads: int = THREADS,
        batch_threads: int = BATCH_THREADS,
    ) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="ocpp-database")
        self._batch_threads = ThreadPoolExecutor(batch_threads, thread_name_prefix="ocpp-batches")
        self._after_commit = after_commit
        self._depots: WeakValueDictionary[int, DepotDatabase] = WeakValueDictionary()
        self._batches = {
            operation: Batches(partial(self._in_thread, self._batch_threads), set_wise, key)
            for operation, (set_wise, key) in TOGETHER.items()
        }

    def of_depot(self, depot_id: int) -> DepotDatabase:
        """For operations about one depot's chargers."""
        if (found := self._depots.get(depot_id)) is None:
            found = self._depots[depot_id] = DepotDatabase(self)
        return found

    async def run(self, operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The operation's result, from a thread. Every operation must be safe to run again: a lost connection is
        retried, and so is a clash with the same message on the charger's old socket.
        """
        result = await self._in_thread(self._threads, operation, *args, **kwargs)
        self._after_commit(operation.__name__)
        return result

    async def run_together(self, operation: Callable[..., T], **call: Any) -> tuple[bool, T | None]:
        """Whether the operation was carried out, with those that come in the same moment, and its result. Not where it has
        no form for many, or where its own rows do not allow it: then `run` it."""
        batches = self._batches.get(operation)
        if batches is None:
            return False, None
        is_done, result = await batches.run(call)
        if is_done:
            self._after_commit(operation.__name__)
        return is_done, result

    def close(self) -> None:
        """Let running operations finish, start no more."""
        for threads in (self._batch_threads, self._threads):
            threads.shutdown(wait=True, cancel_futures=True)

    async def _in_thread(
        self, threads: ThreadPoolExecutor, operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(threads, lambda: _persistently(operation, *args, **kwargs))


class DepotDatabase:
    """The same threads, of which others always have some: a lock in one depot must not hold up the chargers of all."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turns = asyncio.Semaphore(THREADS_OF_ONE_DEPOT)

    async def run(self, operation: Callable[..., T], **call: Any) -> T:
        is_done, result = await self._database.run_together(operation, **call)
        if is_done:
            return cast(T, result)
        async with self._turns:
            return await self._database.run(operation, **call)


def _persistently(operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    @wraps(operation)
    def once() -> T:
        close_old_connections()
        try:
            return operation(*args, **kwargs)
        finally:
            close_old_connections()

    return _UNTIL_IT_IS_BACK(_AGAIN_AFTER_A_CLASH, once)
