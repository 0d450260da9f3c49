"""Who may hold a stream, looked up when it begins, when told, and once in a while."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from django.db import DatabaseError

from bookings.pages.live.audiences import Listener, listeners
from bookings.pages.live.stream import Stream
from bookings.pages.live.threads import in_thread

logger = logging.getLogger(__name__)

LOOK_UP_THREADS = 3


class Admission:
    """Lets streams of a process in, and ends those of who signed out or may see something else now."""

    def __init__(self, streams: set[Stream], *, clock: Callable[[], float], recheck_s: float) -> None:
        self._streams = streams
        self._clock, self._recheck_s = clock, recheck_s
        self._suspects: set[int | None] = set()
        self._suspicion = asyncio.Event()
        # Apart from rendering, so that a crowd that comes in holds up nothing that is told, and the other way round.
        self._threads = ThreadPoolExecutor(LOOK_UP_THREADS, "live-look-up")

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    async def listener(self, session_key: str) -> Listener | None:
        """Whose session it is. Raises DatabaseError."""
        return (await in_thread(self._threads, self._look_up, {session_key})).get(session_key)

    def suspect(self, user_id: int | None) -> None:
        """Have this person's streams checked again, everybody's for None."""
        self._suspects.add(user_id)
        self._suspicion.set()

    async def recheck(self) -> None:
        """Check again whom it concerns: when told, else within a minute. Without end."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._recheck_s / 3):
                    await self._suspicion.wait()
            self._suspicion.clear()
            suspects, self._suspects = self._suspects, set()
            due = [stream for stream in self._streams if self._is_due(stream, suspects)]
            if due:
                await self._check(due)

    def _is_due(self, stream: Stream, suspects: set[int | None]) -> bool:
        is_old = self._clock() - stream.checked_at > self._recheck_s
        return is_old or None in suspects or stream.listener.user_id in suspects

    async def _check(self, due: list[Stream]) -> None:
        try:
            found = await in_thread(self._threads, self._look_up, {stream.session_key for stream in due})
        except DatabaseError:
            logger.warning("Live streams could not be checked; they end and come back")
            found = {}
        for stream in due:
            if found.get(stream.session_key) == stream.listener:
                stream.checked_at = self._clock()
            else:
                stream.end()

    def _look_up(self, session_keys: set[str]) -> dict[str, Listener]:
        return listeners(session_keys, datetime.fromtimestamp(self._clock(), UTC))
