"""What is done to a charger's socket beside reading and answering: nothing here waits for the peer without an end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

# Waiting for a peer's half of the closing handshake, and for the peer to read what stands before it.
CLOSE_WITHIN_S = 3


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


async def keep_awake(websocket: ServerConnection, *, every_s: float, heard: Callable[[], None]) -> None:
    """Say something as often, which keeps address translators awake and finds dead peers, until the socket ends.

    `heard` is called for each pong. Some chargers answer no pings and are alive: one ping at most waits for its answer,
    and while it does a pong is sent, which asks for none.
    """

    def take_pong(pong: asyncio.Future[float]) -> None:
        if not pong.cancelled() and pong.exception() is None:
            heard()

    pong: asyncio.Future[float] | None = None
    try:
        while True:
            await asyncio.sleep(every_s)
            if pong is None or pong.done():
                pong = asyncio.ensure_future(await websocket.ping())
                pong.add_done_callback(take_pong)
            else:
                await websocket.pong()
    except ConnectionClosed:
        return
