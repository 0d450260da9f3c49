"""Hears what changed, has it rendered once for each audience, and hands it to the streams."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bookings.pages.live import stream as words
from bookings.pages.live.publishing import ACCESS
from bookings.pages.live.recent_changes import Change, ChangeLog
from bookings.pages.live.rendering import render_all
from bookings.pages.live.stream import Stream
from bookings.pages.live.threads import in_thread
from depots.listening import listen
from depots.notices import PAGES_CHANNEL

logger = logging.getLogger(__name__)

RENDERED_AT_ONCE = 50  # a flood is told in pieces, not at its end
MARGIN_S = 5  # a page's data is older than the page by its view's run time; hearing twice does no harm


class Broadcaster:
    """Tells a process's `streams`, which come and go. `on_access` is called with a person's id, None for everybody, when
    their right to listen may have changed. `is_listening` is set while changes are heard."""

    def __init__(
        self,
        streams: set[Stream],
        *,
        now_ms: Callable[[], int],
        pending_max: int,
        on_access: Callable[[int | None], None],
    ) -> None:
        self._streams, self._now_ms = streams, now_ms
        self._pending_max, self._on_access = pending_max, on_access
        self._log = ChangeLog(now_ms)
        self._pending: dict[tuple[str, int], Change] = {}
        self._wake = asyncio.Event()
        self.is_listening = asyncio.Event()
        self._threads = ThreadPoolExecutor(1, "live-render")

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    async def listen(self) -> None:
        """Hear changes, without end."""
        await listen(
            PAGES_CHANNEL, on_notice=self._hear, on_listening=self._begin_to_hear, on_lost=self._hear_no_more
        )

    async def render(self) -> None:
        """Take what has piled up, render each changed object once, and hand it out, without end."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                await self._render_some()

    def greet(self, stream: Stream, heard_until_ms: int | None) -> None:
        """Say hello, then what this client missed since it was last told, or that it has to load afresh.

        Where something was missed, the greeting carries the moment the client told: a line that breaks before the rest
        has gone out is taken up from there.
        """
        missed: list[Change] | None = []
        if heard_until_ms is not None:
            missed = self._log.since(heard_until_ms - MARGIN_S * 1000, stream.listener.audiences)
        if missed is None or len(missed) > stream.queue.maxsize // 2:
            stream.put(words.message("hello", {"resync": True}, self._now_ms()))
            return
        told_until = heard_until_ms if missed and heard_until_ms else self._now_ms()
        stream.put(words.message("hello", {"resync": False}, told_until))
        for change in missed:
            if change.is_rendered:
                stream.put(_event(change, change.seen_by(stream.listener.audiences)))
            else:
                self._await_rendering(change)

    def _begin_to_hear(self) -> None:
        self._begin_anew()
        self.is_listening.set()

    def _hear_no_more(self) -> None:
        self._log.end()
        self.is_listening.clear()

    def _begin_anew(self) -> None:
        """What was notified while nobody listened, or is too much to tell, is lost: every open page loads afresh."""
        self._log.begin()
        for stream in self._streams:
            stream.put(words.message("resync", {}, self._now_ms()))

    def _hear(self, payload: str) -> None:
        try:
            change = Change.read(payload, self._now_ms())
        except (ValueError, KeyError, TypeError):
            logger.warning("A notification nobody understands", extra={"payload": payload[:200]})
            return
        if change.kind == ACCESS:
            self._on_access(change.id)
            return
        self._log.add(change)
        self._await_rendering(change)
        if len(self._pending) > self._pending_max:
            self._pending.clear()
            self._begin_anew()

    def _await_rendering(self, change: Change) -> None:
        self._pending[change.key] = change
        self._wake.set()

    async def _render_some(self) -> None:
        listening = frozenset[str]().union(*self._audiences())
        batch = [self._pending.pop(key) for key in list(self._pending)[:RENDERED_AT_ONCE]]
        wanted = {change.key: change for change in batch if change.audiences & listening}
        if not wanted:
            return
        views = await in_thread(self._threads, render_all, wanted)
        for key, change in wanted.items():
            change.views, change.is_rendered = views[key], True
            self._hand_out(change)

    def _audiences(self) -> set[frozenset[str]]:
        return {stream.listener.audiences for stream in self._streams}

    def _hand_out(self, change: Change) -> None:
        """One message for all who belong to the same audiences: colleagues cost one rendering and one encoding."""
        messages: dict[frozenset[str], bytes | None] = {}
        for stream in list(self._streams):
            audiences = stream.listener.audiences
            if audiences not in messages:
                seen = change.seen_by(audiences)
                messages[audiences] = _event(change, seen) if seen else None
            text = messages[audiences]
            if text is not None:
                stream.put(text)


def _event(change: Change, seen: dict[str, Any]) -> bytes:
    return words.message("change", {"kind": change.kind, "id": change.id, "for": seen}, change.at_ms)
