"""Where a gateway listens for chargers, and how their sockets are made."""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from depots.ocpp.handshakes import Handshakes
from depots.ocpp.tls import ServerTls

# It tells of every connection, and of every stranger that tries; the gateway says what matters of it.
socket_log = logging.getLogger(f"{__name__}.sockets")
socket_log.setLevel(logging.ERROR)

# A frame larger than any report a charger makes ends its connection unread (1009), not the gateway.
LARGEST_FRAME = 1024 * 1024
# Connections that wait to be accepted: a depot whose power comes back calls with all its chargers at once.
BACKLOG = 2048
# From the first byte to the answer of the handshake: a thousand at once wait for each other, and are not sent away for it.
OPEN_WITHIN_S = 60


Admit = Callable[[ServerConnection, Request], Awaitable[Response | None]]


@dataclass(frozen=True)
class Handlers:
    """What websockets calls for each connection: before the upgrade, to choose a protocol, and once it is open."""

    admit: Admit
    select_subprotocol: Callable[[ServerConnection, Sequence[Subprotocol]], Subprotocol]
    serve_charger: Callable[[ServerConnection], Awaitable[None]]


@dataclass(frozen=True)
class Listeners:
    """At `listener` if there is one, else at `host` and `port` (0: any that is free). With `tls` over TLS; where a
    `tls_listener` is given too, there, and beside it without.
    """

    host: str = "127.0.0.1"
    port: int = 0
    listener: socket.socket | None = None
    tls: ServerTls | None = None
    tls_listener: socket.socket | None = None
    handshakes: Handshakes = field(default_factory=Handshakes)

    @property
    def is_tls(self) -> bool:
        """Is the first of them over TLS?"""
        return self.tls is not None and self.tls_listener is None

    async def open(self, handlers: Handlers) -> list[Server]:
        """One, or the one over TLS after it."""
        address = self._at(self.listener) if self.listener else {"host": self.host, "port": self.port}
        handlers = replace(handlers, admit=partial(self._admit, handlers.admit))
        servers = [await _accept(address, self.tls if self.is_tls else None, handlers)]
        if self.tls_listener is not None:
            servers.append(await _accept(self._at(self.tls_listener), self.tls, handlers))
        return servers

    def failed_handshakes(self) -> dict[str, tuple[str, int]]:
        """{address: (the last reason, how many)} of TLS handshakes, since they were asked for last."""
        return self.tls.failures.take() if self.tls is not None else {}

    def _at(self, listener: socket.socket) -> dict[str, Any]:
        return {"sock": self.handshakes.watch(listener)}

    async def _admit(self, admit: Admit, websocket: ServerConnection, request: Request) -> Response | None:
        self.handshakes.done(websocket.remote_address)
        return await admit(websocket, request)


async def _accept(address: dict[str, Any], tls: ServerTls | None, handlers: Handlers) -> Server:
    return await serve(
        handlers.serve_charger,
        **address,
        ssl=tls,
        process_request=handlers.admit,
        select_subprotocol=handlers.select_subprotocol,
        compression=None,  # it would triple the memory of a connection
        max_size=LARGEST_FRAME,
        max_queue=8,
        backlog=BACKLOG,  # asyncio sets it anew, to 100, also where the listener came with its own
        ping_interval=None,  # ours (sockets.py): some chargers answer no pings and are alive all the same
        open_timeout=OPEN_WITHIN_S,
        close_timeout=2,
        server_header=None,
        logger=socket_log,
    )
