"""A demo from nothing, which nobody else uses and which leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from config.embedded.postgres import EmbeddedServer

ROOT = Path(__file__).parents[2]
READY = "Berth is ready"
START_TIMEOUT_S = 600
STOP_TIMEOUT_S = 60
# What the caller has set for an installation or a checkout of his own is none of this demo's business.
_OTHERS = ("BERTH_", "DATABASE_", "DJANGO_")


@dataclass
class ThrowawayDemo:
    """`url` is its address, `ocpp_url` that for chargers, without a slash at the end."""

    url: str
    ocpp_url: str

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[ThrowawayDemo]:
        """A demo that answers, chargers and partner network included. Raises RuntimeError when it does not start."""
        with tempfile.TemporaryDirectory(prefix="berth-pictures-", ignore_cleanup_errors=True) as folder:
            var = Path(folder)
            http, ocpp = _free_addresses(2)
            process = _start(var, http, ocpp)
            try:
                _wait_until_ready(process, var / "demo.log")
                yield cls(f"http://{http}", f"ws://{ocpp}/ocpp")
            finally:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=STOP_TIMEOUT_S)
                shutil.rmtree(EmbeddedServer(var).home, ignore_errors=True)


def _start(var: Path, http: str, ocpp: str) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OTHERS)}
    # Its log goes to a file: a pipe that nobody reads any more would hold it up.
    with (var / "demo.log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "manage.py", "demo"],
            cwd=ROOT,
            env={**kept, "BERTH_VAR": str(var), "BERTH_HTTP": http, "BERTH_OCPP": ocpp},
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )


def _wait_until_ready(process: subprocess.Popen[str], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while READY not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"The demo did not start:\n{log.read_text()[-3000:]}")
        time.sleep(0.2)


def _free_addresses(count: int) -> list[str]:
    """Free now; all are held until all are found, so that none comes twice."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for held in sockets:
            held.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{held.getsockname()[1]}" for held in sockets]
