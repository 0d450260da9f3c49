"""1,000 chargers whose power comes back at once: the gateway as it is shipped, against a bare server on the `ocpp` library.

Both run in turn, on the same database and with the same chargers, which have processes of their own. The time is that
from the first connection to the last answer.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from statistics import median, quantiles
from typing import Any

from benchmarks import gateways
from benchmarks.charger_crowd import EVSES
from benchmarks.result import Result

GOAL = "<= 2"
CHARGERS, DEPOTS, CROWDS, ROUNDS = 1000, 50, 2, 3

SERVERS = {"bare": gateways.BARE, "gateway": gateways.GATEWAY}


def run(names: list[str]) -> Iterator[Result]:
    gateways.make_chargers(CHARGERS, depots=DEPOTS)
    rounds = [{name: _boot_all(command) for name, command in SERVERS.items()} for _ in range(ROUNDS)]
    detail: dict[str, Any] = {name: _summed([each[name] for each in rounds]) for name in SERVERS}
    ratio = median(each["gateway"]["wall_s"] / each["bare"]["wall_s"] for each in rounds)
    is_whole = not detail["gateway"]["dropped"] and not detail["bare"]["dropped"]
    yield Result("connect_1000", ratio if is_whole else None, GOAL, detail)


def _boot_all(command: list[str]) -> dict[str, Any]:
    """Every charger is as one that was never heard of before it comes."""
    from depots.models import Charger, ChargerCommand, Evse

    Evse.objects.update(status=Evse.Status.UNKNOWN, told_status="", status_at=None)
    Charger.objects.update(booted_at=None, told={}, lease_holder="", lease_until=None)
    ChargerCommand.objects.all().delete()
    with gateways.running(command) as (url, pid):
        cpu_before, commits_before = gateways.cpu_s(pid), gateways.commits()
        told = _crowds(url)
        cpu_s, commits = gateways.cpu_s(pid) - cpu_before, gateways.commits() - commits_before
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


def _crowds(url: str) -> list[dict[str, Any]]:
    each = CHARGERS // CROWDS
    command = [sys.executable, "-m", "benchmarks.charger_crowd", url, gateways.PASSWORD]
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


def _summed(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    figures = {
        name: round(median(each[name] for each in rounds), 2) for name in rounds[0] if name != "faults"
    }
    walls = [round(each["wall_s"], 2) for each in rounds]
    faults = sorted({fault for each in rounds for fault in each["faults"]})
    return {**figures, "dropped": sum(each["dropped"] for each in rounds), "walls_s": walls, "faults": faults}
