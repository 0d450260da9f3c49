"""Our own server: versions, details, and the interfaces of an eMSP and a CPO, as the platform that is checked sees them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from conformance.wire import Json, authorization, time_text

LOOK_S = 0.1
PAGE = 2
LARGEST = 4 * 1024 * 1024
HUNG_UP = 0  # in place of an HTTP status
# Identifier, what we are in it, and where it lies below a version.
MODULES = (
    ("locations", "EMSP", "RECEIVER"), ("tariffs", "EMSP", "RECEIVER"), ("sessions", "EMSP", "RECEIVER"),
    ("cdrs", "EMSP", "RECEIVER"), ("tokens", "EMSP", "SENDER"), ("commands", "EMSP", "SENDER"),
    ("Booking", "EMSP", "RECEIVER"), ("bookings", "EMSP", "RECEIVER"),
    ("locations", "CPO", "SENDER"), ("tariffs", "CPO", "SENDER"), ("sessions", "CPO", "SENDER"),
    ("cdrs", "CPO", "SENDER"), ("tokens", "CPO", "RECEIVER"),
    ("Booking", "CPO", "SENDER"), ("bookings", "CPO", "SENDER"),
)  # fmt: skip


@dataclass(frozen=True)
class Call:
    """What came in, and what was answered (`status` HUNG_UP: nothing). `path` has no query; header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: Json
    status: int
    at: float

    @property
    def is_push(self) -> bool:
        return self.method in ("PUT", "PATCH", "POST", "DELETE")


@dataclass
class Shown:
    """What our server shows, changed by the checks."""

    versions: tuple[str, ...] = ("2.3.0", "2.2.1")
    roles: tuple[str, ...] = ("EMSP", "CPO")
    without_modules: bool = False  # details with nothing but credentials
    broken_versions: bool = False  # the versions cannot be read
    failing: int = 0  # an HTTP status that all but versions and details answer
    lists: dict[str, list[Json]] = field(default_factory=dict)  # path below cpo/{version}/ → objects
    foreign_next: str = ""  # a `Link` to somebody else's host, on the list of locations
    on_request: Callable[[Json], Json] | None = None  # the Booking for a BookingRequest; None: hang up


class Listener:
    """Listens from `start` to `stop`. Who calls must bring `token`; what came is in `calls`."""

    def __init__(self, listen: tuple[str, int], public_url: str, token: str) -> None:
        """Raises OSError where nothing can listen there."""
        self.token, self.shown = token, Shown()
        self.accepted_tokens = {token}
        self.calls: list[Call] = []
        self.held: dict[str, Json] = {}
        self._news = threading.Condition()
        handler = type("ListenerHandler", (_Handler,), {"listener": self})
        self._server = ThreadingHTTPServer(listen, handler)
        self._server.daemon_threads = True
        host, port = self._server.server_address[:2]
        self.url = public_url.rstrip("/") or f"http://{host!s}:{port}"

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(LOOK_S,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def versions_url(self) -> str:
        return f"{self.url}/versions"

    def use_token(self, token: str) -> None:
        """From now on this one; what is under way may still bring those before."""
        self.token = token
        self.accepted_tokens.add(token)

    def keep(self, call: Call) -> None:
        with self._news:
            self.calls.append(call)
            if call.is_push and HUNG_UP < call.status < 300 and isinstance(call.body, dict):
                self.held[call.path] = call.body
            self._news.notify_all()

    def since(self, mark: int) -> list[Call]:
        with self._news:
            return self.calls[mark:]

    @property
    def mark(self) -> int:
        """To be given to `since` and `wait`: what comes from now on."""
        with self._news:
            return len(self.calls)

    def wait(self, wanted: Callable[[Call], bool], *, mark: int, within_s: float) -> Call | None:
        """The first call since `mark` that is so; None when none came in time."""
        give_up_at = time.monotonic() + within_s
        with self._news:
            while True:
                for call in self.calls[mark:]:
                    if wanted(call):
                        return call
                left = give_up_at - time.monotonic()
                if left <= 0:
                    return None
                self._news.wait(left)

    # What it says

    def answer(
        self, method: str, path: str, query: Mapping[str, list[str]], body: Json
    ) -> tuple[int, Json, dict[str, str]]:
        """HTTP status, data and headers."""
        if path == "/versions":
            if self.shown.broken_versions:
                return 500, None, {}
            found = [{"version": one, "url": f"{self.url}/{one}"} for one in self.shown.versions]
            return 200, found, {}
        if path.strip("/") in self.shown.versions:
            return 200, self._details(path.strip("/")), {}
        if path.endswith("/credentials"):
            return 405, None, {}
        if self.shown.failing:
            return self.shown.failing, None, {}
        _, role, _, *rest = [*path.split("/", 3), "", ""]
        if role == "cpo":
            return self._as_cpo(method, rest[0] if rest else "", query, body)
        return self._as_emsp(method, path)

    def _details(self, version: str) -> Json:
        endpoints = [
            {"identifier": "credentials", "role": "SENDER", "url": f"{self.url}/{version}/credentials"}
        ]
        for identifier, role, interface in () if self.shown.without_modules else MODULES:
            if role in self.shown.roles:
                url = f"{self.url}/{role.lower()}/{version}/{identifier.lower().removesuffix('s')}s"
                endpoints.append({"identifier": identifier, "role": interface, "url": url})
        return {"version": version, "endpoints": endpoints}

    def _as_cpo(
        self, method: str, below: str, query: Mapping[str, list[str]], body: Json
    ) -> tuple[int, Json, dict[str, str]]:
        below = below.rstrip("/")
        if method == "POST" and below == "bookings" and self.shown.on_request:
            booking = self.shown.on_request(body)
            return (201, booking, {}) if booking is not None else (HUNG_UP, None, {})
        if method != "GET":
            return (200, None, {}) if method in ("PUT", "PATCH") else (405, None, {})
        if below in ("locations", "tariffs", "sessions", "cdrs", "bookings", "bookings/booking_locations"):
            return self._page(below, query)
        parent, _, name = below.rpartition("/")
        for one in self.shown.lists.get(parent, []):
            if str(one.get("id", "")).upper() == name.upper():
                return 200, one, {}
        return 404, None, {}

    def _page(self, below: str, query: Mapping[str, list[str]]) -> tuple[int, Json, dict[str, str]]:
        objects = self.shown.lists.get(below, [])
        offset = int(query.get("offset", ["0"])[0])
        headers = {"X-Total-Count": str(len(objects)), "X-Limit": str(PAGE)}
        following = offset + PAGE
        version = self.shown.versions[0]
        if following < len(objects):
            headers["Link"] = (
                f'<{self.url}/cpo/{version}/{below}?offset={following}&limit={PAGE}>; rel="next"'
            )
        elif self.shown.foreign_next and below == "locations" and not query.get("date_from"):
            headers["Link"] = f'<{self.shown.foreign_next}>; rel="next"'
        return 200, objects[offset:following], headers

    def _as_emsp(self, method: str, path: str) -> tuple[int, Json, dict[str, str]]:
        if method == "GET" and path.endswith("/tokens"):
            return 200, [], {"X-Total-Count": "0", "X-Limit": str(PAGE)}
        if method == "GET":
            held = self.held.get(path)
            return (200, held, {}) if held is not None else (404, None, {})
        if method == "POST" and path.endswith("/cdrs"):
            return 201, None, {"Location": f"{self.url}{path}/{len(self.calls)}"}
        return (200 if path in self.held else 201), None, {}


class _Handler(BaseHTTPRequestHandler):
    """Reads a request, has the listener answer it in an envelope, and keeps both."""

    listener: Listener
    protocol_version = "HTTP/1.1"
    timeout = 60

    def _serve(self) -> None:
        split = urlsplit(self.path)
        path = (
            urlsplit(self.listener.url).path and split.path.removeprefix(urlsplit(self.listener.url).path)
        ) or split.path
        path = path.rstrip("/") or "/"
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self._read_body(headers)
        query = parse_qs(split.query)
        given = headers.get("authorization", "")
        if given in {authorization(token) for token in self.listener.accepted_tokens}:
            status, data, more = self.listener.answer(self.command, path, query, body)
        else:
            status, data, more = 401, None, {}
        self.listener.keep(Call(self.command, path, query, headers, body, status, time.monotonic()))
        if status == HUNG_UP:
            self.close_connection = True
            return
        with suppress(OSError):
            self._say(status, data, headers, more)

    do_GET = do_PUT = do_PATCH = do_POST = do_DELETE = _serve  # noqa: N815 - the base class looks them up

    def _read_body(self, headers: Mapping[str, str]) -> Json:
        length = headers.get("content-length", "0")
        size = min(int(length), LARGEST) if length.isdigit() else 0
        try:
            return json.loads(self.rfile.read(size)) if size else None
        except ValueError:
            return None

    def _say(self, status: int, data: Json, headers: Mapping[str, str], more: Mapping[str, str]) -> None:
        code = 1000 if status < 300 else 3000 if status >= 500 else 2000
        envelope: dict[str, Any] = {"status_code": code, "timestamp": time_text(datetime.now(UTC))}
        if data is not None:
            envelope["data"] = data
        text = json.dumps(envelope).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        for name, value in {**_echoed(headers), **more}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """What came is in `Listener.calls`."""


def _echoed(headers: Mapping[str, str]) -> dict[str, str]:
    """Message ids as they came, routing headers the other way round."""
    found = {name: headers[name] for name in ("x-request-id", "x-correlation-id") if name in headers}
    for part in ("country-code", "party-id"):
        for ours, theirs in (("to", "from"), ("from", "to")):
            if f"ocpi-{theirs}-{part}" in headers:
                found[f"OCPI-{ours}-{part}"] = headers[f"ocpi-{theirs}-{part}"]
    return found
