"""GET /live/ as an ASGI application: authenticate, then pass on what is heard."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

from django.db import DatabaseError

from bookings.pages.live import requests
from bookings.pages.live import stream as words
from bookings.pages.live.admission import Admission
from bookings.pages.live.audiences import Listener
from bookings.pages.live.broadcaster import Broadcaster
from bookings.pages.live.requests import Receive, Scope, Send
from bookings.pages.live.stream import Stream

logger = logging.getLogger(__name__)

PENDING_MAX = 5_000
# In this process, which is what it protects (docs/decisions/0054). One a browser is usual; without locks in it, one a tab.
STREAMS_PER_PERSON = 24
PAUSE_S = 2.0  # before a loop that failed starts again

_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]


class LiveServer:
    """One per process. It starts with its first request (or `start`), and again in another event loop."""

    def __init__(
        self,
        *,
        beat_s: float = 15,
        recheck_s: float = 45,
        queue_size: int = 64,
        pending_max: int = PENDING_MAX,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._beat_s = beat_s
        self._recheck_s = recheck_s
        self._queue_size = queue_size
        self._pending_max = pending_max
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.start()
        key = requests.session_key(scope)
        try:
            listener = await self._admission.listener(key)
        except DatabaseError:
            await requests.answer(send, 503, (b"retry-after", b"5"))
            return
        if listener is None or scope["method"] != "GET" or self._has_too_many(listener):
            await self._decline(scope["method"], listener, send)
            return
        stream = Stream(key, listener, checked_at=self._clock(), size=self._queue_size)
        await self._serve(stream, requests.heard_until_ms(scope), receive, send)

    async def start(self) -> None:
        """Begin to listen, so that nothing is missed before the first stream. Does nothing when it runs already."""
        if self._loop is asyncio.get_running_loop():
            return
        self._loop = asyncio.get_running_loop()
        self._streams: set[Stream] = set()
        self._admission = Admission(self._streams, clock=self._clock, recheck_s=self._recheck_s)
        self._broadcaster = Broadcaster(
            self._streams,
            now_ms=self._now_ms,
            pending_max=self._pending_max,
            on_access=self._admission.suspect,
        )
        loops = (self._broadcaster.listen, self._broadcaster.render, self._admission.recheck)
        self._tasks = [asyncio.create_task(_kept_up(loop)) for loop in loops]

    async def until_listening(self) -> None:
        """Once started, wait until changes are heard: whoever comes before that is told to load afresh."""
        await self._broadcaster.is_listening.wait()

    async def stop(self) -> None:
        """End every stream and let go of the database."""
        if self._loop is not asyncio.get_running_loop():
            return
        self.end_streams()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._admission.close()
        self._broadcaster.close()
        self._loop = None

    def end_streams(self) -> None:
        """Send every client away, to come back: a server that is to stop would wait for them. From any thread."""
        if self._loop is not None:
            for stream in list(self._streams):
                self._loop.call_soon_threadsafe(stream.end)

    async def _decline(self, method: str, listener: Listener | None, send: Send) -> None:
        """All answers but the stream; HEAD asks what GET would say, which an EventSource does not tell its page."""
        if method not in {"GET", "HEAD"}:
            await requests.answer(send, 405, (b"allow", b"GET, HEAD"))
        elif listener is None:
            await requests.answer(send, 204)  # tells an EventSource not to come back
        elif self._has_too_many(listener):
            await requests.answer(send, 429, (b"retry-after", b"30"))
        else:
            await requests.answer(send, 200, (b"content-type", b"text/event-stream; charset=utf-8"))

    def _has_too_many(self, listener: Listener) -> bool:
        mine = sum(stream.listener.user_id == listener.user_id for stream in self._streams)
        return mine >= STREAMS_PER_PERSON

    async def _serve(self, stream: Stream, heard_until_ms: int | None, receive: Receive, send: Send) -> None:
        self._streams.add(stream)
        self._broadcaster.greet(stream, heard_until_ms)
        ends = [
            asyncio.create_task(requests.disconnected(receive)),
            asyncio.create_task(stream.over.wait()),
            asyncio.create_task(self._send_all(stream, send)),
        ]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._streams.discard(stream)
            for task in ends:
                task.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
        # A client that no longer reads would hold us here; the server closes what is left.
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(1):
                await send({"type": "http.response.body", "body": b""})

    async def _send_all(self, stream: Stream, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})
        await requests.send_more(send, b"retry: 2000\n\n")
        while True:
            try:
                async with asyncio.timeout(self._beat_s):
                    text = await stream.queue.get()
            except TimeoutError:
                text = words.beat(self._now_ms())
            await requests.send_more(send, text)

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


async def _kept_up(loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop that must not end: a fault in it is logged and costs one round, not all streams from then on."""
    while True:
        try:
            await loop()
        except Exception:
            logger.exception("A loop of the live updates failed and starts again")
        await asyncio.sleep(PAUSE_S)
