"""Connections that have not asked for anything yet: from whom they are, and how many an address may keep waiting: of IPv6 its
/64 (`client_network`).

Thousands of chargers behind one address may all connect in the same second, and what they send is read at once; who only
opens connections and sends nothing is told by waiting.
"""

from __future__ import annotations

import contextlib
import socket
from contextvars import ContextVar
from time import monotonic
from typing import Any

from depots.client_address import client_network, is_trusted_proxy

# Of an address with more silent connections than that those that have waited so long are ended.
MOST_SILENT = 500
PATIENCE_S = 15
# So many wait of one address at most, however short: beyond it the newest is ended.
MOST_OF_ADDRESS = 10_000
# The address of the connection that this task or callback is about, before anything else is known of it.
PEER: ContextVar[str] = ContextVar("peer", default="")


class Handshakes:
    """From `accept` until `done`, by network and (address, port)."""

    def __init__(self, *, most: int = MOST_SILENT, patience_s: float = PATIENCE_S) -> None:
        self._most, self._patience_s = most, patience_s
        self._waiting: dict[str, dict[tuple[Any, ...], tuple[socket.socket, float]]] = {}

    def watch(self, listener: socket.socket) -> socket.socket:
        """The same listener, which tells of what it accepts from now on."""
        return _Listener(self, listener)

    def begin(self, connection: socket.socket, peer: tuple[Any, ...]) -> None:
        """A proxy's connections are many people's: they are not counted."""
        if is_trusted_proxy(str(peer[0])):
            return
        waiting = self._waiting.setdefault(client_network(str(peer[0])), {})
        waiting[peer] = connection, monotonic()
        if len(waiting) > self._most:
            self._end_overdue(waiting)
        if len(waiting) > MOST_OF_ADDRESS:
            _drop_closed(waiting)
            if len(waiting) > MOST_OF_ADDRESS:
                _end(waiting.pop(peer)[0])

    def done(self, peer: tuple[Any, ...] | None) -> None:
        """It has asked for something."""
        if peer and (waiting := self._waiting.get(client_network(str(peer[0])))):
            waiting.pop(peer, None)

    def sweep(self) -> None:
        """Forget what is gone, and end what has waited too long where it is too much."""
        for network, waiting in list(self._waiting.items()):
            _drop_closed(waiting)
            self._end_overdue(waiting)
            if not waiting:
                del self._waiting[network]

    def count(self, address: str) -> int:
        return len(self._waiting.get(client_network(address), ()))

    def _end_overdue(self, waiting: dict[tuple[Any, ...], tuple[socket.socket, float]]) -> None:
        """The oldest first, until no more wait than may."""
        before = monotonic() - self._patience_s
        while len(waiting) > self._most:
            oldest = next(iter(waiting))
            connection, since = waiting[oldest]
            if since > before and connection.fileno() != -1:
                return
            del waiting[oldest]
            _end(connection)


class _Listener(socket.socket):
    def __init__(self, handshakes: Handshakes, listener: socket.socket) -> None:
        super().__init__(listener.family, listener.type, listener.proto, fileno=listener.detach())
        self._handshakes = handshakes

    def accept(self) -> tuple[socket.socket, Any]:
        """asyncio begins each connection's task in this very context."""
        connection, peer = super().accept()
        PEER.set(str(peer[0]))
        self._handshakes.begin(connection, peer)
        return connection, peer


def _drop_closed(waiting: dict[tuple[Any, ...], tuple[socket.socket, float]]) -> None:
    for peer in [peer for peer, (connection, _) in waiting.items() if connection.fileno() == -1]:
        del waiting[peer]


def _end(connection: socket.socket) -> None:
    """Whoever has it finds its end, and closes it."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
