"""Messages a second: the gateway as it is shipped, against a bare server on the `ocpp` package with the same fast validation.

`gateway_rate`: messages that change nothing stored (a Heartbeat, samples of an EVSE where nothing charges), against a server
that only answers. `gateway_rate_stored`: statuses that are news, statuses that are known already (when they came is written),
and the samples of a running session, against one that writes the same rows; both answer after the commit. Half of the chargers
speak OCPP 1.6, half 2.0.1. Both servers run beside each other, and take turns; the ratio is that of the kind of message where
it is lowest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median
from typing import Any

from benchmarks import gateways
from benchmarks.result import Result

CHARGERS, ROUNDS, SECONDS = 200, 3, 2.0

GOALS = {"gateway_rate": ">= 0.7", "gateway_rate_stored": ">= 0.35"}
KINDS = {
    "gateway_rate": ("heartbeat", "idle_meter_values"),
    "gateway_rate_stored": ("status", "same_status", "meter_values"),
}
BARE = {"gateway_rate": gateways.BARE_ANSWERS, "gateway_rate_stored": gateways.BARE}


def run(names: list[str]) -> Iterator[Result]:
    gateways.make_chargers(CHARGERS * 2)
    _begin_sessions()
    for name in names:
        yield _measured(name)


def _begin_sessions() -> None:
    """A session at EVSE 2 of each charger, by the number that the light chargers give it."""
    from datetime import UTC, datetime

    from depots.models import Charger, ChargingSession, Evse

    now = datetime.now(UTC)
    second = dict(Evse.objects.filter(number=2).values_list("charger_id", "pk"))
    ChargingSession.objects.bulk_create(
        ChargingSession(
            charger_id=charger.pk, evse_id=second[charger.pk], transaction=str(number + 1), token_uid="04A1B2C3",
            announced_at=now, started_at=now, start_received_at=now, meter_start_wh=10_000, meter_last_wh=10_000,
            registers=["Outlet"], charging_state="charging", latest_at=now,
        )
        for number, charger in enumerate(Charger.objects.order_by("identity"))
    )  # fmt: skip
    Evse.objects.filter(number=2).update(status=Evse.Status.CHARGING)


def _measured(name: str) -> Result:
    with ExitStack() as stack:
        sides = {}
        for side, command, first in (("bare", BARE[name], 0), ("gateway", gateways.GATEWAY, CHARGERS)):
            url, pid = stack.enter_context(gateways.running(command))
            crowd = stack.enter_context(gateways.crowd(url))
            arrived = crowd.do("connect", first=first, count=CHARGERS)
            assert arrived["connected"] == CHARGERS, arrived
            sides[side] = crowd, pid
        rounds: list[dict[str, Any]] = [
            {"kind": kind, **{side: _sent(kind, *each) for side, each in sides.items()}}
            for kind in KINDS[name] * ROUNDS
        ]
    detail = {kind: _summed([each for each in rounds if each["kind"] == kind]) for kind in KINDS[name]}
    errors = sum(each[side]["errors"] for each in rounds for side in sides)
    ratio = None if errors else min(each["ratio"] for each in detail.values())
    return Result(name, ratio, GOALS[name], {"chargers": CHARGERS, "errors": errors, **detail})


def _sent(kind: str, crowd: gateways.Crowd, pid: int) -> dict[str, Any]:
    before = gateways.cpu_s(pid)
    told = crowd.do("send", kind=kind, count=CHARGERS, seconds=SECONDS)
    cpu_s = gateways.cpu_s(pid) - before
    return {
        **told,
        "rate": told["answered"] / told["seconds"],
        "cpu_us": cpu_s * 1e6 / (told["answered"] or 1),
    }


def _summed(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    ratios = [each["gateway"]["rate"] / each["bare"]["rate"] for each in rounds]
    figures = {
        f"{side}_{name}": round(median(each[side][name] for each in rounds), digits)
        for side in ("bare", "gateway")
        for name, digits in (("rate", 0), ("cpu_us", 1), ("p99_s", 3))
    }
    return {"ratio": round(median(ratios), 3), "ratios": [round(ratio, 3) for ratio in ratios], **figures}
