"""A real HTTP server on a free port that answers as a test says, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

STAMP = "2026-03-01T08:00:00Z"


@dataclass
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Reply:
    """What to answer; `body` bytes as they are, anything else as JSON. `cut` closes the connection instead."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    wait_for: threading.Event | None = None


def envelope(data: Any = None, status_code: int = 1000, message: str = "", **reply: Any) -> Reply:
    body = {"status_code": status_code, "timestamp": STAMP, "status_message": message}
    return Reply(body={**body, "data": data} if data is not None else body, **reply)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512  # hundreds may knock at once


class ScriptedPeer:
    """`answer` decides on every request; the default says yes to everything."""

    def __init__(self, answer: Callable[[Asked], Reply] = lambda asked: envelope()) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.arrived = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> ScriptedPeer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait_for(self, condition: Callable[[list[Asked]], bool], deadline_s: float = 15) -> None:
        """Until what was asked so far fulfils the condition. Fails the test otherwise."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: condition(self.asked), deadline_s), [
                (a.method, a.path) for a in self.asked
            ]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                raw = self.rfile.read(length)
                parts = urlsplit(self.path)
                asked = Asked(
                    self.command,
                    parts.path,
                    dict(parse_qsl(parts.query)),
                    {k.lower(): v for k, v in self.headers.items()},
                    json.loads(raw) if raw else None,
                )
                with peer.arrived:
                    peer.asked.append(asked)
                    peer.arrived.notify_all()
                reply = peer.answer(asked)
                if reply.wait_for:
                    reply.wait_for.wait(30)
                self._reply(reply)

            def _reply(self, reply: Reply) -> None:
                if reply.cut:
                    self.close_connection = True
                    return
                body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                # With a date of its own it says nothing else about the time.
                begin = self.send_response_only if "Date" in reply.headers else self.send_response
                begin(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                pass

            def handle(self) -> None:
                with suppress(
                    BrokenPipeError, ConnectionResetError
                ):  # the caller had enough, as some tests want
                    super().handle()

        return Handler
