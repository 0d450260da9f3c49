"""Has a WSGI application answer the HTTP requests of an ASGI server, in threads."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
import time
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any, NamedTuple

import structlog
from django.db import close_old_connections

from config.answers import PageAnswer, refusal
from config.lanes import PAGES, STRANGERS, Callers, LaneFull, Lanes

logger = structlog.get_logger(__name__)

Headers = list[tuple[str, str]]
Scope = dict[str, Any]


class _Request(NamedTuple):
    scope: Scope
    environ: dict[str, Any]
    done: Callable[[PageAnswer], None]


class WsgiThreads:
    """Answers up to `threads` requests at a time; more wait, each in its lane.

    An answer is made whole before it leaves, so that a client that reads slowly holds no thread. It leaves as soon as it
    is made; what the application does on `close` comes after.
    """

    def __init__(
        self, application: Callable[..., Iterable[bytes]], *, threads: int, callers: Callers | None = None
    ) -> None:
        self._application = application
        self._callers = callers
        self._threads = threads
        self._requests: Lanes[_Request] = Lanes()
        self._is_started = False

    async def answer(self, scope: Scope, body: bytes, lane: str = PAGES) -> PageAnswer:
        """The application's answer to a request whose body is here. Raises LaneFull."""
        if not self._is_started:
            self._start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[PageAnswer] = loop.create_future()

        def deliver(answer: PageAnswer) -> None:
            if not future.done():  # its client has gone meanwhile
                future.set_result(answer)

        variables = environ(scope, body)
        self._requests.put(lane, _Request(scope, variables, lambda answer: _call_in(loop, deliver, answer)))
        answer = await future
        if self._callers is not None:
            self._callers.learn(scope, variables)
        return answer

    def _start(self) -> None:
        """With the first request, not before: a process that is to fork must have no threads."""
        self._is_started = True
        for number in range(self._threads):
            threading.Thread(target=self._serve, name=f"page-{number}", daemon=True).start()

    def _serve(self) -> None:
        """Answer requests without end, each in a context of its own. No request ends the thread."""
        context = contextvars.copy_context()
        while True:
            lane, request = self._requests.take()
            began = time.thread_time()
            try:
                context.copy().run(self._answer, lane, request)
            finally:
                self._requests.done(lane, time.thread_time() - began)

    def _answer(self, lane: str, request: _Request) -> None:
        try:
            if lane != STRANGERS or not self._found_lane(request):
                self._respond(request)
        except BaseException:  # also SystemExit, or the CancelledError of a loop that a view has run
            logger.exception("a request was not answered")
            request.done(refusal(500, request.scope["path"], request.scope["headers"]))

    def _found_lane(self, request: _Request) -> bool:
        """Whether a request came from somebody we know; it waits again then, in the right lane."""
        if self._callers is None:
            return False
        lane = self._callers.lane_of(request.scope)
        try:
            if lane == STRANGERS:
                lane = self._callers.find(request.scope)
            if lane != STRANGERS:
                self._requests.put(lane, request)
        except LaneFull:
            request.done(refusal(503, request.scope["path"], request.scope["headers"]))
        except Exception:  # also what a driver raises that is no DatabaseError
            logger.exception("nobody could say whose a request is")
            return False  # the application says what is wrong
        finally:
            _clear_away(close_old_connections)
        return lane != STRANGERS

    def _respond(self, request: _Request) -> None:
        response: Any = None
        try:
            started: list[tuple[int, Headers]] = []

            def start_response(status: str, headers: Headers, exc_info: Any = None) -> None:
                started[:] = [(int(status[:3]), headers)]

            response = self._application(request.environ, start_response)
            body = b"".join(response)
            request.done(PageAnswer(*started[0], body))
        finally:
            if hasattr(response, "close"):
                _clear_away(response.close)


def _clear_away(close: Callable[[], object]) -> None:
    """An error here, as of a database that has gone, must not cost the answer."""
    try:
        close()
    except Exception:
        logger.exception("a request was not cleared away")


def environ(scope: Scope, body: bytes) -> dict[str, Any]:
    """The WSGI environment of an ASGI request (PEP 3333)."""
    server, client = scope.get("server") or ("localhost", 80), scope.get("client") or ("", 0)
    found = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1] or 0),
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **_header_variables(scope["headers"]),
    }
    found.setdefault("CONTENT_LENGTH", str(len(body)))  # sent in chunks, its length is known now
    return found


def _header_variables(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """`X-Request-ID` becomes HTTP_X_REQUEST_ID; several of a name are one, with commas.

    A name with an underscore is nobody's: as a variable it would pass for the one with a hyphen, and a stranger could say
    whose proxy he comes through.
    """
    found: dict[str, str] = {}
    for raw_name, raw_value in headers:
        if b"_" in raw_name:
            continue
        name = raw_name.decode("latin-1").upper().replace("-", "_")
        if name not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
            name = f"HTTP_{name}"
        value = raw_value.decode("latin-1")
        separator = ";" if name == "HTTP_COOKIE" else ","
        found[name] = f"{found[name]}{separator}{value}" if name in found else value
    return found


def _call_in(
    loop: asyncio.AbstractEventLoop, function: Callable[[PageAnswer], None], answer: PageAnswer
) -> None:
    try:
        loop.call_soon_threadsafe(function, answer)
    except RuntimeError:
        logger.info("an answer came after the end of the server")
