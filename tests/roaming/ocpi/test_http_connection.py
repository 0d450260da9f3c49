"""HTTP as partners speak it, whole or torn, and what a connection is good for afterwards."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from depots.http_connection import (
    MAX_HEAD,
    AnswerTooLong,
    BrokenConnection,
    HttpConnection,
    RawAnswer,
    RawRequest,
)
from roaming.ocpi.connections import Connections, NotConnected, Origin

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
REQUEST = b"GET / HTTP/1.1\r\nHost: partner\r\n\r\n"


def served(
    *answers: bytes,
    closes: bool = False,
    then: Callable[[int], Awaitable[Any]] | None = None,
    most: int = 1000,
    tls: ssl.SSLContext | None = None,
) -> Any:
    """What `then(port)` gives, else the answer to one request, of a server that sends these pieces for every request."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            for piece in answers:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            if closes:
                break
        writer.close()

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            writer.close()

    async def ask(port: int) -> RawAnswer:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(HttpConnection, "127.0.0.1", port)
        try:
            async with asyncio.timeout(10):
                return await connection.ask(RawRequest(REQUEST), most=most)
        finally:
            connection.hang_up()

    async def run() -> Any:
        server = await asyncio.start_server(quietly, "127.0.0.1", 0, ssl=tls)
        try:
            return await (then or ask)(server.sockets[0].getsockname()[1])
        finally:
            server.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("pieces", "closes"),
    [
        ([OK], False),
        ([bytes([byte]) for byte in OK], False),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"], False),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", OK], False),
        ([b"HTTP/1.0 200 OK\r\n\r\n{", b"}"], True),
    ],
    ids=["whole", "byte by byte", "chunked", "continue first", "to the end of the connection"],
)
def test_an_answer_is_read_however_it_is_framed(pieces: list[bytes], closes: bool) -> None:
    answer = served(*pieces, closes=closes)

    assert (answer.status, bytes(answer.content)) == (200, b"{}")


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"], BrokenConnection),
        ([], BrokenConnection),
        ([b"SSH-2.0-OpenSSH\r\n"], BrokenConnection),
        ([b"HTTP/1.1 200 OK\r\nX: " + b"x" * (MAX_HEAD + 1)], BrokenConnection),
        (
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"]
            + [b"X: " + b"x" * 8000 + b"\r\n"] * (MAX_HEAD // 8000 + 1),
            BrokenConnection,
        ),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 2\r\n\r\n{}{}"], BrokenConnection),
        (
            [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"],
            BrokenConnection,
        ),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001], AnswerTooLong),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + b"x" * 2000], AnswerTooLong),
    ],
    ids=[
        "torn",
        "silent end",
        "no HTTP",
        "endless head",
        "endless trailer",
        "two lengths",
        "upgrade",
        "too long",
        "too long, torn",
    ],
)
def test_what_is_no_answer_is_none(pieces: list[bytes], error: type[Exception]) -> None:
    with pytest.raises(error):
        served(*pieces, closes=True)


def test_a_connection_is_kept_for_the_next_request_to_the_same_place_only(settings: Any) -> None:
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = True

    async def twice(port: int) -> list[int]:
        connections = Connections(5)
        found = []
        for host in ("127.0.0.1", "127.0.0.1", "127.0.0.2"):
            with pytest.raises(NotConnected) if host == "127.0.0.2" else nullcontext():
                origin = Origin(is_tls=False, host=host, port=port)
                await connections.ask(origin, RawRequest(REQUEST), most=1000, connect_timeout_s=5)
            found.append(sum(len(kept) for kept in connections._idle.values()))
        connections.close()
        return found

    assert served(OK, then=twice) == [1, 1, 1]


def test_no_more_connections_are_kept_than_may_be_in_use(settings: Any) -> None:
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = True

    async def ask(port: int) -> int:
        connections = Connections(1)
        for host in ("127.0.0.1", "localhost"):
            origin = Origin(is_tls=False, host=host, port=port)
            await connections.ask(origin, RawRequest(REQUEST), most=1000, connect_timeout_s=5)
        kept = sum(len(kept) for kept in connections._idle.values())
        connections.close()
        return kept

    assert served(OK, then=ask) == 1


@pytest.mark.parametrize(
    "more", [OK + OK, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"]
)
def test_who_says_more_than_was_asked_or_goodbye_is_not_asked_again(more: bytes) -> None:
    """A second answer could be taken for that of the next request."""

    async def ask(port: int) -> bool:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(HttpConnection, "127.0.0.1", port)
        await connection.ask(RawRequest(REQUEST), most=1000)
        await asyncio.sleep(0)
        return connection.is_open

    assert served(more, then=ask) is False


def test_a_request_that_is_given_up_ends_its_connection() -> None:
    async def give_up(port: int) -> bool:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(HttpConnection, "127.0.0.1", port)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await connection.ask(RawRequest(REQUEST), most=1000)
        return connection.is_open

    assert served(then=give_up) is False


def test_a_request_given_up_as_its_answer_comes_leaves_no_connection_open() -> None:
    """Nobody takes it back, and its partner would hold it open for ever."""

    async def give_up(port: int) -> bool:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(HttpConnection, "127.0.0.1", port)
        asking = asyncio.create_task(connection.ask(RawRequest(REQUEST), most=1000))
        await asyncio.sleep(0)
        connection.data_received(OK)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        return connection.is_open

    assert served(then=give_up) is False


def certificate_of(name: str, path: Path) -> Path:
    """A certificate that vouches for itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    since = datetime.now(UTC) - timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(since)
        .not_valid_after(since + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(encoding))
    return path


@pytest.mark.parametrize(
    ("named", "trusted", "connects"),
    [("localhost", True, True), ("localhost", False, False), ("elsewhere.example", True, False)],
    ids=["its own, trusted", "not trusted", "somebody else's"],
)
def test_a_certificate_must_be_trusted_and_for_the_name_that_was_asked_for(
    tmp_path: Path, settings: Any, named: str, trusted: bool, connects: bool
) -> None:
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = True
    path = certificate_of(named, tmp_path / "certificate.pem")
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(path)

    async def ask(port: int) -> int:
        connections = Connections(5)
        if trusted:
            connections._tls.load_verify_locations(path)
        origin = Origin(is_tls=True, host="localhost", port=port)
        answer = await connections.ask(origin, RawRequest(REQUEST), most=1000, connect_timeout_s=5)
        connections.close()
        return answer.status

    with nullcontext() if connects else pytest.raises(NotConnected, match="certificate"):
        assert served(OK, then=ask, tls=theirs) == 200
