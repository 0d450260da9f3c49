"""Kept connections to partners, found by where they lead.

httpcore's own pool looks through all its connections with every request and every answer, and asks of each whether its
other end still stands: hundreds of partners at once cost it seconds. Here a request looks at those of its own partner.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpcore
import httpx

from roaming.ocpi.url_guard import GuardedBackend

KEPT_S = 20.0
Place = tuple[bytes, bytes, int]  # scheme, host, port

# httpcore tries to import it for every lock and every answer; where it is missing that is a search of the whole path.
if importlib.util.find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]


class Connections:
    """At most `most` requests at a time; connections lead to checked addresses only, and are kept for KEPT_S."""

    def __init__(self, most: int) -> None:
        self._room = asyncio.Semaphore(most)
        self._ssl_context = httpx.create_ssl_context(trust_env=False)
        self._idle: dict[Place, list[httpcore.AsyncHTTPConnection]] = {}
        self._swept_at = 0.0

    @asynccontextmanager
    async def answer(self, request: httpcore.Request) -> AsyncIterator[httpcore.Response]:
        """The answer to a request, its body still to be read. Raises what httpcore does, HostileAddress and OSError."""
        async with self._room:
            connection = await self._taken(request.url.origin)
            try:
                response = await connection.handle_async_request(request)
                try:
                    yield response
                finally:
                    await response.aclose()
            finally:
                await self._give_back(request.url.origin, connection)

    async def aclose(self) -> None:
        idle, self._idle = self._idle, {}
        for connection in (one for kept in idle.values() for one in kept):
            await _closed(connection)

    async def _taken(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        """The one that was used last, unless its other end has closed it meanwhile."""
        await self._sweep()
        kept = self._idle.get(_place(origin), [])
        while kept:
            connection = kept.pop()
            if not connection.has_expired():
                return connection
            await _closed(connection)
        return httpcore.AsyncHTTPConnection(
            origin, ssl_context=self._ssl_context, keepalive_expiry=KEPT_S, network_backend=GuardedBackend()
        )

    async def _give_back(self, origin: httpcore.Origin, connection: httpcore.AsyncHTTPConnection) -> None:
        if connection.is_closed():
            return
        if connection.is_idle():
            self._idle.setdefault(_place(origin), []).append(connection)
        else:
            await _closed(connection)  # an answer that was not read to its end

    async def _sweep(self) -> None:
        """From time to time those are closed that nobody took again."""
        now = asyncio.get_running_loop().time()
        if now - self._swept_at < KEPT_S:
            return
        self._swept_at = now
        kept = [(place, connection) for place, kept in self._idle.items() for connection in kept]
        self._idle = {}
        for place, connection in kept:
            if connection.has_expired():
                await _closed(connection)
            else:
                self._idle.setdefault(place, []).append(connection)


def _place(origin: httpcore.Origin) -> Place:
    return origin.scheme, origin.host, origin.port


async def _closed(connection: httpcore.AsyncHTTPConnection) -> None:
    with suppress(httpcore.NetworkError, OSError):
        await connection.aclose()
