"""One open page's stream, and the words of Server-Sent Events."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from bookings.pages.live.audiences import Listener


class Stream:
    """What waits for one client. `checked_at` (seconds) is when its session was last seen to be good."""

    def __init__(self, session_key: str, listener: Listener, *, checked_at: float, size: int) -> None:
        self.session_key = session_key
        self.listener = listener
        self.checked_at = checked_at
        self.queue: asyncio.Queue[bytes] = asyncio.Queue(size)
        self.over = asyncio.Event()

    def put(self, message: bytes) -> None:
        """Queue a message; a client too slow for its queue is let go, to come back and load afresh."""
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            self.end()

    def end(self) -> None:
        self.over.set()


def message(event: str, data: Any, at_ms: int) -> bytes:
    """One event; its id is our clock, so that a client that comes back says until when it has heard us."""
    text = json.dumps(data, cls=DjangoJSONEncoder, separators=(",", ":"))
    return f"id: {at_ms}\nevent: {event}\ndata: {text}\n\n".encode()


def beat(at_ms: int) -> bytes:
    """A comment for proxies, and an event for the page: silence longer than this means that the line is dead."""
    return f": beat\nid: {at_ms}\nevent: beat\ndata: 1\n\n".encode()
