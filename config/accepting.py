"""Connections of one listener, shared out evenly among the processes that accept from it."""

from __future__ import annotations

import asyncio
import mmap
import socket
from collections.abc import Callable

# Who has more connections than another leaves him a new one for so long, so many times, then takes it all the same.
YIELD_S = 0.001
PATIENCE = 5
# How long nothing is accepted after the system had no file left for a connection.
NO_FILES_PAUSE_S = 1.0


class Shares:
    """How many connections each process holds, in memory that forks share; a process writes its own place only."""

    def __init__(self, processes: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, 4 * processes)).cast("I")

    def tell(self, place: int, count: int) -> None:
        self._counts[place] = count

    def another_holds_fewer(self, place: int) -> bool:
        return self._counts[place] > min(self._counts)


class Acceptor:
    """Accepts one connection at a time, in the running loop, from `start` to `close`.

    Loops that accept all who wait would leave what comes at once to the first that wakes, and browsers, partners and
    proxies keep their connections: one core would have everything to do.
    """

    def __init__(self, listener: socket.socket, shares: Shares, place: int) -> None:
        self._listener, self._shares, self._place = listener, shares, place
        self._yielded = 0
        self._connecting: set[asyncio.Task[object]] = set()

    def start(self, protocol: Callable[[], asyncio.Protocol], count: Callable[[], int]) -> None:
        """`count` tells how many connections are open."""
        self._protocol, self._count = protocol, count
        self._listener.setblocking(False)
        self._resume()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()

    def tell(self) -> None:
        """Let the others know how many connections are open here: from time to time, since some end."""
        self._shares.tell(self._place, self._count() + len(self._connecting))

    def _resume(self) -> None:
        if self._listener.fileno() >= 0:
            asyncio.get_running_loop().add_reader(self._listener, self._on_waiting)

    def _pause(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listener)
        loop.call_later(seconds, self._resume)

    def _on_waiting(self) -> None:
        self.tell()
        if self._yielded < PATIENCE and self._shares.another_holds_fewer(self._place):
            self._yielded += 1
            self._pause(YIELD_S)
            return
        self._yielded = 0
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another process was faster, or the client has gone
        except OSError:
            self._pause(NO_FILES_PAUSE_S)
            return
        self._connect(connection)

    def _connect(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        connection.setblocking(False)
        task = loop.create_task(loop.connect_accepted_socket(self._protocol, connection))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        self.tell()
