"""Both platforms at work in one test: our sender on its event loop, and conditions that are waited for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import close_old_connections

from roaming.outbound import sending_loop

T = TypeVar("T")
DEADLINE_S = 60.0


class RunningSender:
    """`sending_loop.run` as a worker runs it, in a thread of its own, until the block ends."""

    def __init__(self, poll_s: float = 0.05) -> None:
        self._poll_s = poll_s
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="sender under test", daemon=True)

    def __enter__(self) -> RunningSender:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=60)
        assert not self._thread.is_alive(), "the sender does not end"
        self._loop.close()
        if self._failure:
            raise self._failure

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            # Looked at often, because the tests' clock jumps without telling anybody.
            self._loop.run_until_complete(sending_loop.run(self._stop, poll_s=self._poll_s))
        except BaseException as failure:
            self._failure = failure


def eventually(look: Callable[[], T], what: str = "", *, deadline_s: float = DEADLINE_S) -> T:
    """What `look` gives as soon as it is true; fails the test when it does not become so. It may ask the database."""

    def look_anew() -> T:
        close_old_connections()
        return look()

    return waited_for(look_anew, what or str(look), deadline_s=deadline_s)


def waited_for(look: Callable[[], T], what: str = "", *, deadline_s: float = DEADLINE_S) -> T:
    """`eventually`, in tests that have no database."""
    waited_s, pause_s = 0.0, 0.01  # added up, for the tests' clock stands still
    while waited_s < deadline_s:
        if found := look():
            return found
        time.sleep(pause_s)
        waited_s += pause_s
        pause_s = min(pause_s * 1.5, 0.05)  # looking takes from those that bring it about
    raise AssertionError(f"did not happen in {deadline_s:.0f} s: {what or look}; last seen: {look()!r}")


def fresh(row: Any) -> Any:
    """The row as the database has it now."""
    return type(row).objects.get(pk=row.pk)
