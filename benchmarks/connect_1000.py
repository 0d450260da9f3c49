"""1,000 chargers whose power comes back at once: the gateway as it is shipped, against a bare server on the `ocpp` library.

Both run in turn, on the same database and with the same chargers, which have processes of their own. The time is that
from the first connection to the last answer.
"""

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
from statistics import median, quantiles
from typing import Any

from benchmarks.charger_crowd import EVSES, identity_of
from benchmarks.result import Result

GOAL = "<= 2"
CHARGERS, DEPOTS, CROWDS, ROUNDS = 1000, 50, 2, 3
PASSWORD = "benchmark-password"
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")

SERVERS = {
    "bare": [sys.executable, "-m", "benchmarks.bare_csms"],
    "gateway": [sys.executable, "manage.py", "ocpp_gateway"],
}


def run(names: list[str]) -> Iterator[Result]:
    _make_chargers()
    rounds = [{name: _boot_all(command) for name, command in SERVERS.items()} for _ in range(ROUNDS)]
    detail: dict[str, Any] = {name: _summed([each[name] for each in rounds]) for name in SERVERS}
    ratio = median(each["gateway"]["wall_s"] / each["bare"]["wall_s"] for each in rounds)
    is_whole = not detail["gateway"]["dropped"] and not detail["bare"]["dropped"]
    yield Result("connect_1000", ratio if is_whole else None, GOAL, detail)


def _make_chargers() -> None:
    from depots import secrets
    from depots.models import Charger, Evse
    from tests.factories import make_depot, make_operator

    salt, hashed = secrets.hash_charger_password(PASSWORD)
    operator = make_operator()
    depots = [make_depot(operator) for _ in range(DEPOTS)]
    chargers = Charger.objects.bulk_create(
        Charger(
            depot=depots[number % DEPOTS],
            identity=identity_of(number),
            password_salt=salt,
            password_hash=hashed,
        )
        for number in range(CHARGERS)
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


def _boot_all(command: list[str]) -> dict[str, Any]:
    """Every charger is as one that was never heard of before it comes."""
    from depots.models import Charger, ChargerCommand, Evse

    Evse.objects.update(status=Evse.Status.UNKNOWN, told_status="", status_at=None)
    Charger.objects.update(booted_at=None, told={}, lease_holder="", lease_until=None)
    ChargerCommand.objects.all().delete()
    with _server(command) as (url, process):
        cpu_before, commits_before = _cpu_s(process.pid), _commits()
        told = _crowds(url)
        cpu_s, commits = _cpu_s(process.pid) - cpu_before, _commits() - commits_before
    starts = min(each["started_at"] for each in told)
    ends = sorted(end - starts for each in told for end in each["finished_at"])
    booted = Evse.objects.filter(status=Evse.Status.AVAILABLE, charger__booted_at__isnull=False).count()
    return {
        "wall_s": ends[-1] if ends else 0.0,
        "p50_s": quantiles(ends, n=100)[49],
        "p99_s": quantiles(ends, n=100)[98],
        "cpu_ms": cpu_s * 1000 / CHARGERS,
        "commits": commits / CHARGERS,
        "dropped": sum(each["dropped"] for each in told) + CHARGERS * len(EVSES) - booted,
        "faults": sorted({fault for each in told for fault in each["faults"]}),
    }


@contextmanager
def _server(command: list[str]) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Where it listens, and its process."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **_bare()})
    assert process.stdout is not None
    try:
        line = next(line for line in process.stdout if line.startswith("Listening on "))
        threading.Thread(target=process.stdout.read, daemon=True).start()  # its log must not fill the pipe
        yield line.split()[-1].removesuffix("/<identity>"), process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.kill()


def _bare() -> dict[str, str]:
    """What the bare server needs to know instead of Django's settings: the database and the key of passwords."""
    from django.conf import settings
    from django.db import connection

    from depots import secrets

    told = connection.get_connection_params()
    where = " ".join(f"{name}={told[name]}" for name in ("host", "port", "user", "dbname") if told.get(name))
    key = secrets._derived(settings.BERTH_STORAGE_KEYS[0], "charger password")  # noqa: SLF001
    return {"BARE_DATABASE": where, "BARE_KEY": key.hex()}


def _crowds(url: str) -> list[dict[str, Any]]:
    each = CHARGERS // CROWDS
    command = [sys.executable, "-m", "benchmarks.charger_crowd", url, PASSWORD]
    crowds = [
        subprocess.Popen(
            [*command, str(number * each), str(each)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(CROWDS)
    ]
    try:
        for crowd in crowds:
            assert _line_of(crowd) == "ready\n"
        for crowd in crowds:
            _go(crowd)
        told = [json.loads(_line_of(crowd)) for crowd in crowds]
        for crowd in crowds:
            _go(crowd)
            crowd.wait(60)
    finally:
        for crowd in crowds:
            crowd.kill()
    return told


def _line_of(crowd: subprocess.Popen[str]) -> str:
    assert crowd.stdout is not None
    return crowd.stdout.readline()


def _go(crowd: subprocess.Popen[str]) -> None:
    assert crowd.stdin is not None
    crowd.stdin.write("\n")
    crowd.stdin.flush()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def _commits() -> int:
    from django.db import connection

    time.sleep(1.1)  # PostgreSQL's own counters are told once a second
    with connection.cursor() as cursor:
        cursor.execute("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def _summed(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    figures = {
        name: round(median(each[name] for each in rounds), 2) for name in rounds[0] if name != "faults"
    }
    walls = [round(each["wall_s"], 2) for each in rounds]
    faults = sorted({fault for each in rounds for fault in each["faults"]})
    return {**figures, "dropped": sum(each["dropped"] for each in rounds), "walls_s": walls, "faults": faults}
