"""Several processes of one program behind one listener, and one process that keeps them.

They are forked from a process that has everything loaded and nothing begun: no thread, no connection to the database.
So they start within milliseconds and share the memory of the code.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import structlog

logger = structlog.get_logger(__name__)

# What the keeper waits for; blocked, so that none is missed between two waits.
WAITED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
STOP_TIMEOUT_S = 10
# A process that dies this young gets a pause before its successor starts.
YOUNG_S = 1.0
PAUSE_S = 0.5
TICK_S = 0.1  # how often a stop and a pause are looked after

_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


class _Fork(NamedTuple):
    place: int
    started_at: float  # monotonic seconds


class Prefork:
    """Runs `work(place)` in forks of this process until SIGTERM, one a place, and starts another where one ends.

    The forks die with their keeper, whatever ends it: the kernel sees to that, so that none goes on listening unseen.
    """

    def __init__(self, work: Callable[[int], None], *, processes: int) -> None:
        self._work = work
        self._processes = processes
        self._running: dict[int, _Fork] = {}  # by process id
        self._due_at: dict[int, float] = {}  # place → when another is started there, in monotonic seconds

    def run(self) -> None:
        """Keep the processes until a signal asks to end; returns when all have ended."""
        if threading.active_count() > 1:
            raise RuntimeError(
                "A process with threads cannot be forked: the forks would have their locks without them."
            )
        before = signal.pthread_sigmask(signal.SIG_BLOCK, WAITED)
        try:
            for place in range(self._processes):
                self._fork(place)
            self._keep()
            self._end()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _keep(self) -> None:
        while (got := self._wait()) is None or got == signal.SIGCHLD:
            now = time.monotonic()
            for fork, code in self._ended():
                logger.warning("a serving process ended, another starts", place=fork.place, code=code)
                is_young = now - fork.started_at < YOUNG_S
                self._due_at[fork.place] = now + (PAUSE_S if is_young else 0)
            for place in [place for place, due_at in self._due_at.items() if due_at <= now]:
                del self._due_at[place]
                self._fork_again(place)

    def _fork_again(self, place: int) -> None:
        """While the system has no room for another process, those that there are go on."""
        try:
            self._fork(place)
        except OSError:
            logger.exception("a serving process cannot be started, it is tried again", place=place)
            self._due_at[place] = time.monotonic() + PAUSE_S

    def _wait(self) -> int | None:
        """The next signal; None when a pause may be over."""
        if not self._due_at:
            return signal.sigwait(WAITED)
        got = signal.sigtimedwait(WAITED, TICK_S)
        return got.si_signo if got else None

    def _end(self) -> None:
        """Ask all to end, and kill what does not."""
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while self._running:
            if time.monotonic() > deadline:
                logger.warning("killed, they did not end", processes=sorted(self._running))
                self._signal(signal.SIGKILL)
                deadline += STOP_TIMEOUT_S
            signal.sigtimedwait({signal.SIGCHLD}, TICK_S)
            self._ended()

    def _ended(self) -> list[tuple[_Fork, int]]:
        """Those that have ended since this was asked last, with their exit codes."""
        found = []
        for pid in list(self._running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                found.append((self._running.pop(pid), os.waitstatus_to_exitcode(status)))
        return found

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._running:
            os.kill(pid, number)

    def _fork(self, place: int) -> None:
        keeper = os.getpid()
        pid = os.fork()
        if pid:
            self._running[pid] = _Fork(place, time.monotonic())
            return
        code = 1
        try:
            _die_with(keeper)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, WAITED)
            self._work(place)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            logger.exception("a serving process failed")
        finally:
            os._exit(code)  # nothing of the keeper's is to be cleared away here


def _die_with(keeper: int) -> None:
    """Have the kernel kill us when our parent ends, and end at once where it has ended already."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:
        os._exit(1)
