"""Calls of one operation for different chargers that come in the same moment, carried out together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from django.db import InterfaceError, OperationalError
from psycopg_pool import PoolTimeout

from depots import operations
from depots.ocpp import credentials

logger = logging.getLogger(__name__)

# The keyword arguments of one call.
Call = Mapping[str, Any]
# Carries out many calls of different keys; the results by key, of those it could.
SetWise = Callable[[Sequence[Call]], Mapping[Any, Any]]
# A call that waits, and its outcome: whether it was carried out, and its result.
Waiting = tuple[Call, "asyncio.Future[tuple[bool, Any]]"]

LARGEST_BATCH = 200
UNAVAILABLE = (OperationalError, InterfaceError, PoolTimeout)

# Operations that have a form for many, and the argument that differs between the calls of a batch.
TOGETHER: Mapping[Callable[..., Any], tuple[SetWise, str]] = {
    credentials.find_known: (credentials.find_all_known, "identity"),
    operations.open_connection: (operations.open_connections, "charger_id"),
    operations.close_connection: (operations.close_connections, "charger_id"),
    operations.record_boot: (operations.record_boots, "charger_id"),
    operations.report_status: (operations.report_statuses, "charger_id"),
    operations.add_readings: (operations.add_readings_of_many, "charger_id"),
    operations.record_transaction: (operations.record_updates, "charger_id"),
    operations.reconcile: (operations.reconcile_connections, "charger_id"),
    operations.take_command: (operations.take_commands, "charger_id"),
    operations.record_capabilities: (operations.record_all_capabilities, "charger_id"),
    operations.record_clock: (operations.record_clocks, "charger_id"),
    operations.settle_command: (operations.settle_commands, "command_id"),
}


class Batches:
    """Calls of one operation that come while the last batch is being written are the next batch: a lone one waits for
    nobody, and a thousand at once are written in a few."""

    def __init__(
        self, write: Callable[..., Awaitable[Mapping[Any, Any]]], set_wise: SetWise, key: str
    ) -> None:
        self._write = write
        self._set_wise = set_wise
        self._key = key
        self._waiting: list[Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def run(self, call: Call) -> tuple[bool, Any]:
        """Whether it was carried out, and its result. Raises what says that the database is away."""
        done: asyncio.Future[tuple[bool, Any]] = asyncio.get_running_loop().create_future()
        self._waiting.append((call, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())
        return await done

    async def _write_all(self) -> None:
        while batch := self._next():  # those that wait may all have been cancelled
            try:
                results = await self._write(self._set_wise, [call for call, _ in batch.values()])
            except UNAVAILABLE as fault:
                for _, done in batch.values():
                    _fail(done, fault)
                continue
            except Exception:
                # One call that cannot be written must not fail its neighbours: each is tried by itself.
                logger.warning("%s failed", self._set_wise.__name__, exc_info=True)
                results = {}
            for key, (_, done) in batch.items():
                if not done.done():
                    done.set_result((key in results, results.get(key)))

    def _next(self) -> dict[Any, Waiting]:
        """The calls that have waited longest, one of each key: the order of those of one charger stays."""
        batch: dict[Any, Waiting] = {}
        later = []
        for call, done in self._waiting:
            if done.cancelled():
                continue
            if len(batch) < LARGEST_BATCH and call[self._key] not in batch:
                batch[call[self._key]] = call, done
            else:
                later.append((call, done))
        self._waiting = later
        return batch


def _fail(done: asyncio.Future[tuple[bool, Any]], fault: BaseException) -> None:
    if not done.done():
        done.set_exception(fault)
