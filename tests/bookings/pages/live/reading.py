"""A live server on a real socket, and a client that reads its events."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from django.conf import settings
from django.test import Client

from bookings.pages.live import LiveServer
from depots.models import User

DEADLINE_S = 60.0


@dataclass
class Event:
    kind: str
    data: Any
    id: str


class RunningLive:
    """A LiveServer under uvicorn in a thread of its own; `url` ends with /live/."""

    def __init__(self, live: LiveServer) -> None:
        self.live = live
        self._server = uvicorn.Server(
            uvicorn.Config(live, port=0, lifespan="off", log_config=None, timeout_graceful_shutdown=2)
        )
        self._listening = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=[self._run()])

    async def _run(self) -> None:
        serving = asyncio.create_task(self._server.serve())
        while not self._server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0)
        await self.live.start()
        await self.live.until_listening()
        self._loop = asyncio.get_running_loop()
        self._listening.set()
        await serving
        await self.live.stop()

    @contextmanager
    def running(self) -> Iterator[RunningLive]:
        self._thread.start()
        assert self._listening.wait(DEADLINE_S)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/live/"
        try:
            yield self
        finally:
            self.live.end_streams()
            self._server.should_exit = True
            self._thread.join(DEADLINE_S)

    @contextmanager
    def reading(self, cookies: dict[str, str], *, since: int | str = "", **headers: str) -> Iterator[Reader]:
        with (
            httpx.Client(cookies=cookies, timeout=DEADLINE_S) as client,
            client.stream("GET", f"{self.url}?since={since}", headers=headers) as response,
        ):
            yield Reader(response)


class Reader:
    """Waits for what must come, and fails when it has not within the deadline; beats do not prolong it."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.events = self._events()
        self.give_up_at = 0.0

    def next(self, kind: str = "change") -> Event:
        """The next event of a kind, within the client's deadline."""
        self.give_up_at = time.monotonic() + DEADLINE_S
        return next(event for event in self.events if event.kind == kind)

    def has_ended(self) -> bool:
        """Read on until the server ends the stream; the deadline raises when it does not."""
        self.give_up_at = time.monotonic() + DEADLINE_S
        for _ in self.events:
            pass
        return True

    def _events(self) -> Iterator[Event]:
        said: dict[str, str] = {}
        for line in self.response.iter_lines():
            if time.monotonic() > self.give_up_at:
                raise TimeoutError("The stream did not say what was waited for.")
            name, _, value = line.partition(": ")
            if line and name:
                said[name] = value
            elif "data" in said:
                yield Event(said["event"], json.loads(said["data"]), said["id"])
                said = {}


def signed_in(user: User) -> tuple[Client, dict[str, str]]:
    """A browser of this person, and its session cookie."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client, {settings.SESSION_COOKIE_NAME: client.cookies[settings.SESSION_COOKIE_NAME].value}
