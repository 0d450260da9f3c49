"""Heads without an end: how much of one is taken, and how long one is waited for."""

import asyncio
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from uvicorn.server import ServerState

from config import http_protocol
from config.http_protocol import MAX_HEAD, HttpProtocol
from tests.serving import BerthServer

BEGUN = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


async def hear(*pieces: bytes) -> bytes:
    """What a client hears that sends these and then waits for the connection to end."""
    config = uvicorn.Config(_hello, http=HttpProtocol, ws="none", log_config=None, lifespan="off")
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: HttpProtocol(config, state, {}), "127.0.0.1", 0
    )
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(60):
            heard = await reader.read()
        writer.close()
    return heard


async def _hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


def test_a_head_without_an_end_is_refused() -> None:
    heard = asyncio.run(hear(BEGUN, *[b"X-Name: %b\r\n" % (b"a" * 1000)] * (MAX_HEAD // 1000)))

    assert heard.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("pieces", [[], [BEGUN], [BEGUN + b"\r\n", BEGUN]])
def test_a_head_that_does_not_arrive_is_not_waited_for(
    pieces: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_S", 0.05)

    heard = asyncio.run(hear(*pieces))

    assert heard.count(b"hello") == max(0, len(pieces) - 1)


def test_a_head_in_pieces_is_read() -> None:
    heard = asyncio.run(hear(BEGUN, b"Connection: close\r\n", b"\r\n"))

    assert heard.startswith(b"HTTP/1.1 200 ")


def test_who_asks_for_another_protocol_is_answered_in_http(berth_server: BerthServer) -> None:
    url = urlsplit(berth_server.url)
    upgrade = b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: YQ==\r\n"
    with socket.create_connection((url.hostname, url.port), timeout=60) as client:
        client.sendall(BEGUN + upgrade + b"\r\n")

        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
