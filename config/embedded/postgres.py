"""The PostgreSQL that Berth brings along: made, started, shared and stopped by the commands that use it.

Of the wheel only the programs are used. A server belongs to one BERTH_VAR folder and listens on a Unix socket in a
folder nobody else may enter, never on the network.

Lifetime. Every process that uses the server holds a shared lock on `database.users`; whoever leaves last gets it
exclusively and stops the server. The kernel drops the lock of a process that was killed, so no count can go wrong: a
server left over by `kill -9` is found and reused by the next command, and stopped when that one leaves last.
Starting happens under a second lock, so that many commands at once start one server.

Root. PostgreSQL refuses to run as root, so it runs as `postgres` or `nobody` there, with its data in the system's
state folder: that user could not reach a checkout below somebody's private home.
"""

import atexit
import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import stamina

from config.embedded.account import DatabaseUnavailable
from config.embedded.cluster import DATABASE, MAJOR, OWNER, PORT, Cluster
from config.embedded.programs import ENVIRONMENT

__all__ = [
    "DATABASE",
    "MAJOR",
    "OWNER",
    "PORT",
    "DatabaseUnavailable",
    "EmbeddedServer",
    "leave_all",
    "settings",
    "use",
]

START_TIMEOUT_S = 30
# SIGINT ends the server after cutting its connections, SIGQUIT at once; with how long each is waited for.
STOP_SIGNALS = ((signal.SIGINT, 20), (signal.SIGQUIT, 5), (signal.SIGKILL, 5))


def settings(var: Path) -> dict[str, Any]:
    """Django's DATABASES entry for the embedded server of this folder. Starts nothing."""
    return {
        "ENGINE": "config.embedded",
        "NAME": DATABASE,
        "USER": OWNER,
        "PASSWORD": "",
        "HOST": str(EmbeddedServer(var).sockets),
        "PORT": str(PORT),
    }


def use(var: Path, *, durable: bool = True) -> "EmbeddedServer":
    """The running server of this folder, started if it is down, kept at least until this process ends.

    Cheap when it runs: called before every connection, so that a server that was killed comes back.
    Raises DatabaseUnavailable.
    """
    server = _used.get(var)
    if server is None or server.owner_pid != os.getpid():
        with _use_lock:
            server = _used.get(var)
            if server is None or server.owner_pid != os.getpid():
                server = EmbeddedServer(var, durable)
                server.join()
                _used[var] = server
    if not server.is_running():
        server.start()
    return server


def leave_all() -> None:
    """Give up every server this process uses; those that nobody else uses stop."""
    for server in list(_used.values()):
        if server.owner_pid == os.getpid():
            server.leave()
    _used.clear()


_used: dict[Path, "EmbeddedServer"] = {}
_use_lock = threading.Lock()


@dataclass
class EmbeddedServer(Cluster):
    """The server of a cluster, as one of the processes that use it."""

    owner_pid: int = field(default_factory=os.getpid, init=False)
    _users: int | None = field(default=None, init=False)

    def join(self) -> None:
        """Count as a user of this server until `leave` or the end of the process."""
        self.var.mkdir(parents=True, exist_ok=True)
        self._users = os.open(self.var / "database.users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._users, fcntl.LOCK_SH)  # waits while somebody who left last is stopping the server

    def leave(self) -> None:
        """No longer count as a user; stop the server if nobody else does."""
        if self._users is None:
            return
        # Closed, not unlocked: a forked child that still has the descriptor goes on counting.
        os.close(self._users)
        self._users = None
        users = os.open(self.var / "database.users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        else:
            self.stop()
        finally:
            os.close(users)

    def start(self) -> None:
        """Start the server, making its data directory the first time. Returns when it takes connections."""
        with self._only_one():
            if not self.is_running():
                self.prepare()
                self._run()

    def stop(self) -> None:
        """Stop the server and wait for it: connections are cut, everything committed is on disk."""
        with self._only_one():
            for request, patience_s in STOP_SIGNALS:
                pid = self.pid()
                if pid is None:
                    break
                os.kill(pid, request)
                _wait(lambda: self.pid() is None, patience_s)
            _reap()
            self.remove_sockets()

    def _run(self) -> None:
        # After kill -9 the dead server's children may hold its memory for a moment, and a new one refuses.
        tries = stamina.retry_context(
            on=DatabaseUnavailable,
            attempts=None,
            timeout=START_TIMEOUT_S,
            wait_initial=0.1,
            wait_max=0.1,
            wait_jitter=0,
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        for attempt in tries:
            with attempt:
                self._try_to_run(deadline)

    def _try_to_run(self, deadline: float) -> None:
        _reap()
        self.forget_dead()
        process = self._spawn()
        _children.append(process)
        _wait(partial(self._is_decided, process), deadline - time.monotonic())
        if not self.is_running():
            tail = (self.var / "database.log").read_text(errors="replace").splitlines()[-5:]
            raise DatabaseUnavailable("The embedded PostgreSQL did not start:\n" + "\n".join(tail))

    def _spawn(self) -> subprocess.Popen[bytes]:
        with (self.var / "database.log").open("ab") as log:
            return subprocess.Popen(
                [self.programs.path("postgres"), "-D", self.data, "-k", self.sockets, "-p", str(PORT)],
                cwd="/",
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the command; it stops the server last
                **self.account.popen_options(),
            )

    def _is_decided(self, process: subprocess.Popen[bytes]) -> bool:
        return self.is_running() or process.poll() is not None

    @contextmanager
    def _only_one(self) -> Iterator[None]:
        self.var.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.var / "database.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


# Servers started by this process, to be waited for when they end.
_children: list[subprocess.Popen[bytes]] = []


def _reap() -> None:
    _children[:] = [child for child in _children if child.poll() is None]


def _wait(condition: Callable[[], bool], timeout_s: float) -> None:
    """Wait for another process, which tells nobody: look often, give up in time."""
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)


atexit.register(leave_all)
