"""Kept connections to partners, found by where they lead.

A pool that looks through all its connections with every request, as those of HTTP libraries do, costs seconds when hundreds of
partners are told at once. Here a request looks at those of its own partner.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import httpx

from depots import url_guard
from depots.http_connection import HttpConnection, RawAnswer, RawRequest

KEPT_S = 20.0


class Origin(NamedTuple):
    """Where a connection leads."""

    is_tls: bool
    host: str
    port: int


class NotConnected(Exception):
    """No connection came about; nothing was sent."""


class Connections:
    """At most `most` requests at a time; connections lead to checked addresses only, and are kept for KEPT_S.

    No more than `most` are kept beside those in use: a thousand partners must not use up the files of the process.
    """

    def __init__(self, most: int) -> None:
        self._room = asyncio.Semaphore(most)
        self._most = most
        self._tls = httpx.create_ssl_context(trust_env=False)
        self._tls.set_alpn_protocols(["http/1.1"])
        # With the loop's time at which each was used last.
        self._idle: dict[Origin, list[tuple[float, HttpConnection]]] = {}
        self._swept_at = 0.0

    async def ask(
        self, origin: Origin, request: RawRequest, *, most: int, connect_timeout_s: float
    ) -> RawAnswer:
        """The answer, of at most `most` bytes. Raises HostileAddress, NotConnected, BrokenConnection and TooLong."""
        async with self._room:
            connection = self._taken(origin) or await self._connected(origin, connect_timeout_s)
            answer = await connection.ask(request, most=most)
            self._keep(origin, connection)
            return answer

    def close(self) -> None:
        for kept in self._idle.values():
            for _, connection in kept:
                connection.hang_up()
        self._idle = {}

    def _taken(self, origin: Origin) -> HttpConnection | None:
        """The one that was used last and is still open."""
        self._sweep()
        kept = self._idle.get(origin, [])
        while kept:
            used_at, connection = kept.pop()
            if connection.is_open and used_at > _now() - KEPT_S:
                return connection
            connection.hang_up()
        return None

    def _keep(self, origin: Origin, connection: HttpConnection) -> None:
        if not connection.is_open:
            return
        if sum(map(len, self._idle.values())) < self._most:
            self._idle.setdefault(origin, []).append((_now(), connection))
        else:
            connection.hang_up()

    async def _connected(self, origin: Origin, timeout_s: float) -> HttpConnection:
        try:
            return await url_guard.connect(
                HttpConnection,
                origin.host,
                origin.port,
                tls=self._tls if origin.is_tls else None,
                timeout_s=timeout_s,
            )
        except OSError as error:  # refused, unknown, not trusted, or too late
            raise NotConnected(str(error) or type(error).__name__) from error

    def _sweep(self) -> None:
        """From time to time those are closed that nobody took again."""
        now = _now()
        if now - self._swept_at < KEPT_S:
            return
        self._swept_at, idle, self._idle = now, self._idle, {}
        for origin, kept in idle.items():
            for used_at, connection in kept:
                if connection.is_open and used_at > now - KEPT_S:
                    self._idle.setdefault(origin, []).append((used_at, connection))
                else:
                    connection.hang_up()


def _now() -> float:
    return asyncio.get_running_loop().time()
