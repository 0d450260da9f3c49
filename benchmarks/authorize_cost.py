"""What asking a token's network adds to a charger's Authorize, beyond the network's own answer time.

A charger shows a card that a partner network wants to be asked about and one that it does not, in turn; the partner answers after
50 ms. What is added is the first one's time less those 50 ms and less the middle time of the second one. Gateway and partner are
processes of their own.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from statistics import median, quantiles
from time import perf_counter, sleep
from typing import Any

from websockets.sync.client import ClientConnection, connect

from benchmarks import gateways
from benchmarks.result import Result

ROUNDS, WARM, DELAY_MS = 300, 10, 50.0
# Nobody shows the next card sooner; what the last one left to be written is none of the next one's time.
PAUSE_S = 0.05
ASKED, KNOWN = "04A1B2C3D4E5F6", "04B1B2C3D4E5F6"
_numbers = count(1)


def run(names: list[str]) -> Iterator[Result]:
    gateways.make_chargers(1, depots=1, terms={"walk_in": "known"})
    with ExitStack() as stack:
        partner = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.authorizing_partner", str(DELAY_MS)],
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(partner.kill)
        assert partner.stdout is not None
        _make_tokens(int(partner.stdout.readline()))
        url, _ = stack.enter_context(gateways.running(gateways.GATEWAY))
        asked, known = _shown(stack.enter_context(_charger(url)))
    added = [ms - DELAY_MS - median(known) for ms in asked]
    percentiles = quantiles(added, n=100)
    yield Result("authorize_cost", percentiles[98], "<= 20", {
        "added_ms_p50": round(median(added), 1),
        "added_ms_p90": round(percentiles[89], 1),
        "asked_ms_p50": round(median(asked), 1),
        "asked_ms_p99": round(quantiles(asked, n=100)[98], 1),
        "known_ms_p50": round(median(known), 1),
        "known_ms_p99": round(quantiles(known, n=100)[98], 1),
        "partner_ms": DELAY_MS,
        "rounds": len(asked),
    })  # fmt: skip


def _make_tokens(port: int) -> None:
    from django.utils import timezone

    from bookings.models import OwnerCheck, Token
    from tests.roaming.partners import make_partner

    endpoint = {"identifier": "tokens", "role": "SENDER", "url": f"http://127.0.0.1:{port}/tokens"}
    partner, now = make_partner("FLT", endpoints=[endpoint]), timezone.now()
    for uid, check in ((ASKED, OwnerCheck.MUST), (KNOWN, OwnerCheck.NEVER)):
        Token.objects.create(
            fleet=partner.organisation, uid=uid, country_code="SE", party_id="FLT", owner_check=check, told={},
            told_at=now, heard_at=now,
        )  # fmt: skip


def _charger(url: str) -> ClientConnection:
    identity = gateways.identity_of(0)
    told = base64.b64encode(f"{identity}:{gateways.PASSWORD}".encode()).decode()
    return connect(
        f"{url}/{identity}", subprotocols=["ocpp1.6"], compression=None,  # type: ignore[list-item]
        additional_headers={"Authorization": f"Basic {told}"},
    )  # fmt: skip


def _shown(charger: ClientConnection) -> tuple[list[float], list[float]]:
    """Milliseconds until the charger knew, of the card that is asked about and of the other one."""
    _call(charger, "BootNotification", {"chargePointVendor": "Berth", "chargePointModel": "Bench"})
    asked: list[float] = []
    known: list[float] = []
    for number in range(ROUNDS + WARM):
        for uid, taken in ((ASKED, asked), (KNOWN, known)):
            began = perf_counter()
            answer = _call(charger, "Authorize", {"idTag": uid})
            if number >= WARM:
                taken.append(1000 * (perf_counter() - began))
            assert answer["idTagInfo"]["status"] == "Accepted", answer
            sleep(PAUSE_S)
    return asked, known


def _call(charger: ClientConnection, action: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Meanwhile the gateway asks things of its own, which are answered with nothing."""
    name = str(next(_numbers))
    charger.send(json.dumps([2, name, action, payload]))
    while True:
        kind, unique_id, *rest = json.loads(charger.recv())
        if kind == 2:
            charger.send(json.dumps([4, unique_id, "NotSupported", "", {}]))
        elif unique_id == name:
            assert kind == 3, rest
            found: dict[str, Any] = rest[0]
            return found
