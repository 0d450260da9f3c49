"""Many partners' Receivers in one process, told apart by their addresses: `python -m benchmarks.partner_server [DELAY_MS]`.

It answers everything with an envelope after the delay, on kept connections, and says when each partner's first byte came
and when it was answered. Prints its port when it listens. `/control` is for the benchmark.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

# What a client writes by itself when it sends the same again.
ITS_OWN = {"host", "content-length", "connection"}
ENVELOPE = b'{"data":[],"status_code":1000,"timestamp":"2026-01-01T00:00:00Z"}'
SLOW_S = 10.0


class Partners:
    """What is asked of all of them. Those in `silent` accept and never answer, those in `slow` answer after SLOW_S."""

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        self.silent: set[str] = set()
        self.slow: set[str] = set()
        self.begin()

    def begin(self) -> None:
        self.seen: dict[str, tuple[float, float]] = {}
        self.requests: list[dict[str, Any]] = []

    def control(self, asked: dict[str, Any]) -> Any:
        """{"begin": true} forgets what was seen, {"silent": [hosts]} silences, {"slow": [hosts]} slows; gives what was seen
        since."""
        if asked.get("begin"):
            self.begin()
        if "silent" in asked:
            self.silent = set(asked["silent"])
        if "slow" in asked:
            self.slow = set(asked["slow"])
        return {"seen": self.seen, "requests": self.requests if asked.get("requests") else []}


class Connection(asyncio.Protocol):
    def __init__(self, partners: Partners) -> None:
        self._partners, self._buffer, self._began = partners, b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._buffer:
            self._began = time.monotonic()
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(text.split(": ", 1) for text in lines)
        lower = {name.lower(): value for name, value in headers.items()}
        length = int(lower.get("content-length", 0))
        if len(rest) < length:
            return
        self._buffer = b""
        self._on(line, headers, lower["host"], rest[:length])

    def _on(self, line: str, headers: dict[str, str], host: str, body: bytes) -> None:
        method, path, _ = line.split(" ")
        if path == "/control":
            self._write(json.dumps(self._partners.control(json.loads(body))).encode())
            return
        kept = {name: value for name, value in headers.items() if name.lower() not in ITS_OWN}
        told = {"method": method, "url": f"http://{host}{path}", "headers": kept, "body": body.decode()}
        self._partners.requests.append(told)
        if host not in self._partners.silent:
            loop = asyncio.get_running_loop()
            delay_s = SLOW_S if host in self._partners.slow else self._partners.delay_s
            loop.call_later(delay_s, self._answer, host, self._began)

    def _answer(self, host: str, began: float) -> None:
        self._partners.seen[host] = (began, time.monotonic())
        self._write(ENVELOPE)

    def _write(self, body: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)  # type: ignore[attr-defined]


async def main(delay_ms: int) -> None:
    partners = Partners(delay_ms / 1000)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(partners), "0.0.0.0", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
