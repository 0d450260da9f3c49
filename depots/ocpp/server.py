"""The gateway: chargers connect here. Any number of gateways may run; a charger's lease says which one holds it.

Everything that must survive is in the database before it is answered, so a killed gateway loses nothing: its chargers
connect again, here or elsewhere, and what was sent and not answered is found there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from types import ModuleType, TracebackType
from typing import Any, cast
from weakref import WeakValueDictionary

from websockets.asyncio.server import Server, ServerConnection
from websockets.exceptions import NegotiationError
from websockets.typing import Subprotocol

from depots import operations
from depots.listening import listen
from depots.ocpp import v16
from depots.ocpp.admission import Admission
from depots.ocpp.connection import ChargerConnection, Services, Timings
from depots.ocpp.credentials import KnownCharger
from depots.ocpp.database import Database
from depots.ocpp.dialect import Dialect
from depots.ocpp.lease_loop import LeaseLoop
from depots.ocpp.listeners import Handlers, Listeners
from depots.ocpp.message_buffer import MessageBuffer
from depots.ocpp.sockets import Closing, KeepAlive
from depots.ocpp.v2x import v21, v201
from depots.operations.charger_uploads import forget_old_uploads
from depots.operations.commands import CHANNEL
from depots.operations.failed_handshakes import note_failed_handshakes

logger = logging.getLogger(__name__)

DIALECTS: dict[str, ModuleType] = {"ocpp1.6": v16, "ocpp2.0.1": v201, "ocpp2.1": v21}

FORGET_EVERY_S = 3600
# Refusals are written with every so-manieth flush of messages.
REFUSALS_EVERY = 3
# A gateway that stops sends its chargers away in waves of so many at least.
SMALLEST_WAVE, MOST_WAVES = 50, 100
# A good-bye that is not answered is cut off, and then the lease is released: in this time, or never.
GONE_WITHIN_S = 20
# Pings, in parts of a lease.
PINGS_PER_LEASE = 3


def utc_now() -> datetime:
    return datetime.now(UTC)


class Gateway:
    """`async with Gateway() as gateway:` listens at `gateway.url` until the block ends, then says good-bye.

    `clock` gives the time of everything that is written; waiting itself is real time (`timings`). `after_commit(name)`
    is called after each committed operation, before its answer leaves.
    """

    def __init__(
        self,
        *,
        listeners: Listeners | None = None,
        clock: Callable[[], datetime] = utc_now,
        timings: Timings | None = None,
        after_commit: Callable[[str], None] = lambda name: None,
    ) -> None:
        self.name = f"{socket.gethostname()[:24]}-{os.getpid()}-{secrets.token_hex(4)}"
        self.clock = clock
        self.timings = timings or Timings()
        self.connections: dict[int, ChargerConnection] = {}
        self._listeners = listeners or Listeners()
        self._database = Database(after_commit)
        self._admission = Admission(clock, after_commit, returns_per_minute=self.timings.returns_per_minute)
        self._leases = LeaseLoop(
            self.connections, clock=clock, timings=self.timings, after_commit=after_commit
        )
        self._closing = Closing()
        self._keep_alive = KeepAlive(every_s=self.timings.lease_s / PINGS_PER_LEASE)
        self._log = MessageBuffer(self._database, clock)
        self._services = Services(
            clock, self.timings, self._log.keep, self._leases.doubt, lambda: self._is_draining
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._look = asyncio.Event()
        self._opening: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._count = 0
        self._is_aborted = self._is_draining = False
        self._servers: list[Server] = []

    async def __aenter__(self) -> Gateway:
        self._servers = await self._listeners.open(
            Handlers(self._admission.admit, _select_subprotocol, self._serve_charger)
        )
        loops = (
            self._listen,
            self._poll,
            self._leases.run,
            self._keep_alive.run,
            self._write_messages,
            self._write_refusals,
            self._forget,
        )
        self._tasks = [asyncio.create_task(_forever(loop), name=loop.__name__) for loop in loops]
        if self._listeners.tls is not None:
            self._tasks.append(asyncio.create_task(_forever(self._reload_certificates)))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._drain()
        await self._end_tasks()
        await self._log.flush()
        await self._admission.flush()
        self._leases.close()
        self._admission.close()
        self._database.close()

    async def _drain(self) -> None:
        """Nobody new comes in, commands under way come to their end, chargers are sent away in waves; each in bounded time.

        Whoever is gone has its lease released by its own handler. A command that has no answer by then is found unclear there,
        and asked again by whoever has the charger next; what is queued is sent by it.
        """
        self._is_draining = True
        for server in self._servers:
            server.close(close_connections=False)
        under_way = [task for connection in self.connections.values() if (task := connection.sending)]
        if under_way:
            await asyncio.wait(under_way, timeout=self.timings.finish_s)
        await self._send_away()
        try:
            async with asyncio.timeout(GONE_WITHIN_S):
                for server in self._servers:
                    await server.wait_closed()
        except TimeoutError:
            logger.warning("Some chargers' connections did not end in time")

    async def _send_away(self) -> None:
        """In waves, for they all come back at once: here, if we are restarted, or to another gateway."""
        websockets = [websocket for server in self._servers for websocket in server.connections]
        waves = max(1, min(MOST_WAVES, len(websockets) // SMALLEST_WAVE))
        for wave in range(waves):
            if wave:
                await asyncio.sleep(self.timings.waves_s / waves)
            for websocket in websockets[wave::waves]:
                self._closing.begin(websocket, "the gateway stops", code=1001)

    async def abort(self) -> None:
        """End like a killed process: sockets drop, and nothing more is said or written."""
        self._is_aborted = True
        self._leases.close()
        self._admission.close()
        self._database.close()
        for server in self._servers:
            for websocket in list(server.connections):
                websocket.transport.abort()
            server.close()
        await self._end_tasks()

    @property
    def port(self) -> int:
        return int(next(iter(self._servers[0].sockets)).getsockname()[1])

    @property
    def tls_port(self) -> int:
        """Where it listens over TLS, beside where it does not."""
        return int(next(iter(self._servers[1].sockets)).getsockname()[1])

    @property
    def url(self) -> str:
        """Where chargers connect, without their identity and the slash before it."""
        host = self._listeners.host
        host = f"[{host}]" if ":" in host else host
        return f"{'wss' if self._listeners.is_tls else 'ws'}://{host}:{self.port}/ocpp"

    async def _serve_charger(self, websocket: ServerConnection) -> None:
        charger = self._admission.charger_of(websocket)
        protocol = str(websocket.subprotocol)
        connection = self._connect(charger, websocket, cast(Dialect, DIALECTS[protocol]))
        self._keep_alive.add(websocket, heard=connection.hear)
        try:
            await self._open(connection, protocol)
            logger.info("Charger %s connected, speaking %s", charger.identity, protocol)
            await connection.run()
        finally:
            self._keep_alive.remove(websocket)
            if self.connections.get(charger.pk) is connection:
                del self.connections[charger.pk]
            if not self._is_aborted:
                await connection.do(
                    operations.close_connection,
                    holder=connection.holder, is_by_gateway=self._is_draining, now=self.clock(),
                )  # fmt: skip
                logger.info("Charger %s disconnected", charger.identity)

    async def _open(self, connection: ChargerConnection, protocol: str) -> None:
        """The newest socket wins: one after the other, so that the last to come is the one in the lease."""
        async with self._opening.setdefault(connection.charger_id, asyncio.Lock()):
            if previous := self.connections.pop(connection.charger_id, None):
                previous.close("replaced by a newer connection")
            await connection.do(
                operations.open_connection,
                holder=connection.holder,
                protocol=protocol,
                lease=timedelta(seconds=self.timings.lease_s),
                now=self.clock(),
            )
            self.connections[connection.charger_id] = connection

    def _connect(
        self, charger: KnownCharger, websocket: ServerConnection, dialect: Dialect
    ) -> ChargerConnection:
        self._count += 1
        return ChargerConnection(
            charger,
            holder=f"{self.name}.{self._count}",
            socket=cast(Any, websocket),
            close_socket=partial(self._closing.begin, websocket),
            dialect=dialect,
            database=self._database.of_depot(charger.depot_id),
            services=self._services,
        )

    async def _listen(self) -> None:
        """Wake connections the moment something is asked of their chargers."""
        await listen(CHANNEL, on_notice=self._hear, on_listening=self._look.set)

    def _hear(self, payload: str) -> None:
        if payload.isdigit():
            self._wake([int(payload)])

    async def _poll(self) -> None:
        """Commands whose time has come, and those whose notice was lost."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.timings.poll_s):
                    await self._look.wait()
            self._look.clear()
            if self.connections:
                await self._wake_due()

    async def _wake_due(self) -> None:
        holders = f"{self.name}."
        self._wake(await self._database.run(operations.due_chargers, holders=holders, now=self.clock()))

    async def _write_messages(self) -> None:
        while True:
            await asyncio.sleep(self.timings.flush_s)
            await self._log.flush()

    async def _write_refusals(self) -> None:
        while True:
            await asyncio.sleep(self.timings.flush_s * REFUSALS_EVERY)
            self._listeners.handshakes.sweep()
            await self._admission.flush()
            if failures := self._listeners.failed_handshakes():
                await self._database.run(note_failed_handshakes, failures=failures, now=self.clock())

    async def _reload_certificates(self) -> None:
        assert self._listeners.tls is not None
        while True:
            await asyncio.sleep(self.timings.certificates_s)
            await asyncio.to_thread(self._listeners.tls.reload)

    async def _forget(self) -> None:
        while True:
            await self._database.run(operations.forget_old_messages, now=self.clock())
            await self._database.run(operations.forget_old_refusals, now=self.clock())
            await self._database.run(forget_old_uploads, now=self.clock())
            await self._database.run(operations.forget_old_history, now=self.clock())
            await self._database.run(operations.thin_old_readings, now=self.clock())
            await asyncio.sleep(FORGET_EVERY_S)

    def _wake(self, charger_ids: Sequence[int]) -> None:
        for charger_id in charger_ids:
            if connection := self.connections.get(charger_id):
                connection.wake()

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _forever(loop: Callable[[], Awaitable[None]]) -> None:
    """Start a loop again when it fails: the database may be restarting.

    Not stamina, which counts the tries up to a success: a loop has none, it only lasts.
    """
    pause_s = 0.1
    while True:
        try:
            await loop()
            pause_s = 0.1
        except Exception:
            logger.warning("%s failed, starting it again", getattr(loop, "__name__", loop), exc_info=True)
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, 5)


def _select_subprotocol(websocket: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol:
    """The charger's order of preference. Raises NegotiationError: a version is never guessed."""
    for protocol in offered:
        if protocol in DIALECTS:
            return protocol
    raise NegotiationError(f"offer one of the sub-protocols {', '.join(DIALECTS)}")
