"""A worker at the tests' time that kills itself at one point of a delivery: `python -m tests.roaming.dying POINT`.

The points are those between two commits: "after module.function" once it has done something, "instead of
module.function" when it would have been called.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import django
import time_machine
from django.conf import settings

from tests.serving import on_test_database

AT = "2030-01-15T08:00:00Z"


def worker_that_dies(point: str, var: Path) -> None:
    """Run it until it is dead; fails the test when it survives."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.roaming.dying", point],
        env={**os.environ, **on_test_database(var=var)},
        cwd=settings.BASE_DIR,
        timeout=300,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL


def main(point: str) -> None:
    django.setup()
    from roaming.outbound import sending_loop

    when, _, path = point.rpartition(" ")
    module, _, name = path.rpartition(".")
    target = import_module(f"roaming.outbound.{module}")
    work = getattr(target, name)

    def dying(*args: Any, **kwargs: Any) -> Any:
        result = work(*args, **kwargs) if when == "after" else True
        if result:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(target, name, dying)
    asyncio.run(sending_loop.run(asyncio.Event(), poll_s=0.05))


if __name__ == "__main__":
    with time_machine.travel(AT, tick=False):
        main(sys.argv[1])
