"""Keeps a handful of `manage.py` processes running, and ends them all.

Each has its process id in a file. One that ends unasked is started again at once, or after a pause if it ended soon
after its start. When this process itself is killed, the kernel asks its children to end.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import structlog
from django.conf import settings

from config.embedded import postgres

logger = structlog.get_logger(__name__)

LOOK_S = 0.2
READY_TIMEOUT_S = 90
STOP_TIMEOUT_S = 15
# A gateway ends its commands, sends its chargers away and waits for their leases (decision 94).
GATEWAY_STOP_TIMEOUT_S = 60
# A program that dies this young gets a pause before its next try, short enough to be back within two seconds.
YOUNG_S = 5.0
PAUSE_S = 1.0

_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


@dataclass
class Program:
    """One command of a process of ours.

    `answers_at` is an http or tcp address that answers once it is ready; without one, it is ready when it first prints.
    """

    name: str
    command: Sequence[str]
    answers_at: str | None = None
    stop_timeout_s: float = STOP_TIMEOUT_S
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    started_at: float = field(default=0.0, init=False)
    next_start_at: float | None = field(default=None, init=False)
    has_spoken: bool = field(default=False, init=False)

    @classmethod
    def of_berth(cls, name: str, answers_at: str | None = None) -> "Program":
        """The `manage.py` command of this name."""
        timeout_s = GATEWAY_STOP_TIMEOUT_S if name == "ocpp_gateway" else STOP_TIMEOUT_S
        return cls(name, (sys.executable, str(settings.BASE_DIR / "manage.py"), name), answers_at, timeout_s)


class Supervisor:
    """Runs programs until `stop` is called, from a signal handler or another thread."""

    def __init__(self, run_folder: Path) -> None:
        self._run_folder = run_folder
        self._programs: list[Program] = []
        self._stop = threading.Event()

    def stop(self) -> None:
        self._stop.set()

    @property
    def is_stopping(self) -> bool:
        return self._stop.is_set()

    def start(self, programs: Sequence[Program]) -> None:
        """Start programs and return when all of them answer, or `stop` was called. Raises TimeoutError."""
        for program in programs:
            self._programs.append(program)
            self._spawn(program)
        deadline = time.monotonic() + READY_TIMEOUT_S
        while waiting := [program.name for program in programs if not answers(program)]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{', '.join(waiting)} did not answer within {READY_TIMEOUT_S} s.")
            if self._stop.wait(LOOK_S):
                return
            self._revive()

    def watch(self) -> None:
        """Start again whatever ends, the embedded database too, until `stop` is called."""
        while not self._stop.wait(LOOK_S):
            self._revive()

    def end(self) -> None:
        """Ask every program to end, the last started first, and kill what does not."""
        running = [program for program in reversed(self._programs) if program.process]
        for program in running:
            _signal(program, signal.SIGTERM)
        asked_at = time.monotonic()
        for program in running:
            assert program.process
            try:
                program.process.wait(max(0.1, asked_at + program.stop_timeout_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                logger.warning("killed, it did not end", program=program.name)
                program.process.kill()
                program.process.wait()
            self._pid_file(program).unlink(missing_ok=True)

    def _revive(self) -> None:
        keep_database_running()
        for program in self._programs:
            if program.process and program.process.poll() is not None:
                self._start_again(program, now=time.monotonic())

    def _start_again(self, program: Program, *, now: float) -> None:
        if program.next_start_at is None:
            assert program.process
            logger.warning("ended, is started again", program=program.name, code=program.process.returncode)
            is_young = now - program.started_at < YOUNG_S
            program.next_start_at = now + (PAUSE_S if is_young else 0)
        if now >= program.next_start_at:
            self._spawn(program)

    def _spawn(self, program: Program) -> None:
        program.started_at, program.next_start_at, program.has_spoken = time.monotonic(), None, False
        program.process = subprocess.Popen(
            program.command,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=None if program.answers_at else subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches us alone: we end them in order
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - one call into libc, nothing that takes a lock
        )
        if program.process.stdout:
            threading.Thread(target=_pass_on, args=(program, program.process.stdout), daemon=True).start()
        self._run_folder.mkdir(parents=True, exist_ok=True)
        # Put in place whole: who watches the file must never read half a number.
        fresh = self._pid_file(program).with_suffix(".new")
        fresh.write_text(f"{program.process.pid}\n")
        fresh.replace(self._pid_file(program))

    def _pid_file(self, program: Program) -> Path:
        return self._run_folder / f"{program.name}.pid"


def keep_database_running() -> None:
    if settings.DATABASES["default"]["ENGINE"] == "config.embedded":
        postgres.use(settings.BERTH_VAR)


def answers(program: Program) -> bool:
    """Is this program there and ready?"""
    if program.process is None or program.process.poll() is not None:
        return False
    if program.answers_at is None:
        return program.has_spoken
    address = urlsplit(program.answers_at)
    if address.scheme == "tcp":
        return _takes_connections(address.hostname or "", address.port or 0)
    return _is_ok(program.answers_at)


def _pass_on(program: Program, printed: IO[bytes]) -> None:
    for line in printed:
        program.has_spoken = True
        sys.stdout.write(line.decode(errors="replace"))
        sys.stdout.flush()


def _takes_connections(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


def _is_ok(url: str) -> bool:
    # The public name, which is the one that is certainly served.
    request = urllib.request.Request(url, headers={"Host": urlsplit(settings.BERTH_BASE_URL).netloc})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310 - our own http address
            return bool(answer.status == 200)
    except OSError:
        return False


def _signal(program: Program, number: signal.Signals) -> None:
    if program.process and program.process.poll() is None:
        program.process.send_signal(number)


def _end_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
