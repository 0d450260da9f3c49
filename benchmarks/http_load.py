"""A lean HTTP client for benchmarks: one kept connection a client, requests built beforehand, answers read whole."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answered:
    """Answers in no order, and how long it took from the first request sent to the last answer."""

    took_s: float
    answers: list[tuple[int, bytes]] = field(repr=False)

    @property
    def per_s(self) -> float:
        return len(self.answers) / self.took_s


def request(url: str, method: str, authorization: str, body: Any = None) -> bytes:
    parts = urlsplit(url)
    content = b"" if body is None else json.dumps(body).encode()
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    head = [
        f"{method} {path} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"Authorization: {authorization}",
        f"Content-Length: {len(content)}",
        *(["Content-Type: application/json"] if content else []),
    ]
    return ("\r\n".join(head) + "\r\n\r\n").encode() + content


def send(url: str, of_clients: Sequence[Sequence[bytes]]) -> Answered:
    """Each client sends its requests one after the other, all clients at once."""
    return asyncio.run(_send(url, of_clients))


async def _send(url: str, of_clients: Sequence[Sequence[bytes]]) -> Answered:
    parts = urlsplit(url)
    connections = [await asyncio.open_connection(parts.hostname, parts.port) for _ in of_clients]
    began = time.perf_counter()
    found = await asyncio.gather(
        *(_client(*pair, requests) for pair, requests in zip(connections, of_clients, strict=True))
    )
    took = time.perf_counter() - began
    for _, writer in connections:
        writer.close()
    return Answered(took, [answer for answers in found for answer in answers])


async def _client(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: Sequence[bytes]
) -> list[tuple[int, bytes]]:
    answers = []
    for one in requests:
        writer.write(one)
        answers.append(await read_answer(reader))
    return answers


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status = int(head.split(" ", 2)[1])
    if "transfer-encoding: chunked" in head:
        return status, await _chunks(reader)
    length = head.partition("content-length:")[2].partition("\r\n")[0].strip()
    return status, await reader.readexactly(int(length or 0))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    content = b""
    while size := int(await reader.readline(), 16):
        content += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return content


def data(content: bytes) -> Any:
    """What an OCPI envelope carries."""
    return json.loads(content)["data"]
