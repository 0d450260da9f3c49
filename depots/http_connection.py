"""HTTP/1.1 to one outside server: one request at a time, its answer parsed by llhttp, everything it sends limited.

The other end is hostile until proven otherwise: a head is at most MAX_HEAD, a body what the caller allows, what frames it in
chunks no more than fits their number, and whoever speaks unasked or out of turn is hung up on. How long to wait is the
caller's to say.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import cast

import httptools

MAX_HEAD = 64 * 1024
# A body that comes a byte a chunk takes six times its length. Extensions of chunks and trailers may take no more than that.
MOST_FRAMING = 6


class BrokenConnection(Exception):
    """The other end hung up, or what it sent is no HTTP."""


class AnswerTooLong(Exception):
    """The answer has more bytes than are allowed."""


@dataclass
class RawRequest:
    """A request as it goes out. `may_have_arrived` from the moment the system has it to send; before, it surely has not."""

    content: bytes
    may_have_arrived: bool = False


@dataclass
class RawAnswer:
    """An answer as it came; `content` undecoded."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    content: bytearray = field(default_factory=bytearray)

    @property
    def ends_with_connection(self) -> bool:
        """Neither a length nor chunks say where its body ends."""
        names = {name.lower() for name, _ in self.headers}
        return not names & {b"content-length", b"transfer-encoding"}


class HttpConnection(asyncio.Protocol):
    """Good for the next request as long as it `is_open`."""

    def __init__(self) -> None:
        self.is_open = False
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[RawAnswer] | None = None

    async def ask(self, request: RawRequest, *, most: int) -> RawAnswer:
        """Send a request and wait for all of its answer, of at most `most` bytes. Raises BrokenConnection and AnswerTooLong.

        Cancelled, it hangs up: the answer of one request must not be taken for that of the next.
        """
        if self._transport is None or not self.is_open:
            raise BrokenConnection("it was closed")
        self._begin(most)
        assert self._waiting is not None
        request.may_have_arrived = True
        self._transport.write(request.content)
        try:
            return await self._waiting
        except BaseException:
            self.hang_up()  # cancelled, with the answer just complete, it would be nobody's
            raise
        finally:
            self._waiting = None

    def hang_up(self) -> None:
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    def _begin(self, most: int) -> None:
        self._most, self._received = most, 0
        self._head_is_complete = self._is_complete = False
        self._answer = RawAnswer()
        self._parser = httptools.HttpResponseParser(self)
        self._waiting = asyncio.get_running_loop().create_future()

    # Called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self.is_open = cast("asyncio.Transport", transport), True

    def data_received(self, data: bytes) -> None:
        if self._waiting is None or self._is_complete:
            self.hang_up()
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(BrokenConnection(f"no HTTP: {error}"))
            return
        self._check_limits()

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        if self._waiting is None or self._waiting.done():
            return
        if error is None and self._head_is_complete and self._answer.ends_with_connection:
            self.on_message_complete()
        else:
            self._fail(BrokenConnection(str(error) if error else "it was closed before the end of an answer"))

    # Called by the parser

    def on_message_begin(self) -> None:
        if self._is_complete:  # a second answer to one request
            self.hang_up()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._head_is_complete = True
        self._answer.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._answer.content += body

    def on_message_complete(self) -> None:
        if self._answer.status < 200:  # "continue" and the like: the answer is to come
            self._head_is_complete, self._answer = False, RawAnswer()
            return
        if len(self._answer.content) > self._most:
            self._fail(AnswerTooLong())
            return
        self._is_complete = True
        if not self._parser.should_keep_alive():
            self.hang_up()
        answer, self._answer = self._answer, RawAnswer()  # whatever follows is not in it
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(answer)

    def _check_limits(self) -> None:
        """Of an answer that has yet to come to its end."""
        if self._is_complete:
            return
        if len(self._answer.content) > self._most:
            self._fail(AnswerTooLong())
        elif self._received > MAX_HEAD + MOST_FRAMING * len(self._answer.content):
            self._fail(BrokenConnection("a head or trailer without an end"))

    def _fail(self, error: Exception) -> None:
        self.hang_up()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
