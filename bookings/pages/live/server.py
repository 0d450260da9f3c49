"""GET /live/ as an ASGI application: authenticate, then pass on what the listening connection hears."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import parse_qs

import psycopg
from django.conf import settings
from django.db import DatabaseError, connections
from django.http.cookie import parse_cookie

from bookings.pages.live import stream as words
from bookings.pages.live.audiences import Listener, listeners
from bookings.pages.live.publishing import ACCESS, CHANNEL
from bookings.pages.live.rendering import Views, render_all
from bookings.pages.live.stream import Stream

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Result = TypeVar("Result")

logger = logging.getLogger(__name__)

LOOK_UP_THREADS = 3
RENDERED_AT_ONCE = 50  # a flood is told in pieces, not at its end
PENDING_MAX = 5_000
STREAMS_PER_PERSON = 24  # one a browser is usual; without locks in the browser it is one a tab
REMEMBERED_S = 120  # how far back a client that comes again is told what it missed
REMEMBERED_MAX = 5_000
MARGIN_S = 5  # a page's data is older than the page by its view's run time; hearing twice does no harm
LONGEST_PAUSE_S = 2.0


@dataclass
class Change:
    """A notification heard at `at_ms`; `views` once rendered, None of it where pages have to ask for themselves."""

    kind: str
    id: int
    audiences: frozenset[str]
    at_ms: int
    is_rendered: bool = False
    views: Views | None = None

    @property
    def key(self) -> tuple[str, int]:
        return self.kind, self.id

    def seen_by(self, audiences: frozenset[str]) -> dict[str, Any]:
        """Audience → payload, {} for "look yourself", null for "gone", of those among the audiences that may hear."""
        if self.views is None:
            return {name: {} for name in self.audiences & audiences}
        return {name: self.views.get(name) for name in (self.audiences | self.views.keys()) & audiences}


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
        key = _session_key(scope)
        try:
            listener = (await _in_thread(self._look_ups, self._look_up, {key})).get(key)
        except DatabaseError:
            await _answer(send, 503, (b"retry-after", b"5"))
            return
        if listener is None or scope["method"] != "GET" or self._has_too_many(listener):
            await self._decline(scope["method"], listener, send)
            return
        stream = Stream(key, listener, checked_at=self._clock(), size=self._queue_size)
        await self._serve(stream, _heard_until_ms(scope), receive, send)

    async def start(self) -> None:
        """Begin to listen, so that nothing is missed before the first stream. Does nothing when it runs already."""
        if self._loop is asyncio.get_running_loop():
            return
        self._loop = asyncio.get_running_loop()
        # Apart, so that a crowd that comes in holds up nothing that is told, and the other way round.
        self._look_ups = ThreadPoolExecutor(LOOK_UP_THREADS, "live-look-up")
        self._renderings = ThreadPoolExecutor(1, "live-render")
        self._streams: set[Stream] = set()
        self._pending: dict[tuple[str, int], Change] = {}
        self._remembered: OrderedDict[tuple[str, int], Change] = OrderedDict()
        self._listening_since_ms: int | None = None
        self._wake = asyncio.Event()
        self._suspects: set[int | None] = set()
        self._suspicion = asyncio.Event()
        self._tasks = [
            asyncio.create_task(_kept_up(loop)) for loop in (self._listen, self._render, self._recheck)
        ]

    async def stop(self) -> None:
        """End every stream and let go of the database."""
        if self._loop is not asyncio.get_running_loop():
            return
        self.end_streams()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for threads in (self._look_ups, self._renderings):
            threads.shutdown(wait=False)
        self._loop = None

    def end_streams(self) -> None:
        """Send every client away, to come back: a server that is to stop would wait for them. From any thread."""
        if self._loop is not None:
            for stream in list(self._streams):
                self._loop.call_soon_threadsafe(stream.end)

    # -- one client

    async def _decline(self, method: str, listener: Listener | None, send: Send) -> None:
        """All answers but the stream; HEAD asks what GET would say, which an EventSource does not tell its page."""
        if method not in {"GET", "HEAD"}:
            await _answer(send, 405, (b"allow", b"GET, HEAD"))
        elif listener is None:
            await _answer(send, 204)  # tells an EventSource not to come back
        elif self._has_too_many(listener):
            await _answer(send, 429, (b"retry-after", b"30"))
        else:
            await _answer(send, 200, (b"content-type", b"text/event-stream; charset=utf-8"))

    def _has_too_many(self, listener: Listener) -> bool:
        mine = sum(stream.listener.user_id == listener.user_id for stream in self._streams)
        return mine >= STREAMS_PER_PERSON

    async def _serve(self, stream: Stream, heard_until_ms: int | None, receive: Receive, send: Send) -> None:
        self._streams.add(stream)
        self._greet(stream, heard_until_ms)
        ends = [
            asyncio.create_task(_disconnected(receive)),
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

    def _greet(self, stream: Stream, heard_until_ms: int | None) -> None:
        """Say hello, then what this client missed since it was last told, or that it has to load afresh.

        Where something was missed, the greeting carries the moment the client told: a line that breaks before the rest
        has gone out is taken up from there.
        """
        since = None if heard_until_ms is None else heard_until_ms - MARGIN_S * 1000
        known = self._known_since_ms()
        missed = [] if since is None else self._missed(stream, since)
        must_resync = since is not None and (known is None or since < known)
        if must_resync or len(missed) > self._queue_size // 2:
            stream.put(words.message("hello", {"resync": True}, self._now_ms()))
            return
        told_until = heard_until_ms if missed and heard_until_ms else self._now_ms()
        stream.put(words.message("hello", {"resync": False}, told_until))
        for change in missed:
            if change.is_rendered:
                stream.put(_event(change, change.seen_by(stream.listener.audiences)))
            else:
                self._pending[change.key] = change
                self._wake.set()

    def _missed(self, stream: Stream, since_ms: int) -> list[Change]:
        mine = stream.listener.audiences
        return [c for c in self._remembered.values() if c.at_ms >= since_ms and c.audiences & mine]

    async def _send_all(self, stream: Stream, send: Send) -> None:
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-cache, no-store"),
            (b"x-accel-buffering", b"no"),
            (b"x-content-type-options", b"nosniff"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await _more(send, b"retry: 2000\n\n")
        while True:
            try:
                async with asyncio.timeout(self._beat_s):
                    text = await stream.queue.get()
            except TimeoutError:
                text = words.beat(self._now_ms())
            await _more(send, text)

    # -- the database

    async def _listen(self) -> None:
        """Hold one connection of its own, outside the pool, and take it up again whenever it is lost."""
        pause = 0.05
        while True:
            try:
                async with await self._connect() as connection:
                    pause = 0.05
                    await connection.execute(f"LISTEN {CHANNEL}")
                    self._begin_anew()
                    while True:
                        async for note in connection.notifies(timeout=self._beat_s):
                            self._hear(note.payload)
                        await connection.execute("SELECT 1")  # a line that died silently is found out
            except (psycopg.Error, DatabaseError, OSError) as lost:
                logger.warning("Live updates have lost the database", extra={"error": str(lost)})
            self._listening_since_ms = None
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        parameters = await _in_thread(self._renderings, _connection_parameters)
        return await psycopg.AsyncConnection.connect(**parameters, autocommit=True)

    def _begin_anew(self) -> None:
        """What was notified while nobody listened, or is too much to tell, is lost: every open page loads afresh."""
        self._listening_since_ms = self._now_ms()
        self._remembered.clear()
        for stream in self._streams:
            stream.put(words.message("resync", {}, self._now_ms()))

    def _hear(self, payload: str) -> None:
        try:
            note = json.loads(payload)
            if note["kind"] == ACCESS:
                self._suspects.add(note["id"])
                self._suspicion.set()
                return
            change = Change(note["kind"], note["id"], frozenset(note["audiences"]), self._now_ms())
        except (ValueError, KeyError, TypeError):
            logger.warning("A notification nobody understands", extra={"payload": payload[:200]})
            return
        self._remember(change)
        self._pending[change.key] = change
        self._wake.set()
        if len(self._pending) > self._pending_max:
            self._pending.clear()
            self._begin_anew()

    def _remember(self, change: Change) -> None:
        earlier = self._remembered.pop(change.key, None)
        if earlier is not None:
            change.audiences |= earlier.audiences
        self._remembered[change.key] = change
        while (
            len(self._remembered) > REMEMBERED_MAX
            or self._oldest().at_ms < self._now_ms() - REMEMBERED_S * 1000
        ):
            self._remembered.popitem(last=False)

    def _oldest(self) -> Change:
        return next(iter(self._remembered.values()))

    def _known_since_ms(self) -> int | None:
        """From when on every change is remembered; None while we do not listen."""
        if self._listening_since_ms is None:
            return None
        known = max(self._listening_since_ms, self._now_ms() - REMEMBERED_S * 1000)
        full = len(self._remembered) >= REMEMBERED_MAX
        return max(known, self._oldest().at_ms) if full else known

    async def _render(self) -> None:
        """Take what has piled up, render each changed object once, and hand it out."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                await self._render_some()

    async def _render_some(self) -> None:
        batch = [self._pending.pop(key) for key in list(self._pending)[:RENDERED_AT_ONCE]]
        wanted = {change.key: change for change in batch if self._is_wanted(change)}
        if not wanted:
            return
        views = await _in_thread(self._renderings, render_all, wanted)
        for key, change in wanted.items():
            change.views, change.is_rendered = views[key], True
            self._hand_out(change)

    def _is_wanted(self, change: Change) -> bool:
        return any(change.audiences & audiences for audiences in self._listening_audiences())

    def _hand_out(self, change: Change) -> None:
        """One message for all who belong to the same audiences: colleagues cost one rendering and one encoding."""
        messages: dict[frozenset[str], bytes | None] = {}
        for stream in list(self._streams):
            audiences = stream.listener.audiences
            if audiences not in messages:
                seen = change.seen_by(audiences)
                messages[audiences] = _event(change, seen) if seen else None
            text = messages[audiences]
            if text is not None:
                stream.put(text)

    def _listening_audiences(self) -> set[frozenset[str]]:
        return {stream.listener.audiences for stream in self._streams}

    # -- access

    async def _recheck(self) -> None:
        """End the streams of those who signed out or may see something else now: when told, else within a minute."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._recheck_s / 3):
                    await self._suspicion.wait()
            self._suspicion.clear()
            suspects, self._suspects = self._suspects, set()
            due = [stream for stream in self._streams if self._is_due(stream, suspects)]
            if due:
                await self._check(due)

    def _is_due(self, stream: Stream, suspects: set[int | None]) -> bool:
        old = self._clock() - stream.checked_at > self._recheck_s
        return old or None in suspects or stream.listener.user_id in suspects

    async def _check(self, due: list[Stream]) -> None:
        try:
            found = await _in_thread(self._look_ups, self._look_up, {stream.session_key for stream in due})
        except DatabaseError:
            logger.warning("Live streams could not be checked; they end and come back")
            found = {}
        for stream in due:
            if found.get(stream.session_key) == stream.listener:
                stream.checked_at = self._clock()
            else:
                stream.end()

    def _look_up(self, session_keys: set[str]) -> dict[str, Listener]:
        return listeners(session_keys, datetime.fromtimestamp(self._clock(), UTC))

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


async def _in_thread(threads: ThreadPoolExecutor, function: Callable[..., Result], *args: Any) -> Result:
    """Run with the ORM in a thread, and give its pool connection back: an open stream must not keep one."""
    return await asyncio.get_running_loop().run_in_executor(threads, _then_closing, function, *args)


async def _kept_up(loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop that must not end: a fault in it is logged and costs one round, not all streams from then on."""
    while True:
        try:
            await loop()
        except Exception:
            logger.exception("A loop of the live updates failed and starts again")
        await asyncio.sleep(LONGEST_PAUSE_S)


def _event(change: Change, seen: dict[str, Any]) -> bytes:
    return words.message("change", {"kind": change.kind, "id": change.id, "for": seen}, change.at_ms)


def _then_closing(function: Callable[..., Result], *args: Any) -> Result:
    try:
        return function(*args)
    finally:
        connections.close_all()


def _connection_parameters() -> dict[str, Any]:
    parameters = connections["default"].get_connection_params()
    return {
        "keepalives_idle": 15,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        **{name: value for name, value in parameters.items() if name not in {"cursor_factory", "context"}},
    }


def _session_key(scope: Scope) -> str:
    cookies = b"; ".join(value for name, value in scope["headers"] if name == b"cookie").decode("latin-1")
    return parse_cookie(cookies).get(settings.SESSION_COOKIE_NAME, "")


def _heard_until_ms(scope: Scope) -> int | None:
    """Until when this client is up to date: the last event it had, else when its page was rendered."""
    last = next((value for name, value in scope["headers"] if name == b"last-event-id"), b"").decode(
        "latin-1"
    )
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("since", [""])[0]
    said = last or asked
    return int(said) if said.isascii() and said.isdigit() and len(said) < 16 else None


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _more(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _answer(send: Send, status: int, *headers: tuple[bytes, bytes]) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"cache-control", b"no-store"), *headers],
        }
    )
    await send({"type": "http.response.body", "body": b""})
