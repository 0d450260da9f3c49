"""A process that has loaded everything and forks for each order: a line of JSON in, a line of JSON out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class ForkingProcess:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, **order: Any) -> Any:
        """What it prints to an order."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


@contextmanager
def forking_process(module: str, environment: dict[str, str]) -> Iterator[ForkingProcess]:
    """`python -m` this module until the block ends; then it is killed with all that it forked."""
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield ForkingProcess(process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
