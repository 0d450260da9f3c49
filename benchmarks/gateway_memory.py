"""Chargers that are connected and say nothing: what one costs in memory, and ten thousand of them at one gateway.

`gateway_memory` compares the resident memory an idle charger adds with what it adds to a bare server on the `ocpp` package.
Both have answered a boot and two statuses of each. `gateway_10000` holds 10,000 chargers, which are a process of their own,
at one gateway on the machine's cores: the share that was connected after its leases were renewed, and got an answer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from benchmarks import gateways
from benchmarks.result import Result

WARM, MEASURED, MANY = 500, 3000, 10_000
# What comes after an arrival (what it can do is asked, leases are renewed) is over by then.
SETTLE_S, TWO_RENEWALS_S = 8, 35


def run(names: list[str]) -> Iterator[Result]:
    gateways.make_chargers(MANY if "gateway_10000" in names else WARM + MEASURED)
    if "gateway_memory" in names:
        sides = {"bare": gateways.BARE, "gateway": gateways.GATEWAY}
        told = {side: _kb_a_charger(command) for side, command in sides.items()}
        detail = {f"{side}_kb": round(kb, 1) for side, kb in told.items()}
        yield Result(
            "gateway_memory", told["gateway"] / told["bare"], "<= 1.5", {"chargers": MEASURED, **detail}
        )
    if "gateway_10000" in names:
        share, detail = _held()
        yield Result("gateway_10000", share, ">= 1", detail)


def _kb_a_charger(command: list[str]) -> float:
    """Above what the first few hundred have made the process load and keep."""
    with (
        gateways.running(command) as (url, pid),
        gateways.crowd(url) as first,
        gateways.crowd(url) as others,
    ):
        assert first.do("connect", first=0, count=WARM)["connected"] == WARM
        time.sleep(SETTLE_S)
        before = gateways.rss_kb(pid)
        for begun in range(WARM, WARM + MEASURED, WARM):  # not all at once: a crowd is another benchmark's
            assert others.do("connect", first=begun, count=WARM, more=True)["faults"] == []
        time.sleep(SETTLE_S)
        return (gateways.rss_kb(pid) - before) / MEASURED


def _held() -> tuple[float, dict[str, Any]]:
    with gateways.running(gateways.GATEWAY) as (url, pid), gateways.crowd(url) as crowd:
        arrived = crowd.do("connect", first=0, count=MANY)
        time.sleep(TWO_RENEWALS_S)
        before = gateways.cpu_s(pid)
        time.sleep(10)
        idle_cpu = (gateways.cpu_s(pid) - before) / 10
        beat = crowd.do("beat")
        detail = {
            "connected": arrived["connected"],
            "connect_s": round(arrived["seconds"], 1),
            "faults": arrived["faults"],
            "answered": beat["answered"],
            "heartbeats_s": round(beat["seconds"], 2),
            "idle_cores": round(idle_cpu, 3),
            "rss_mb": gateways.rss_kb(pid) // 1024,
        }
    return beat["answered"] / MANY, detail
