"""A whole Berth as `make demo` starts it, with its commands as an operator types them."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.scenarios.outside.commands import Commands
from tests.scenarios.outside.waiting import eventually

CHECKOUT = Path(__file__).resolve().parents[3]
READY = "Berth is ready"
FIRST_START_S = 900
STOP_S = 120


@dataclass
class Said:
    """What a command left: its exit code, the objects of its lines, and its words on standard error."""

    code: int
    objects: list[dict[str, Any]]
    words: str

    @property
    def one(self) -> dict[str, Any]:
        assert self.code == 0, self.words
        assert len(self.objects) == 1, self.objects
        return self.objects[0]


@dataclass
class Berth:
    """`var` is its BERTH_VAR; `http` and `ocpp` are host:port."""

    var: Path
    http: str
    ocpp: str
    arguments: Sequence[str] = ("--no-chargers", "--no-partner")
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _commands: Commands | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"http://{self.http}"

    @property
    def log(self) -> Path:
        return self.var / "demo.log"

    def start(self, *, within_s: float = FIRST_START_S) -> None:
        """Returns once the demo has said that it is ready."""
        self.var.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "demo", *self.arguments],
                cwd=CHECKOUT,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        eventually(self._is_ready, of=f"the demo in {self.var}", within_s=within_s)

    def _is_ready(self) -> bool:
        assert self.process
        if self.process.poll() is not None:
            raise AssertionError(
                f"the demo ended with {self.process.returncode}:\n{self.log.read_text()[-4000:]}"
            )
        return READY in self.log.read_text()

    def stop(self) -> int:
        """Ask it to end as a service manager does; its exit code."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S)

    def environment(self) -> dict[str, str]:
        """Ours, without what the test runner told its own processes."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("BERTH_", "DJANGO_", "PYTEST_", "DATABASE_"))
        }
        return {
            **kept,
            "BERTH_VAR": str(self.var),
            "BERTH_HTTP": self.http,
            "BERTH_OCPP": self.ocpp,
            "PYTHONUNBUFFERED": "1",
            **self.settings,
        }

    def run(self, command: str, *arguments: object) -> Said:
        """An operator's command. Its standard output must be JSON objects, one a line, and nothing else."""
        if self._commands is None:
            self._commands = Commands(CHECKOUT, self.environment())
        done = self._commands.run(command, *map(str, arguments))
        return Said(done.code, [json.loads(line) for line in done.stdout.splitlines()], done.stderr.strip())

    def close_commands(self) -> None:
        if self._commands:
            self._commands.close()
            self._commands = None

    def book(self, option: str, period: "Slot", *more: object, vehicle: str = "HH-NF 100") -> dict[str, Any]:
        said = self.run(
            "book",
            "--vehicle",
            vehicle,
            "--option",
            option,
            "--start",
            period.start,
            "--end",
            period.end,
            *more,
        )
        return said.one

    def cancel(self, booking: dict[str, Any], reason: str = "TRAFFIC", *more: object) -> dict[str, Any]:
        return self.run("cancel_booking", booking["id"], "--reason", reason, *more).one

    def booking(self, booking: dict[str, Any] | str) -> dict[str, Any]:
        known = booking if isinstance(booking, str) else booking["id"]
        return self.run("show_booking", known).one

    def charger(self, identity: str) -> dict[str, Any]:
        return self.run("show_charger", identity).one

    def until(self, booking: dict[str, Any], within_s: float = 30, **wanted: str) -> dict[str, Any]:
        """The booking once it is, say, `status="charging"`."""

        def look() -> dict[str, Any] | None:
            self._last = self.booking(booking)
            return self._last if all(self._last[name] == value for name, value in wanted.items()) else None

        try:
            return eventually(look, of=f"{wanted}", within_s=within_s)
        except AssertionError as late:
            states = {
                name: self._last[name] for name in ("status", "enforcement", "enforcement_why", "events")
            }
            raise AssertionError(f"{late}; the booking: {states}") from None

    def pid(self, program: str) -> int:
        """Of `serve`, `worker`, `ocpp_gateway` or `postgres`."""
        if program == "postgres":
            return int((self._data / "postmaster.pid").read_text().split()[0])
        return int((self.var / "run" / f"{program}.pid").read_text())

    @property
    def _data(self) -> Path:
        """Where the embedded database keeps its files, which may be outside of `var`."""
        return Path((self.var / "database").read_text().strip())

    def forget(self) -> None:
        """Remove what a stopped one leaves outside of `var`."""
        shutil.rmtree(self._data.parent, ignore_errors=True)

    def kill(self, program: str) -> int:
        """As a crash does; the process id that is no more."""
        pid = self.pid(program)
        os.kill(pid, signal.SIGKILL)
        return pid

    def until_back(self, program: str, old: int, within_s: float = 30) -> None:
        """Until another process runs in the place of the killed one and, where it serves, answers."""

        def is_back() -> bool:
            try:
                return self.pid(program) != old and is_alive(self.pid(program)) and self._answers(program)
            except (OSError, ValueError, IndexError):
                return False

        eventually(is_back, of=f"a new {program}", within_s=within_s)

    def _answers(self, program: str) -> bool:
        address = {"serve": self.http, "ocpp_gateway": self.ocpp}.get(program)
        if address is None:
            return True
        host, port = address.split(":")
        try:
            socket.create_connection((host, int(port)), timeout=2).close()
        except OSError:
            return False
        return True


@dataclass(frozen=True)
class Slot:
    """Start and end as the commands take them."""

    start: str
    end: str

    @classmethod
    def soon(cls, minutes: int = 10, *, in_min: int = 5) -> "Slot":
        """From the beginning of a minute that is near enough to be armed at once, at a DEMO charger.

        And far enough to be changed and cancelled until then, on a slow machine too.
        """
        start = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=in_min)
        return cls.between(start, start + timedelta(minutes=minutes))

    @classmethod
    def between(cls, start: datetime, end: datetime) -> "Slot":
        return cls(instant(start), instant(end))


def instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_alive(pid: int) -> bool:
    """Zombies are not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def processes_with(var: Path) -> dict[int, str]:
    """Every live process of this machine that was started for this BERTH_VAR, and the servers of its database."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            told = (folder / "environ").read_bytes().split(b"\0")
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (PermissionError, FileNotFoundError, ProcessLookupError):
            continue
        mine = f"BERTH_VAR={var}".encode() in told or str(var) in line
        if mine and is_alive(int(folder.name)) and re.search("manage.py|postgres", line):
            found[int(folder.name)] = line
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(var: Path, *arguments: str, **settings: str) -> Iterator[Berth]:
    """A Berth of one's own on free ports, stopped in the end."""
    berth = Berth(
        var, f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}", arguments or Berth.arguments, settings
    )
    try:
        berth.start()
        yield berth
    finally:
        berth.close_commands()
        if berth.process and berth.process.poll() is None:
            berth.stop()
        berth.forget()
