"""What the pages are told of a request, and what becomes of their answers."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.db import InterfaceError

from config import wsgi_threads
from config.lanes import STRANGERS, Callers
from config.wsgi_threads import PageAnswer, WsgiThreads

Environ = dict[str, Any]


def scope(**more: Any) -> dict[str, Any]:
    plain = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/läden", "query_string": b"q=1",
        "scheme": "http", "server": ("127.0.0.1", 80), "client": ("192.0.2.1", 4711), "headers": [],
    }  # fmt: skip
    return {**plain, **more}


def asked(request: dict[str, Any], body: bytes = b"") -> Environ:
    """The environment that an application gets."""
    seen: list[Environ] = []

    def application(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        seen.append(environ)
        start_response("204 No Content", [])
        return []

    asyncio.run(WsgiThreads(application, threads=1).answer(request, body))
    return seen[0]


def test_a_request_arrives_as_it_was_sent() -> None:
    headers = [
        (b"host", b"berth.example"),
        (b"content-type", b"text/csv"),
        (b"accept", b"a"),
        (b"accept", b"b"),
    ]

    environ = asked(scope(headers=headers), b"1;2")

    assert environ["PATH_INFO"].encode("latin-1").decode() == "/läden"
    assert (environ["REQUEST_METHOD"], environ["QUERY_STRING"]) == ("POST", "q=1")
    assert (environ["REMOTE_ADDR"], environ["HTTP_HOST"]) == ("192.0.2.1", "berth.example")
    assert (environ["CONTENT_TYPE"], environ["HTTP_ACCEPT"]) == ("text/csv", "a,b")
    assert environ["wsgi.input"].read() == b"1;2"


def test_a_body_sent_in_chunks_has_its_length_told() -> None:
    assert asked(scope(headers=[(b"transfer-encoding", b"chunked")]), b"1;2")["CONTENT_LENGTH"] == "3"


def test_a_header_with_an_underscore_does_not_pass_for_a_proxys() -> None:
    assert "HTTP_X_FORWARDED_FOR" not in asked(scope(headers=[(b"x_forwarded_for", b"192.0.2.9")]))


def test_an_answer_leaves_whole_and_before_its_request_is_cleared_away() -> None:
    left, closed = threading.Event(), threading.Event()

    class Pieces(list[bytes]):
        def close(self) -> None:
            if left.wait(5):
                closed.set()

    def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Pieces([b"one ", b"two"])

    async def ask() -> PageAnswer:
        answer = await threads.answer(scope(), b"")
        left.set()
        return answer

    threads = WsgiThreads(application, threads=1)
    answer = asyncio.run(ask())

    assert answer == (200, [("Content-Type", "text/plain")], b"one two")
    assert closed.wait(5)


@pytest.mark.parametrize("starts", [True, False])
@pytest.mark.parametrize("fault", [ValueError, SystemExit, asyncio.CancelledError])
def test_an_application_that_breaks_costs_one_answer(starts: bool, fault: type[BaseException]) -> None:
    def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["QUERY_STRING"] == "break":
            if starts:
                start_response("200 OK", [])
            raise fault
        start_response("200 OK", [])
        return [b"well"]

    async def ask() -> list[PageAnswer]:
        return [await threads.answer(scope(query_string=query), b"") for query in (b"break", b"")]

    threads = WsgiThreads(application, threads=1)
    broken, well = asyncio.run(ask())

    assert (broken.status, well.status) == (500, 200)


def test_an_error_after_an_answer_costs_no_thread() -> None:
    class Answered(list[bytes]):
        def close(self) -> None:
            raise OSError("the database has gone")

    def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        return Answered([b"here"])

    async def ask_twice() -> list[bytes]:
        async with asyncio.timeout(5):
            return [(await threads.answer(scope(), b"")).body for _ in range(2)]

    threads = WsgiThreads(application, threads=1)

    assert asyncio.run(ask_twice()) == [b"here", b"here"]


def test_a_request_of_whom_nobody_can_say_who_it_is_costs_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise InterfaceError("the connection is closed")

    def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("503 Service Unavailable", [])
        return []

    async def ask_twice() -> list[int]:
        threads = WsgiThreads(application, threads=1, callers=Callers(gone))
        async with asyncio.timeout(60):
            return [
                (await threads.answer(scope(path="/ocpi/versions"), b"", STRANGERS)).status for _ in range(2)
            ]

    monkeypatch.setattr(wsgi_threads, "close_old_connections", gone)

    assert asyncio.run(ask_twice()) == [503, 503], "as the application says"
