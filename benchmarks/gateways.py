"""What benchmarks of the gateway share: chargers in the database, the gateway and bare servers as processes, light chargers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PASSWORD = "benchmark-password"
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
EVSES = (1, 2)

BARE = [sys.executable, "-m", "benchmarks.bare_csms"]
BARE_ANSWERS = [*BARE, "--answers-only"]
GATEWAY = [sys.executable, "manage.py", "ocpp_gateway"]


def identity_of(number: int) -> str:
    return f"BENCH-{number:05d}"


def make_chargers(count: int, *, depots: int = 50, terms: dict[str, Any] | None = None) -> None:
    """Chargers with two EVSEs each, known to both servers; every depot has as many."""
    from depots import secrets
    from depots.models import Charger, Evse
    from tests.factories import make_depot, make_operator

    salt, hashed = secrets.hash_charger_password(PASSWORD)
    operator = make_operator()
    places = [make_depot(operator, terms=terms) for _ in range(depots)]
    chargers = Charger.objects.bulk_create(
        Charger(
            depot=places[number % depots],
            identity=identity_of(number),
            password_salt=salt,
            password_hash=hashed,
        )
        for number in range(count)
    )
    Evse.objects.bulk_create(
        Evse(
            depot=charger.depot,
            charger=charger,
            uid=f"{charger.identity}-{number}",
            number=number,
            max_power_w=150_000,
        )
        for charger in chargers
        for number in EVSES
    )


@contextmanager
def running(command: list[str]) -> Iterator[tuple[str, int]]:
    """Where a server listens, and its process id, until the block ends."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **_bare()})
    assert process.stdout is not None
    try:
        line = next(line for line in process.stdout if line.startswith("Listening on "))
        threading.Thread(target=process.stdout.read, daemon=True).start()  # its log must not fill the pipe
        yield line.split()[-1].removesuffix("/<identity>"), process.pid
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.kill()


@contextmanager
def working() -> Iterator[None]:
    """The worker with its scheduler, until the block ends."""
    command = [sys.executable, "manage.py", "worker"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=sys.stderr)
    try:
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()


class Crowd:
    """Light chargers in a process of their own (charger_load.py says what they understand)."""

    def __init__(self, url: str) -> None:
        command = [sys.executable, "-m", "benchmarks.charger_load", url, PASSWORD]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._line()

    def do(self, order: str, **told: Any) -> dict[str, Any]:
        self.begin(order, **told)
        return self.end()

    def begin(self, order: str, **told: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": order, **told}) + "\n")
        self.process.stdin.flush()

    def end(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._line())
        return told

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@contextmanager
def crowd(url: str) -> Iterator[Crowd]:
    chargers = Crowd(url)
    try:
        yield chargers
    finally:
        chargers.process.kill()
        chargers.process.wait()


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def rss_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def commits() -> int:
    from django.db import connection

    time.sleep(1.1)  # PostgreSQL's own counters are told once a second
    with connection.cursor() as cursor:
        cursor.execute("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def _bare() -> dict[str, str]:
    """What the bare server needs to know instead of Django's settings: the database and the key of passwords."""
    from django.conf import settings
    from django.db import connection

    from depots import secrets

    told = connection.get_connection_params()
    where = " ".join(f"{name}={told[name]}" for name in ("host", "port", "user", "dbname") if told.get(name))
    key = secrets._derived(settings.BERTH_STORAGE_KEYS[0], "charger password")  # noqa: SLF001
    return {"BARE_DATABASE": where, "BARE_KEY": key.hex()}
