"""The platform's port: HTTP/1.1, a thread a connection."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from simulators.partner.ocpi_format import Json, envelope

MAX_BODY = 1_048_576
# (method, target, headers in lower case, body) → (HTTP status, envelope, further headers)
Answerer = Callable[[str, str, dict[str, str], bytes], tuple[int, Json, dict[str, str]]]


class HttpListener(ThreadingHTTPServer):
    """Its end is the end of its open connections too, as when a process ends."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.answer: Answerer = _not_ready
        self._open: set[Any] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        for request in list(self._open):
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hung up is nothing to report."""


def listen(address: tuple[str, int], last_port: int) -> HttpListener:
    """On the port asked for; with port 0 on the one we had last time if it is still free, so that our address stays."""
    host, port = address
    if port == 0 and last_port:
        with suppress(OSError):
            return HttpListener((host, last_port))
    return HttpListener((host, port))


def _not_ready(*_: object) -> tuple[int, Json, dict[str, str]]:
    return 503, {}, {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    server: HttpListener

    def _any(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        if not length.isdigit() or int(length) > MAX_BODY:
            self.close_connection = True
            self._reply(413, envelope(None, datetime.now(UTC), status_code=2000), {})
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(length))
        status, answer, extra = self.server.answer(self.command, self.path, headers, body)
        ids = ("X-Request-ID", "X-Correlation-ID")
        echoed = {name: headers.get(name.lower()) or str(uuid.uuid4()) for name in ids}
        self._reply(status, answer, {**extra, **echoed})

    def _reply(self, status: int, answer: Json, extra: dict[str, str]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        headers = {"Content-Type": "application/json", **extra, "Content-Length": str(len(body))}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        pass
