"""What is done to a charger's socket beside reading and answering: nothing here waits for the peer without an end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

# Waiting for a peer's half of the closing handshake, and for the peer to read what stands before it.
CLOSE_WITHIN_S = 3
# Sockets are pinged in so many turns: ten thousand pings at once would hold up whoever says something then.
SLICES = 15


class Closing:
    """Sockets on their way out, closed side by side."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, websocket: ServerConnection, reason: str, *, code: int = 1000) -> None:
        """Say good-bye and return at once; a peer that does not answer, or does not even read, is cut off soon."""
        task = asyncio.create_task(_close(websocket, code, reason))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _close(websocket: ServerConnection, code: int, reason: str) -> None:
    try:
        # The library's own close_timeout starts only when all that was said before has been read.
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await websocket.close(code, reason)
    except TimeoutError:
        websocket.transport.abort()


class KeepAlive:
    """Pings every socket as often as `every_s`, which keeps address translators awake and finds dead peers.

    One task for all of them, a slice at a time. Some chargers answer no pings and are alive: one ping at most waits for
    its answer, and while it does a pong is sent, which asks for none. A peer that has yet to read what was said before is
    told nothing more.
    """

    def __init__(self, every_s: float) -> None:
        self._pause_s = every_s / SLICES
        self._slices: list[dict[ServerConnection, PingedSocket]] = [{} for _ in range(SLICES)]

    def add(self, websocket: ServerConnection, heard: Callable[[], None]) -> None:
        """`heard` is called for each pong."""
        min(self._slices, key=len)[websocket] = PingedSocket(heard)

    def remove(self, websocket: ServerConnection) -> None:
        for each in self._slices:
            each.pop(websocket, None)

    async def run(self) -> None:
        while True:
            for each in self._slices:
                await asyncio.sleep(self._pause_s)
                for websocket, pinged in list(each.items()):
                    await pinged.ping(websocket)


class PingedSocket:
    """What is kept of one socket: whom a pong is told, and the ping that waits for it."""

    __slots__ = ("_heard", "_pong")

    def __init__(self, heard: Callable[[], None]) -> None:
        self._heard = heard
        self._pong: asyncio.Future[float] | None = None

    async def ping(self, websocket: ServerConnection) -> None:
        """Ping it, or send a pong while a ping waits. Never waits: the socket is open, and nothing stands before it."""
        if websocket.state is not State.OPEN or websocket.transport.get_write_buffer_size():
            return
        with contextlib.suppress(ConnectionClosed):
            if self._pong is None:
                self._pong = asyncio.ensure_future(await websocket.ping())
                self._pong.add_done_callback(self._take_pong)
            else:
                await websocket.pong()

    def _take_pong(self, pong: asyncio.Future[float]) -> None:
        self._pong = None
        if not pong.cancelled() and pong.exception() is None:
            self._heard()
