"""The leases of this gateway's chargers: renewed in time, whatever any single charger does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from time import monotonic

from depots import operations
from depots.ocpp.connection import ChargerConnection, Timings
from depots.ocpp.database import Database

logger = logging.getLogger(__name__)

# A charger that said nothing and answered no ping for as many heartbeats is gone.
SILENT_HEARTBEATS = 3
# Rows that somebody else had locked are tried again after this; a lease outlasts many tries.
BUSY_PAUSE_S = 1
# Waking so much later than asked for, we were silent ourselves: a machine that slept, or had no time for us. What its
# chargers said meanwhile has yet to be read.
STALLED_S = 5


class LeaseLoop:
    """`connections` are the open connections by their charger. Renewing has threads of its own: messages never hold it up.

    Renewing waits for no charger and for no lock. Only `run` decides what becomes of a connection whose lease may be
    gone: closed where another holds it, resumed where nobody does.
    """

    def __init__(
        self,
        connections: Mapping[int, ChargerConnection],
        *,
        clock: Callable[[], datetime],
        timings: Timings,
        after_commit: Callable[[str], None] = lambda name: None,
        monotonic: Callable[[], float] = monotonic,
    ) -> None:
        self._connections = connections
        self._clock = clock
        self._monotonic = monotonic
        self._timings = timings
        self._database = Database(after_commit, threads=2)
        self._doubted = asyncio.Event()
        self._ended: list[ChargerConnection] = []
        self._releasing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        renewed_every_s = self._timings.lease_s / 3
        busy: set[int] = set()
        # By the clock, for adding up the pauses would leave out how long each try takes.
        all_renewed_at = self._monotonic()
        while True:
            asleep_since = self._monotonic()
            due_in_s = max(0.0, all_renewed_at + renewed_every_s - asleep_since)
            pause_s = min(BUSY_PAUSE_S, due_in_s) if busy else due_in_s
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._doubted.wait()
            woken_at = self._monotonic()
            is_due = not busy or self._doubted.is_set() or woken_at >= all_renewed_at + renewed_every_s
            self._doubted.clear()
            if woken_at - asleep_since < pause_s + STALLED_S:
                self._end_silent()
            if is_due:
                all_renewed_at = woken_at
            busy = await self._renew(None if is_due else busy)
            self._release_lapsed()

    def doubt(self) -> None:
        """Somebody found a lease of ours gone: look at all of them now."""
        self._doubted.set()

    def close(self) -> None:
        if self._releasing is not None:
            self._releasing.cancel()
        self._database.close()

    def _end_silent(self) -> None:
        for connection in list(self._connections.values()):
            if connection.silence_s > SILENT_HEARTBEATS * self._timings.heartbeat_s:
                connection.close("nothing was heard for too long")

    async def _renew(self, only: set[int] | None) -> set[int]:
        """Those chargers whose rows were locked: they have to be tried again, by themselves (`only`)."""
        connections = {pk: one for pk, one in self._connections.items() if only is None or pk in only}
        heard = {pk: connection.holder for pk, connection in connections.items() if connection.has_spoken}
        silent = {
            pk: connection.holder for pk, connection in connections.items() if not connection.has_spoken
        }
        for connection in connections.values():
            connection.has_spoken = False
        renewal = await self._database.run(
            operations.renew_leases,
            heard=heard,
            silent=silent,
            lease=timedelta(seconds=self._timings.lease_s),
            now=self._clock(),
        )
        for charger_id in renewal.taken:
            connections[charger_id].close("replaced by a newer connection")
        for charger_id in renewal.retaken:
            self._take_back(connections[charger_id])
        for charger_id in renewal.busy & heard.keys():
            connections[charger_id].has_spoken = True
        return renewal.busy

    def _take_back(self, connection: ChargerConnection) -> None:
        if self._connections.get(connection.charger_id) is connection:
            logger.warning("The lease of charger %s had run out; it is ours again", connection.identity)
            connection.resume()
        else:  # its socket ended while the lease was being taken
            self._ended.append(connection)

    def _release_lapsed(self) -> None:
        """Beside renewing, for it waits for locks; and after it, lest our own leases count as lapsed."""
        if self._releasing is None or self._releasing.done():
            self._releasing = asyncio.create_task(self._release())

    async def _release(self) -> None:
        try:
            while self._ended:
                connection = self._ended.pop()
                await connection.do(operations.close_connection, holder=connection.holder, now=self._clock())
            await self._database.run(operations.release_lapsed, now=self._clock())
        except Exception:
            logger.warning("Lapsed leases could not be released", exc_info=True)
