"""Sends given requests at once on kept connections, with nothing but sockets: `python -m benchmarks.bare_partner_client MOST`.

A line on standard input is a JSON list of requests, of which at most MOST are under way; when all are answered a line comes
back. No pool, checks, limits or log: what any client must pay.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any
from urllib.parse import urlsplit

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
kept: dict[str, Streams] = {}


async def send(room: asyncio.Semaphore, asked: dict[str, Any]) -> None:
    url, body = urlsplit(asked["url"]), asked["body"].encode()
    headers = {**asked["headers"], "Host": url.netloc, "Content-Length": str(len(body))}
    lines = [f"{asked['method']} {url.path} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items()), "", ""]
    async with room:
        if url.netloc not in kept:
            kept[url.netloc] = await asyncio.open_connection(url.hostname, url.port)
        reader, writer = kept[url.netloc]
        writer.write("\r\n".join(lines).encode() + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0])
        answer = json.loads(await reader.readexactly(length))
        assert answer["status_code"] == 1000


async def main(most: int) -> None:
    room, loop = asyncio.Semaphore(most), asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        await asyncio.gather(*(send(room, asked) for asked in json.loads(line)))
        print("sent", flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
