"""A worker's ticks and a person's clicks in processes of their own, each killed as by `kill -9` after a commit of its own.

`python -m tests.scenarios.dying_processes` on the test's database reads an order a line, and prints whether whoever carried
it out lived to its end.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from tests.scenarios.forking_process import ForkingProcess, forking_process

# Only one that never comes to its end commits more often.
MOST_COMMITS = 100


class DyingProcesses:
    """`deaths` counts those that did not live to the end of what they had to do."""

    def __init__(self, process: ForkingProcess) -> None:
        self._process = process
        self.deaths = 0

    def tick(self, now: datetime) -> None:
        """The scheduler's tick, by workers of whom the first dies after its first commit, the second after its second …"""
        self._until_done(now=now.isoformat())

    def press(self, button: str, *, page: str, user_id: int, now: datetime) -> None:
        """A button of a page, which sends to this address, by somebody who tries again whenever the web has died."""
        self._until_done(now=now.isoformat(), button=button, page=page, user_id=user_id)

    def _until_done(self, **order: Any) -> None:
        for dies_at in range(1, MOST_COMMITS):
            if self._has_lived(dies_at=dies_at, **order):
                return
            self.deaths += 1
        raise AssertionError("there is no end to what it commits")

    def _has_lived(self, **order: Any) -> bool:
        ended = self._process.ask(**order)
        assert ended in {0, -signal.SIGKILL}
        return bool(ended == 0)


@contextmanager
def dying_processes(environment: dict[str, str]) -> Iterator[DyingProcesses]:
    with forking_process("tests.scenarios.dying_processes", environment) as process:
        yield DyingProcesses(process)


def main() -> None:
    import django

    django.setup()
    from django.test.utils import setup_test_environment
    from django.urls import get_resolver

    from bookings import scheduler

    setup_test_environment()  # the test client's host is one of ours
    assert scheduler.run_tick
    assert get_resolver().url_patterns
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _carry_out(**json.loads(line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _carry_out(*, now: str, dies_at: int, button: str = "", page: str = "", user_id: int = 0) -> None:
    import time_machine

    from bookings import scheduler

    at = datetime.fromisoformat(now)
    with time_machine.travel(at, tick=False):
        if not button:
            _die_at_commit(dies_at)
            scheduler.run_tick(at)
        else:
            _press(button, page, user_id, dies_at)


def _press(button: str, page: str, user_id: int, dies_at: int) -> None:
    """Read the page as a browser does, and send the button's form. A button that is gone was pressed by one that died."""
    from django.test import Client

    from depots.models import User

    client = Client()
    client.force_login(User.objects.get(pk=user_id))
    shown = client.get(page)
    assert shown.status_code == 200
    found = re.search(rf'action="{button}".*?name="version" value="(\d+)"', shown.content.decode(), re.DOTALL)
    _die_at_commit(dies_at)
    if found is not None:
        assert client.post(button, {"version": found[1]}).status_code == 302


def _die_at_commit(number: int) -> None:
    from django.db.backends.base.base import BaseDatabaseWrapper

    commit, commits = BaseDatabaseWrapper._commit, 0

    def commit_and_die(self: BaseDatabaseWrapper) -> None:
        nonlocal commits
        commit(self)
        commits += 1
        if commits == number:
            os.kill(os.getpid(), signal.SIGKILL)

    BaseDatabaseWrapper._commit = commit_and_die


if __name__ == "__main__":
    main()
