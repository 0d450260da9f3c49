"""Real contention: the same work in several processes at the same moment, each with its own connection."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

from django.db import connections

# A child that has not answered by then hangs on a lock nobody will give back.
PATIENCE_S = 120
_forking = multiprocessing.get_context("fork")


def at_once(work: Callable[[int], Any], times: int) -> list[Any]:
    """What `work(0)` … `work(times - 1)` gave, each in a process of its own, all let go together.

    An exception that `work` does not handle comes back as the string "ERROR …" with its traceback.
    """
    return all_at_once([lambda number=number: work(number) for number in range(times)])  # type: ignore[misc]


def all_at_once(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """The same for different pieces of work."""
    _leave_connections()
    ready = _forking.Barrier(len(works))
    children = [_start(work, ready) for work in works]
    answers = [_hear(pipe) for _, pipe in children]
    for process, _ in children:
        process.join(PATIENCE_S)
        if process.is_alive():
            process.kill()
    return answers


def rendezvous(parties: int) -> Barrier:
    """A place where processes wait for one another, to be made before they start."""
    return _forking.Barrier(parties)


def wait_for_a_waiter() -> None:
    """Until somebody stands before a lock of ours."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    with connections["default"].cursor() as cursor:
        for _ in range(100_000):
            cursor.execute(waiting)
            if cursor.fetchone() != (0,):
                return
    raise AssertionError("nobody waits")


def _start(work: Callable[[], Any], ready: Barrier) -> tuple[Any, Connection]:
    here, there = _forking.Pipe(duplex=False)
    process = _forking.Process(target=_run, args=(work, ready, there), daemon=True)
    process.start()
    there.close()
    return process, here


def _run(work: Callable[[], Any], ready: Barrier, pipe: Connection) -> None:
    # The parent's pool and its threads did not come along; a child needs one plain connection.
    settings = connections.settings["default"]
    settings["OPTIONS"] = {
        name: value for name, value in settings.get("OPTIONS", {}).items() if name != "pool"
    }
    connections["default"].ensure_connection()
    ready.wait(PATIENCE_S)
    try:
        answer = work()
    except BaseException:
        answer = f"ERROR {traceback.format_exc()}"
    pipe.send(answer)
    connections.close_all()


def _hear(pipe: Connection) -> Any:
    if not pipe.poll(PATIENCE_S):
        return "ERROR no answer"
    try:
        return pipe.recv()
    except EOFError:
        return "ERROR the process died"


def _leave_connections() -> None:
    for connection in connections.all(initialized_only=True):
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]
