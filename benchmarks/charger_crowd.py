"""`python -m benchmarks.charger_crowd URL PASSWORD FIRST COUNT`: chargers that boot at once, in a process of their own.

It speaks lines: "ready" when it can begin; on a line "go" all connect and boot; then one JSON object with what came of
it; on a second line they leave. Each charger connects with Basic auth, sends BootNotification, a StatusNotification for
each of its two EVSEs and a Heartbeat, one after the other as OCPP has it, and answers what it is asked meanwhile.
Every other one speaks OCPP 2.0.1.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

EVSES = (1, 2)
PATIENCE_S = 180


class CrowdCharger:
    def __init__(self, url: str, password: str, number: int) -> None:
        self.identity = identity_of(number)
        self.is_newer = number % 2 == 1
        self.finished_at: float | None = None
        self.fault = ""
        self._url = f"{url}/{self.identity}"
        self._password = password
        self._count = 0
        self._socket: ClientConnection | None = None
        self._answers: dict[str, asyncio.Future[Any]] = {}

    async def boot(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._connect()
                for action, payload in self._messages():
                    await self._call(action, payload)
            self.finished_at = monotonic()
        except Exception as fault:
            self.fault = repr(fault)

    @property
    def is_connected(self) -> bool:
        return self._socket is not None and self._socket.state.name == "OPEN"

    async def leave(self) -> None:
        if self._socket is not None:
            self._socket.transport.abort()

    async def _connect(self) -> None:
        told = base64.b64encode(f"{self.identity}:{self._password}".encode()).decode()
        self._socket = await connect(
            self._url,
            subprotocols=["ocpp2.0.1" if self.is_newer else "ocpp1.6"],  # type: ignore[list-item]
            additional_headers={"Authorization": f"Basic {told}"},
            compression=None,
            open_timeout=None,
            ping_interval=None,
            user_agent_header=None,
            proxy=None,
        )
        self._reading = asyncio.create_task(self._read(self._socket))

    def _messages(self) -> list[tuple[str, dict[str, Any]]]:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        if self.is_newer:
            station = {"model": "Bench 2", "vendorName": "Berth", "serialNumber": "1", "firmwareVersion": "1"}
            return [
                ("BootNotification", {"reason": "PowerUp", "chargingStation": station}),
                *(
                    (
                        "StatusNotification",
                        {"timestamp": now, "connectorStatus": "Available", "evseId": evse, "connectorId": 1},
                    )
                    for evse in EVSES
                ),
                ("Heartbeat", {}),
            ]
        return [
            (
                "BootNotification",
                {
                    "chargePointVendor": "Berth",
                    "chargePointModel": "Bench 1",
                    "chargePointSerialNumber": "1",
                    "firmwareVersion": "1",
                },
            ),
            *(
                (
                    "StatusNotification",
                    {"connectorId": evse, "errorCode": "NoError", "status": "Available", "timestamp": now},
                )
                for evse in EVSES
            ),
            ("Heartbeat", {}),
        ]

    async def _call(self, action: str, payload: dict[str, Any]) -> None:
        assert self._socket is not None
        self._count += 1
        answer = self._answers[str(self._count)] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps([2, str(self._count), action, payload]))
        await answer

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for text in socket:
                kind, unique_id, *rest = json.loads(text)
                if kind == 2:
                    await socket.send(json.dumps([3, unique_id, _told(*rest)]))
                elif kind == 3:
                    self._answers.pop(unique_id).set_result(rest[0])
                else:
                    self._answers.pop(unique_id).set_exception(ValueError(str(rest)))
        finally:
            for answer in self._answers.values():
                answer.cancel()


def identity_of(number: int) -> str:
    return f"BENCH-{number:05d}"


def _told(action: str, payload: dict[str, Any]) -> dict[str, Any]:
    """The answer of a charger that can do nothing in particular to what it is asked after a boot."""
    if action == "GetConfiguration":
        return {"configurationKey": [], "unknownKey": payload["key"]}
    if action == "GetVariables":
        unknown = [{"attributeStatus": "UnknownComponent", **each} for each in payload["getVariableData"]]
        return {"getVariableResult": unknown}
    return {"status": "Rejected"}


async def main(url: str, password: str, first: int, count: int) -> None:
    chargers = [CrowdCharger(url, password, number) for number in range(first, first + count)]
    await _line_after("ready")
    started_at = monotonic()
    await asyncio.gather(*(charger.boot() for charger in chargers))
    faults = [charger.fault for charger in chargers if charger.fault]
    told = {
        "started_at": started_at,
        "finished_at": [charger.finished_at for charger in chargers if charger.finished_at],
        "dropped": sum(not charger.is_connected for charger in chargers),
        "faults": sorted(set(faults))[:3],
    }
    await _line_after(json.dumps(told))
    for charger in chargers:
        await charger.leave()


async def _line_after(said: str) -> None:
    """Say something, and wait for the next line on standard input beside what the chargers do."""
    print(said, flush=True)
    await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    _, url, password, first, count = sys.argv
    asyncio.run(main(url, password, int(first), int(count)))
