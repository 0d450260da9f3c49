"""Bodies of requests, in memory until a thread has taken them: within a length each, and a sum for the larger ones of a lane."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Smaller ones are free; of the larger ones of a lane so many bytes are here at a time, on their way or waiting.
SMALL = 64 * 1024
MOST_OF_LARGE = 64 * 1024 * 1024

_large: Counter[str] = Counter()  # bytes by lane, of one process


class TooLargeError(Exception):
    """A body is larger than anybody here reads; `body` is what came of it."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.body = body


class NoRoomError(Exception):
    """Too much of the lane's large bodies is here already."""


class Body:
    def __init__(self, lane: str | None) -> None:
        self.content = bytearray()
        self._lane = lane
        self._counted = 0

    async def read(self, scope: dict[str, Any], receive: Any, most: int) -> bool:
        """Take what the client sends; False when it has gone. Raises TooLargeError, at once where a length says so, and
        NoRoomError."""
        if any(name == b"content-length" and int(value) > most for name, value in scope["headers"]):
            raise TooLargeError(b"")
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return False
            self.content += message.get("body", b"")
            if len(self.content) > most:
                raise TooLargeError(bytes(self.content))
            self._count()
            if not message.get("more_body", False):
                return True

    def forget(self) -> None:
        if self._lane is None:
            return
        _large[self._lane] -= self._counted
        if not _large[self._lane]:
            del _large[self._lane]

    def _count(self) -> None:
        if self._lane is None:
            return
        more = max(0, len(self.content) - SMALL) - self._counted
        if more and _large[self._lane] + more > MOST_OF_LARGE:
            raise NoRoomError
        _large[self._lane] += more
        self._counted += more


@contextmanager
def kept(lane: str | None) -> Iterator[Body]:
    """A body of a request in a lane, as long as it is needed. None: it counts in no sum, since whoever asks bounds how many
    such ones there are."""
    body = Body(lane)
    try:
        yield body
    finally:
        body.forget()
