"""The files of the embedded server: its data directory, its sockets, and what they say of the process on them."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from config.embedded.account import Account, DatabaseUnavailable
from config.embedded.programs import PostgresPrograms

MAJOR = 18
PORT = 5432  # only part of the socket's file name
OWNER = "berth"
DATABASE = "berth"
SYSTEM_STATE = Path("/var/lib/berth")
# One more than Linux ever gives out.
_NO_PID = 2**22 + 1

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


@dataclass
class Cluster:
    """PostgreSQL's word for one data directory: here that of one BERTH_VAR folder.

    `durable=False` is for a test run's own, chosen when it is made.
    """

    var: Path
    durable: bool = True

    def __post_init__(self) -> None:
        self.var = self.var.absolute()

    @cached_property
    def account(self) -> Account:
        return Account.find()

    @cached_property
    def programs(self) -> PostgresPrograms:
        return PostgresPrograms(self.account, SYSTEM_STATE)

    @cached_property
    def home(self) -> Path:
        """Where this server keeps its data: another account could not reach a checkout below somebody's home."""
        return SYSTEM_STATE / self._digest if self.account.is_other else self.var / "postgres"

    @cached_property
    def data(self) -> Path:
        # A data directory belongs to one major version; its name says which.
        return self.home / f"data-{MAJOR}"

    @cached_property
    def sockets(self) -> Path:
        # Short, because a socket's path may have about 100 characters, and not $TMPDIR: every command must find it.
        return Path("/tmp") / f"berth-{self.account.uid}-{self._digest}"  # noqa: S108 - made 0700, and checked

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(os.fsencode(self.var)).hexdigest()[:12]

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

    def prepare(self) -> None:
        """Make what is not there yet, the data directory the first time. Raises DatabaseUnavailable."""
        self._refuse_other_major()
        if not self.data.exists():
            self._make_data()
        self.account.make_private(self.sockets)
        _write(self.var / "database", f"{self.data}\n")

    def remove_sockets(self) -> None:
        shutil.rmtree(self.sockets, ignore_errors=True)

    def forget_dead(self) -> None:
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

    def _make_data(self) -> None:
        """Make the data directory and the database in it, all or nothing: it gets its name when it is complete."""
        self.account.make_private(self.home)
        unfinished = self.home / f"{self.data.name}.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        sync: tuple[str, ...] = () if self.durable else ("--no-sync",)
        self.programs.run(
            "initdb", "-D", unfinished, "-U", OWNER, "-A", "trust", "-E", "UTF8", "--no-locale", *sync
        )
        with (unfinished / "postgresql.conf").open("a") as configuration:
            configuration.write(_CONFIGURATION + ("" if self.durable else _THROWAWAY))
        create = f"CREATE DATABASE {DATABASE}\n"
        self.programs.run("postgres", "--single", "-D", unfinished, "postgres", statements=create)
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


def _write(path: Path, text: str) -> None:
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_text(text)
    unfinished.rename(path)
