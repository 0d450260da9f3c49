"""The loop that calls webhooks: one event loop a worker process, any number of workers. A notice wakes it, and it looks every
second anyway; the database has threads of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import ParamSpec, TypeVar

import structlog
from django.db import connections
from django.utils import timezone

from bookings.notifications.feed import WAKE_CHANNEL
from bookings.webhooks import calls, deliveries
from depots.listening import listen
from depots.url_guard import trusting_tls

logger = structlog.get_logger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

MOST_AT_ONCE = 100
DATABASE_THREADS = 2
POLL_S = 1.0
GIVEN_UP_EVERY = timedelta(minutes=10)


async def run(
    stop: asyncio.Event, clock: Callable[[], datetime] = timezone.now, *, poll_s: float = POLL_S
) -> None:
    """Call what is due until `stop` is set; what is under way then gets a moment to end."""
    await _Loop(clock, poll_s).run(stop)


class _Loop:
    def __init__(self, clock: Callable[[], datetime], poll_s: float) -> None:
        self.clock, self.poll_s = clock, poll_s
        self._threads = ThreadPoolExecutor(DATABASE_THREADS, thread_name_prefix="webhooks database")
        self._wake = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._tls = trusting_tls()
        self._gave_up_at: datetime | None = None

    async def run(self, stop: asyncio.Event) -> None:
        wake = self._wake.set
        listening = asyncio.create_task(listen(WAKE_CHANNEL, on_notice=lambda _: wake(), on_listening=wake))
        stopping = asyncio.create_task(stop.wait())
        stopping.add_done_callback(lambda _: wake())
        try:
            while not stop.is_set():
                self._wake.clear()
                await self._turn()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.poll_s):
                        await self._wake.wait()
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=3)
        finally:
            for task in (listening, stopping, *self._under_way):
                task.cancel()
            await asyncio.gather(listening, stopping, *self._under_way, return_exceptions=True)
            self._threads.shutdown()

    async def _turn(self) -> None:
        """A fault of the database ends neither the loop nor the calls that are under way."""
        now, room = self.clock(), MOST_AT_ONCE - len(self._under_way)
        try:
            if room > 0:
                for claim in await self._in_thread(deliveries.claim, room=room, now=now):
                    self._start(claim)
            if self._gave_up_at is None or now - self._gave_up_at >= GIVEN_UP_EVERY:
                self._gave_up_at = now
                await self._in_thread(deliveries.give_up_overdue, now=now)
        except Exception:
            logger.exception("webhooks cannot be taken")

    def _start(self, claim: deliveries.Claim) -> None:
        task = asyncio.create_task(self._send(claim))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        # There is room again, and what waited behind it may go.
        task.add_done_callback(lambda _: self._wake.set())

    async def _send(self, claim: deliveries.Claim) -> None:
        try:
            outcome = await calls.call(claim, tls=self._tls, now=self.clock())
            await self._in_thread(deliveries.settle, claim, outcome, now=self.clock())
        except Exception:
            # Its lease runs out, and then it is tried again.
            logger.exception("webhook failed", delivery=claim.delivery_id)

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, partial(_closing, partial(work, *args, **kwargs))
        )


def _closing(work: Callable[[], T]) -> T:
    try:
        return work()
    finally:
        connections.close_all()
