"""Requests that are no HTTP, too large, or never whole: below /ocpi each is answered in an envelope, on a real socket."""

import asyncio
import json
import logging
import re
import socket
from collections.abc import Callable
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import uvloop
from django.test import Client

from depots.models import User
from roaming.ocpi.envelope import MAX_BODY
from tests.config.test_http_protocol import hear
from tests.roaming.partners import BOOKINGS, authorization, make_partner
from tests.serving import BerthServer, SharedServers

CREDENTIALS = b"POST /ocpi/2.3.0/credentials HTTP/1.1\r\nHost: localhost\r\n"
VERSIONS = b"GET /ocpi/versions HTTP/1.1\r\nHost: localhost\r\n"
IN_CHUNKS = CREDENTIALS + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"

# Each with the answer's HTTP status and OCPI status code, after which the connection ends.
ENDING = {
    "an unknown method": (b"FOO /ocpi/versions HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, 2001),
    "a wrong version": (b"GET /ocpi/versions HTTP/9.9\r\nHost: localhost\r\n\r\n", 400, 2001),
    "an absolute address": (b"FOO http://localhost/ocpi/versions HTTP/1.1\r\n\r\n", 400, 2001),
    "a space in the address": (b"GET /ocpi/a b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, 2001),
    "a raw character": (b"GET /ocpi/\xc3\xbc HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, 2001),
    "a space in a name": (VERSIONS + b"Bad Name: x\r\n\r\n", 400, 2001),
    "a folded header": (VERSIONS + b"X-A: a\r\n b\r\n\r\n", 400, 2001),
    "a NUL in a header": (VERSIONS + b"X-A: a\x00b\r\n\r\n", 400, 2001),
    "lines that end early": (b"GET /ocpi/versions HTTP/1.1\nHost: localhost\n\n", 400, 2001),
    "a length below zero": (CREDENTIALS + b"Content-Length: -1\r\n\r\n", 400, 2001),
    "a length beyond all": (CREDENTIALS + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n", 400, 2001),
    "two lengths": (CREDENTIALS + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", 400, 2001),
    "a length and chunks": (
        CREDENTIALS + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        400,
        2001,
    ),
    "chunks and a length": (
        CREDENTIALS + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        400,
        2001,
    ),
    "another coding": (CREDENTIALS + b"Transfer-Encoding: xchunked\r\n\r\n{}", 400, 2001),
    "no size of a chunk": (IN_CHUNKS + b"zz\r\n{}\r\n0\r\n\r\n", 400, 2001),
    "a size beyond all": (IN_CHUNKS + b"f" * 20 + b"\r\n{}", 400, 2001),
    "a chunk too long": (IN_CHUNKS + b"2\r\n{}}}\r\n0\r\n\r\n", 400, 2001),
    "an address without an end": (b"GET /ocpi/" + b"a" * 70_000, 414, 2000),
    "an address too long": (b"GET /ocpi/" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414, 2000),
    "a head without an end": (VERSIONS + b"X-A: " + b"a" * 70_000, 431, 2000),
    "a length too large": (CREDENTIALS + b"Content-Length: 1048577\r\n\r\n", 413, 2001),
    "a length too large to send": (CREDENTIALS + b"Content-Length: 1000000000000000\r\n\r\n", 413, 2001),
    "a length too large, with leave asked": (
        CREDENTIALS + b"Content-Length: 1048577\r\nExpect: 100-continue\r\n\r\n",
        413,
        2001,
    ),
    "chunks too large, not all": (IN_CHUNKS + CHUNK * (MAX_BODY // 0x10000 + 1), 413, 2001),
    "a body too large, sent all the same": (
        CREDENTIALS + b"Content-Length: 9000000\r\n\r\n" + b"x" * 9_000_000,
        413,
        2001,
    ),
}  # fmt: skip

# After these the connection goes on.
GOING_ON = {
    "a forged host": (b"GET /ocpi/versions HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n", 400, 2001),
    "two hosts": (VERSIONS + b"Host: elsewhere.example\r\n\r\n", 400, 2001),
    "the options": (b"OPTIONS /ocpi/versions HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, 2000),
    "an echo": (b"TRACE /ocpi/versions HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, 2000),
    "no escape": (b"GET /ocpi/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, 2000),
    "no UTF-8": (b"GET /ocpi/%ff%fe HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, 2000),
    "a NUL": (b"GET /ocpi/%00/versions HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, 2000),
    "the root": (b"GET /ocpi HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, 2000),
    "the root with a slash": (b"GET /ocpi/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, 2000),
    "a slash at the end": (b"GET /ocpi/versions/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 401, 2000),
    "no ASCII in headers": (VERSIONS + b"Authorization: Token \xff\r\nX-Request-ID: \xff\r\n\r\n", 401, 2000),
    "another protocol": (VERSIONS + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 401, 2000),
    "a coding inside chunks": (
        CREDENTIALS + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        401,
        2000,
    ),
}  # fmt: skip

# With a token, which costs a look into the database.
BODIES = {
    "nested too deep to parse": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400, 2001),
    "nested too deep": (b"[" * 500 + b"]" * 500, 200, 2001),
    "not a number": (b'{"url": NaN}', 400, 2001),
    "a number too long": (b'{"url": ' + b"9" * 5000 + b"}", 400, 2001),
    "a large number": (b'{"url": ' + b"9" * 4000 + b"}", 200, 2001),
    "a name twice": (b'{"url": 1, "url": 2}', 200, 2001),
    "no UTF-8": (b'{"url": "\xff"}', 400, 2001),
}


@pytest.fixture(scope="module")
def server(_servers: SharedServers) -> BerthServer:
    return _servers[0]


class Exchange(NamedTuple):
    http: int
    ocpi: int
    is_closed: bool = False


def exchange(server: BerthServer, sent: bytes, *, ends: bool = False) -> Exchange:
    """What is answered to these bytes, which has to be an envelope; where it `ends`, whether the connection does."""
    with connected(server) as client:
        client.sendall(sent)
        answer = HTTPResponse(client)
        answer.begin()
        content = answer.read()
        assert answer.headers["Content-Type"] == "application/json", content
        assert answer.headers["X-Request-ID"]
        assert answer.headers["X-Correlation-ID"]
        is_closed = ends and answer.headers["Connection"] == "close" and client.recv(1) == b""
        return Exchange(answer.status, json.loads(content)["status_code"], is_closed)


def connected(server: BerthServer) -> socket.socket:
    url = urlsplit(server.url)
    return socket.create_connection((url.hostname, url.port), timeout=60)


def heard(server: BerthServer, *pieces: bytes) -> bytes:
    """All that is answered until the connection is closed."""
    with connected(server) as client:
        for piece in pieces:
            client.sendall(piece)
        return b"".join(iter(lambda: client.recv(65536), b""))


def session_cookie(server: BerthServer) -> str:
    """Cookies are named after the server's address; its page for signing in sets the other one."""
    page = heard(server, b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    return re.findall(rb"set-cookie: +(berth_csrf\w*)=", page)[0].decode().replace("csrf", "session")


def test_whatever_comes_below_ocpi_is_answered_in_an_envelope(server: BerthServer) -> None:
    ended = {what: exchange(server, sent, ends=True) for what, (sent, *_) in ENDING.items()}
    went_on = {what: exchange(server, sent) for what, (sent, *_) in GOING_ON.items()}

    assert ended == {what: Exchange(http, ocpi, True) for what, (_, http, ocpi) in ENDING.items()}
    assert went_on == {what: Exchange(http, ocpi) for what, (_, http, ocpi) in GOING_ON.items()}


@pytest.mark.django_db(transaction=True)
def test_json_nobody_can_read_is_answered_in_an_envelope(server: BerthServer) -> None:
    token = authorization(make_partner().plain_token)  # type: ignore[attr-defined]
    head = (
        f"POST {BOOKINGS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\nContent-Length: ".encode()
    )
    answers = {
        what: exchange(server, head + b"%d\r\n\r\n" % len(body) + body) for what, (body, *_) in BODIES.items()
    }

    assert answers == {what: Exchange(http, ocpi) for what, (_, http, ocpi) in BODIES.items()}


def test_the_ids_of_a_request_are_echoed_though_it_cannot_be_read(server: BerthServer) -> None:
    answer = heard(
        server, VERSIONS + b"X-Request-ID: r-1\r\nX-Correlation-ID: c-1\r\nX-A: a\r\nBad Name: x\r\n\r\n"
    )

    assert b"\r\nx-request-id: r-1\r\nx-correlation-id: c-1\r\n" in answer


def test_what_came_before_is_answered_first(server: BerthServer) -> None:
    answers = heard(server, VERSIONS + b"\r\n" + VERSIONS + b"\r\n" + b"FOO\r\n\r\n")
    in_a_body = heard(server, VERSIONS + b"\r\n" + IN_CHUNKS + b"zz\r\n")

    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"401", b"401", b"400"]
    assert re.findall(rb"HTTP/1.1 (\d+)", in_a_body) == [b"401", b"400"]
    assert (answers + in_a_body).count(b'"status_code": ') == 5


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_after_the_last_answer_nothing_is_said(
    new_loop: Callable[[], asyncio.AbstractEventLoop], caplog: pytest.LogCaptureFixture
) -> None:
    """A version 1.0 ends the connection with its answer, in the midst of a body that turned out to be broken."""
    last = VERSIONS.replace(b"1.1", b"1.0") + b"Connection: keep-alive\r\n\r\n"

    with asyncio.Runner(loop_factory=new_loop) as runner:
        answers = runner.run(hear(last + IN_CHUNKS + b"zz\r\n"))

    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200"]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_after_the_last_answer_nothing_is_begun(
    new_loop: Callable[[], asyncio.AbstractEventLoop], caplog: pytest.LogCaptureFixture
) -> None:
    """What was sent before that answer, without waiting for it, is dropped: nobody would hear what became of it."""
    last = VERSIONS.replace(b"1.1", b"1.0") + b"Connection: keep-alive\r\n\r\n"

    with asyncio.Runner(loop_factory=new_loop) as runner:
        answers = runner.run(hear(last + VERSIONS + b"\r\n" + IN_CHUNKS + CHUNK[:9]))

    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200"]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_elsewhere_the_answer_is_a_line_of_text(server: BerthServer) -> None:
    unread = heard(server, b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Name: x\r\n\r\n")
    large = heard(server, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n")
    chunks = heard(
        server,
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        *[CHUNK] * 33,
    )

    assert unread.startswith(b"HTTP/1.1 400 ")
    assert b"\r\n\r\nThe request cannot be read.\n" in unread
    assert large.startswith(b"HTTP/1.1 413 ")
    assert chunks.startswith(b"HTTP/1.1 413 ")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/organisations/1/bank/statements/", "/invoices/incoming/files/"])
def test_a_form_that_takes_a_file_gets_one_as_large_as_it_says(
    server: BerthServer, client: Client, path: str
) -> None:
    """From people who are signed in; whoever is not holds no place, and is read as far as any form goes."""
    client.force_login(User.objects.create_user("accountant@example.com"))
    signed_in = f"Cookie: {session_cookie(server)}={client.session.session_key}\r\n"

    def head(path: str, size: int, more: str = signed_in) -> bytes:
        length = (
            f"Content-Length: {size}\r\nContent-Type: multipart/form-data; boundary=x\r\nConnection: close"
        )
        return f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{more}{length}\r\n\r\n".encode()

    size = 20 * 1024**2
    taken = heard(server, head(path, size), b"x" * size)

    assert re.match(rb"HTTP/1.1 40[34] ", taken)  # all of it was read
    assert heard(server, head(path, size + 2 * 1024**2)).startswith(b"HTTP/1.1 413 ")
    assert heard(server, head("/invoices/", size)).startswith(b"HTTP/1.1 413 ")
    assert heard(server, head(path, size, "")).startswith(b"HTTP/1.1 413 ")


def test_a_database_that_is_gone_is_a_503_in_an_envelope(tmp_path: Path) -> None:
    gone = {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/gone?connect_timeout=1"}
    request = VERSIONS + b"Authorization: Token d3Jvbmc=\r\nConnection: close\r\n\r\n"

    with BerthServer.started(var=tmp_path, environment=gone) as server:
        answer = heard(server, request)

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 5\r\n" in answer
    assert b'"status_code": 3000' in answer


@pytest.mark.django_db
def test_what_fails_around_a_request_is_answered_in_an_envelope(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roaming.ocpi.transport._log", broken)

    answer = client.get("/ocpi/versions")

    assert (answer.status_code, answer.json()["status_code"]) == (500, 3000)


def broken(*_: Any, **__: Any) -> None:
    raise LookupError
