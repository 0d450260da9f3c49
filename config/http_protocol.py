"""HTTP/1.1 as clients speak it to us, with bounds on what a stranger may have us keep and wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from config.answers import PageAnswer, path_of, refusal

# A head that is not complete within so many bytes, and a few more that came with them, is refused.
MAX_HEAD = 64 * 1024
# The parser of URLs takes no longer ones.
MAX_TARGET = 0xFFFF
# How long a client may take until a head is complete, its first one from the moment it connects.
HEAD_S = 30.0
# How long a client that sends on after the last answer is left to read that.
LINGER_S = 5.0


class HttpProtocol(HttpToolsProtocol):
    """llhttp takes heads without an end, and uvicorn waits for them for ever: here both have a limit.

    What is no HTTP is refused in the form of what it was meant for, after the answers to what came before it. Between two
    requests of a connection uvicorn's own `timeout_keep_alive` counts.
    """

    url = b""  # the target of the request that is being read, or was read last
    _head_due: asyncio.TimerHandle | None = None  # closes the connection; none while a head came in one piece
    _running: Any = None  # uvicorn's RequestResponseCycle of the request that is being answered, or was last
    _refusal: bytes | None = None  # what is said when all that came before has been answered
    _is_over = False  # whatever comes is thrown away
    _is_in_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._answering = _Answering(transport.write, transport.is_closing, self._end)
        self._piece = b""
        self._begin_head()
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        self._piece = data
        super().data_received(data)
        self._piece = b""
        if not self._is_in_head or self.transport.is_closing():
            return
        self._head += data
        if len(self._head) > MAX_HEAD:
            self._refuse(431 if b"\n" in self._head else 414)
        else:
            self._wait_for_head()

    def send_400_response(self, msg: str) -> None:
        """Called when the parser has failed."""
        self._refuse(414 if len(self.url) > MAX_TARGET else 400)

    def on_response_complete(self) -> None:
        super().on_response_complete()  # which starts the next one
        if self._refusal is not None and self._running.response_complete and not self.transport.is_closing():
            self._say_last(self._refusal)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._running, cycle.transport = cycle, self._answering
        super()._start_asgi_task(cycle, app)

    # Called by the parser

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begin_head()

    def on_headers_complete(self) -> None:
        self._end_head()
        super().on_headers_complete()
        self._is_in_body = True

    def on_message_complete(self) -> None:
        self._is_in_body = False
        super().on_message_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """What asks to speak something else is answered in HTTP, as RFC 9110 lets us; that is no news."""

    def _begin_head(self) -> None:
        self._is_in_head, self._head = True, bytearray()

    def _end_head(self) -> None:
        self._is_in_head = False
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _wait_for_head(self) -> None:
        if self._head_due is None:
            self._head_due = self.loop.call_later(HEAD_S, self.transport.close)

    # The end of a connection

    def _refuse(self, status: int) -> None:
        """Read no more, and say so to the request in whose midst we are."""
        answer = refusal(status, path_of(self._target()), self.headers or ())
        broken = self.cycle if self._is_in_body else None
        self._is_over = True
        self._end_head()
        if broken is not None and broken is not self._running:
            self.pipeline.popleft()
        if broken is not None and broken is self._running and not broken.response_complete:
            self._take_over(broken, answer)
        elif self._running is None or self._running.response_complete:
            self._say_last(_written(answer))
        else:
            self._refusal = _written(answer)

    def _target(self) -> bytes:
        """Where a request is for. The parser does not tell of a line it fails in; of several in one piece the first counts."""
        if not self._is_in_head:
            return self.url
        words = (self._head + self._piece).split(b"\n", 1)[0].split(b" ", 2)
        return bytes(words[1]) if len(words) > 1 else self.url

    def _take_over(self, cycle: Any, answer: PageAnswer) -> None:
        """Answer in its place a request that is waiting for its own body."""
        cycle.disconnected = True
        cycle.message_event.set()
        if cycle.response_started:
            self.transport.close()
        else:
            self._say_last(_written(answer))

    def _say_last(self, answer: bytes) -> None:
        self.transport.write(answer)
        self._linger()

    def _end(self) -> None:
        """uvicorn has sent its last answer: whatever came behind that request is neither begun nor refused."""
        self._refusal = None
        self.pipeline.clear()
        if self._is_in_body:
            self._linger()
        else:
            self.transport.close()

    def _linger(self) -> None:
        """Close, but not on what is still being sent: that would be answered by a reset, which takes the answer with it."""
        self._is_over = True
        if self.transport.is_closing():
            return
        self.transport.write_eof()
        self.flow.resume_reading()
        self.loop.call_later(LINGER_S, self.transport.close)


class _Answering(NamedTuple):
    """The transport, as far as uvicorn uses it for an answer."""

    write: Callable[[bytes], None]
    is_closing: Callable[[], bool]
    close: Callable[[], None]


def _written(answer: PageAnswer) -> bytes:
    headers = [*answer.headers, ("Content-Length", str(len(answer.body))), ("Connection", "close")]
    lines = "".join(f"{name.lower()}: {value}\r\n" for name, value in headers)
    return STATUS_LINE[answer.status] + lines.encode("latin-1") + b"\r\n" + answer.body
