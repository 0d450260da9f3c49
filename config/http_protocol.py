"""HTTP/1.1 as clients speak it to us, with bounds on what a stranger may have us keep and wait for."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# A head that is not complete within so many bytes, and a few more that came with them, is refused.
MAX_HEAD = 64 * 1024
# How long a client may take until a head is complete, its first one from the moment it connects.
HEAD_S = 30.0

_TOO_LONG = b"The head of the request is too long.\n"
_REFUSAL = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(_TOO_LONG), _TOO_LONG)
)


class HttpProtocol(HttpToolsProtocol):
    """llhttp takes heads without an end, and uvicorn waits for them for ever: here both have a limit.

    Between two requests of a connection uvicorn's own `timeout_keep_alive` counts.
    """

    _head_due: asyncio.TimerHandle | None = None  # closes the connection; none while a head came in one piece

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin_head()
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD:
            self.transport.write(_REFUSAL)
            self.transport.close()
        else:
            self._wait_for_head()

    # Called by the parser

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begin_head()

    def on_headers_complete(self) -> None:
        self._end_head()
        super().on_headers_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """What asks to speak something else is answered in HTTP, as RFC 9110 lets us; that is no news."""

    def _begin_head(self) -> None:
        self._is_in_head, self._head_bytes = True, 0

    def _end_head(self) -> None:
        self._is_in_head = False
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _wait_for_head(self) -> None:
        if self._head_due is None:
            self._head_due = self.loop.call_later(HEAD_S, self.transport.close)
