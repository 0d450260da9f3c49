"""A served installation for benchmarks: `manage.py serve` as it ships, on the benchmark's database, in processes of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.database import CHECKOUT

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """`url` is where it listens, `pid` the parent of the serving processes."""

    url: str
    pid: int

    def cpu_s(self) -> float:
        """Processor time of all its processes so far, in seconds."""
        return cpu_of_family(self.pid)

    def rss_kb(self) -> list[int]:
        """Resident memory of each serving process."""
        return [_rss_kb(pid) for pid in _family(self.pid)]


def cpu_of_family(pid: int) -> float:
    """Processor time so far of a process and those it has begun, in seconds; also of those that have ended."""
    return sum(_cpu_ticks(one) for one in _family(pid)) / TICKS_A_SECOND


@contextmanager
def served(*, settings: str = "config.settings", processes: int | None = None) -> Iterator[Server]:
    """Running until the block ends. `settings` may add what is compared with (a view of the benchmark's own)."""
    command = [sys.executable, str(CHECKOUT / "manage.py"), "serve"]
    if processes:
        command += ["--processes", str(processes)]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": settings, "BERTH_HTTP": "127.0.0.1:0"}
    process = subprocess.Popen(
        command, env=environment, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=sys.stderr, text=True
    )
    try:
        yield Server(_address(process), process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Listening on "):
            # What it logs from now on has to be taken from it, or it stops at a full pipe.
            threading.Thread(
                target=shutil.copyfileobj, args=(process.stdout, sys.stderr), daemon=True
            ).start()
            return line.removeprefix("Listening on ").strip()
    raise RuntimeError("The server did not come up.")


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        return []
    return [pid, *(one for child in children for one in _family(int(child)))]


def _cpu_ticks(pid: int) -> int:
    """With those of its children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(field) for field in fields[11:15])


def _rss_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
