"""Gateways as processes of their own, which die as by `kill -9`: forked from one that has loaded everything, so that each
costs milliseconds.

`python -m tests.scenarios.gateway_processes` on the test's database reads an order a line and prints where each listens.
"""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import signal
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.scenarios.forking_process import ForkingProcess, forking_process

_SECONDS = struct.Struct("d")


class SharedClock:
    """A clock that several processes read and a test moves; it is kept in a file."""

    def __init__(self, file: Path, now: datetime | None = None) -> None:
        self.file = file
        if now is not None:
            file.write_bytes(_SECONDS.pack(now.timestamp()))
        with file.open("r+b") as opened:
            self._memory = mmap.mmap(opened.fileno(), _SECONDS.size)

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(_SECONDS.unpack(self._memory[:])[0], UTC)

    @property
    def now(self) -> datetime:
        return self()

    def advance(self, **duration: float) -> datetime:
        now = self() + timedelta(**duration)
        self._memory[:] = _SECONDS.pack(now.timestamp())
        return now


@dataclass
class GatewayProcess:
    pid: int
    url: str

    @property
    def port(self) -> int:
        return int(self.url.split(":")[2].split("/")[0])

    @property
    def is_alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


class GatewayProcesses:
    """`start` gives a gateway that listens. `dies_after` names the operation after whose commit it dies, `dies_at` is the
    number of the commit; `clock` a SharedClock's file, without which it stands still at the tests' time."""

    def __init__(self, process: ForkingProcess) -> None:
        self._process = process

    def start(self, **order: Any) -> GatewayProcess:
        return GatewayProcess(**self._process.ask(**order))


@contextmanager
def gateway_processes(environment: dict[str, str]) -> Iterator[GatewayProcesses]:
    with forking_process("tests.scenarios.gateway_processes", environment) as process:
        yield GatewayProcesses(process)


def main() -> None:
    import django

    django.setup()
    from depots.ocpp.server import Gateway
    from tests.scenarios.bed import QUICK

    assert Gateway
    assert QUICK
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever dies is gone at once
    for line in sys.stdin:
        if not os.fork():
            asyncio.run(_serve(**json.loads(line)))


async def _serve(
    *,
    port: int = 0,
    gate: str = "",
    clock: str = "",
    dies_after: str = "",
    dies_at: int = 0,
    timings: dict[str, Any] | None = None,
) -> None:
    from dataclasses import replace

    from django.conf import settings

    from depots.ocpp.listeners import Listeners
    from depots.ocpp.server import Gateway
    from tests.scenarios.bed import QUICK, Clock

    if gate:
        settings.CHARGING_GATE = gate
    commits = 0

    def after_commit(operation: str) -> None:
        nonlocal commits
        commits += 1
        if operation == dies_after or commits == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    ours = SharedClock(Path(clock)) if clock else Clock()
    quick = replace(QUICK, **(timings or {}))
    async with Gateway(
        listeners=Listeners(port=port), clock=ours, timings=quick, after_commit=after_commit
    ) as gateway:
        print(json.dumps({"pid": os.getpid(), "url": gateway.url}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    main()
