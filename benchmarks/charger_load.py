"""`python -m benchmarks.charger_load URL PASSWORD`: thousands of chargers in a process of their own, as light as they can be.

It reads orders as JSON lines and answers each with one:

- `{"do": "connect", "first", "count", "more"}`: all connect and boot at once, `more` beside those that are there; without
  a count those that are there connect again; `{"connected", "seconds", "faults"}`
- `{"do": "send", "kind", "count", "seconds"}`: so many chargers send one kind of message, each the next one when the last is
  answered; `{"answered", "errors", "seconds", "p50_s", "p99_s"}`
- `{"do": "beat"}`: every charger sends one Heartbeat; `{"answered", "seconds"}`
- `{"do": "drop"}`: all sockets are cut; `{"dropped"}`
- `{"do": "reserved"}`: when each charger was last told to reserve, by the clock; `{"at": {identity: seconds}}`

A frame's mask is zero, so that what is sent costs the same bytes however often. Every other charger speaks OCPP 2.0.1.
Power comes back to all at once, and a refused charger tries again after a second.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import resource
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from time import monotonic, time
from typing import Any
from urllib.parse import urlsplit

# Nobody's charger runs on the machine of its CSMS: what the two share of a core goes to the CSMS first.
NICENESS = 10
PATIENCE_S = 120
EVSES = (1, 2)


class LightCharger(asyncio.Protocol):
    """One charger. `answered` counts the results it got to its calls, `errors` the rest."""

    __slots__ = (
        "_buffer", "_count", "_done", "_sent_at", "_transport", "answered", "authorization", "errors",
        "identity", "is_newer", "is_open", "latencies", "opened", "reserved_at", "script", "transaction",
    )  # fmt: skip

    def __init__(self, number: int, password: str) -> None:
        self.identity = f"BENCH-{number:05d}"
        self.is_newer = number % 2 == 1
        self.transaction = str(number + 1)
        self.authorization = base64.b64encode(f"{self.identity}:{password}".encode()).decode()
        self.latencies: list[float] | None = None
        self.answered = self.errors = self._count = 0
        self.script: Iterator[tuple[str, str]] | None = None
        self.reserved_at = 0.0
        self._buffer = b""
        self.is_open = False
        self._transport: asyncio.Transport | None = None
        self._done: asyncio.Future[None] | None = None
        self.opened: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self.is_open, self._buffer = transport, False, b""
        version = "ocpp2.0.1" if self.is_newer else "ocpp1.6"
        transport.write(
            f"GET /ocpp/{self.identity} HTTP/1.1\r\nHost: berth\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: {version}\r\nAuthorization: Basic {self.authorization}\r\n\r\n".encode()
        )

    def connection_lost(self, fault: Exception | None) -> None:
        self.is_open = False
        for waiting in (self.opened, self._done):
            if waiting is not None and not waiting.done():
                waiting.set_exception(ConnectionError("closed"))

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        if not self.is_open:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._buffer = head
                return
            self._open(head)
        place = 0
        while (frame := _frame(data, place)) is not None:
            opcode, begin, place = frame
            self._take(opcode, data[begin:place])
        self._buffer = data[place:]

    def _open(self, head: bytes) -> None:
        assert self.opened is not None
        if b" 101 " in head.partition(b"\r\n")[0]:
            self.is_open = True
            if not self.opened.done():
                self.opened.set_result(None)
        elif not self.opened.done():
            self.opened.set_exception(ConnectionError(head[:60].decode()))

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == 9:
            self._write(10, payload)
        elif opcode == 8:
            self._write(8, payload[:2])
            self.cut()
        elif opcode == 1:
            self._take_text(payload)

    def _take_text(self, payload: bytes) -> None:
        if payload[1] == 0x32:  # [2: a call
            _, unique_id, action, told = json.loads(payload)
            if action == "ReserveNow":
                self.reserved_at = time()
            self._write(1, json.dumps([3, unique_id, _answer(action, told)]).encode())
            return
        self.answered += payload[1] == 0x33
        self.errors += payload[1] != 0x33
        if self.latencies is not None:
            self.latencies.append(monotonic() - self._sent_at)
        self._next()

    def run(self, script: Iterator[tuple[str, str]]) -> asyncio.Future[None]:
        """Send the (action, payload)s of a script, one after the other's answer; done when the last was answered."""
        self.script, self._done = script, asyncio.get_running_loop().create_future()
        if self.is_open:
            self._next()
        else:
            self._done.set_exception(ConnectionError("closed"))
        return self._done

    def _next(self) -> None:
        if self.script is None or self._done is None:
            return
        message = next(self.script, None)
        if message is None:
            self.script = None
            if not self._done.done():
                self._done.set_result(None)
            return
        self._count += 1
        self._sent_at = monotonic()
        action, payload = message
        self._write(1, f'[2,"{self._count}","{action}",{payload}]'.encode())

    def _write(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        head = bytes([0x80 | opcode])
        head += bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
        if self._transport is not None:
            self._transport.write(head + b"\0\0\0\0" + payload)

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _frame(data: bytes, place: int) -> tuple[int, int, int] | None:
    """(opcode, begin, end) of the frame of a server at this place, if all of it is there."""
    if len(data) < place + 2:
        return None
    size, begin = data[place + 1], place + 2
    if size == 126:
        if len(data) < place + 4:
            return None
        size, begin = int.from_bytes(data[place + 2 : place + 4]), place + 4
    end = begin + size
    return (data[place] & 15, begin, end) if len(data) >= end else None


def _answer(action: str, told: dict[str, Any]) -> dict[str, Any]:
    if action == "GetConfiguration":
        known = [{"key": "SupportedFeatureProfiles", "readonly": True, "value": "Core,Reservation"}]
        return {"configurationKey": known, "unknownKey": []}
    if action == "GetVariables":
        return {
            "getVariableResult": [
                {"attributeStatus": "UnknownComponent", **each} for each in told["getVariableData"]
            ]
        }
    return {"status": "Accepted"}


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def arrival(charger: LightCharger) -> Iterator[tuple[str, str]]:
    if charger.is_newer:
        station = '{"model":"Bench 2","vendorName":"Berth","serialNumber":"1","firmwareVersion":"1"}'
        yield "BootNotification", f'{{"reason":"PowerUp","chargingStation":{station}}}'
    else:
        yield (
            "BootNotification",
            '{"chargePointVendor":"Berth","chargePointModel":"Bench 1","chargePointSerialNumber":"1","firmwareVersion":"1"}',
        )
    for evse in EVSES:
        yield _status(charger, evse, "Available")


def _status(charger: LightCharger, evse: int, status: str) -> tuple[str, str]:
    if charger.is_newer:
        told = f'{{"timestamp":"{_now()}","connectorStatus":"{status}","evseId":{evse},"connectorId":1}}'
    else:
        word = {"Occupied": "Preparing"}.get(status, status)
        told = f'{{"connectorId":{evse},"errorCode":"NoError","status":"{word}","timestamp":"{_now()}"}}'
    return "StatusNotification", told


def heartbeats(charger: LightCharger, until: float) -> Iterator[tuple[str, str]]:
    while monotonic() < until:
        yield "Heartbeat", "{}"


def same_statuses(charger: LightCharger, until: float) -> Iterator[tuple[str, str]]:
    """What is known already, as chargers say it again."""
    while monotonic() < until:
        yield _status(charger, 1, "Available")


def statuses(charger: LightCharger, until: float) -> Iterator[tuple[str, str]]:
    """Each of them news."""
    while monotonic() < until:
        yield _status(charger, 2, "Occupied")
        yield _status(charger, 2, "Available")


def idle_meter_values(charger: LightCharger, until: float) -> Iterator[tuple[str, str]]:
    """Of an EVSE where nothing charges: a clock's samples, which nobody keeps."""
    while monotonic() < until:
        yield "MeterValues", _meter_values(charger, 1, "")


def meter_values(charger: LightCharger, until: float) -> Iterator[tuple[str, str]]:
    """Samples of the transaction that runs at EVSE 2."""
    while monotonic() < until:
        if charger.is_newer:
            yield "TransactionEvent", _transaction_event(charger)
        else:
            yield "MeterValues", _meter_values(charger, 2, f'"transactionId":{charger.transaction},')


def _meter_values(charger: LightCharger, evse: int, transaction: str) -> str:
    if charger.is_newer:
        return f'{{"evseId":{evse},"meterValue":{_samples_2x(charger)}}}'
    sampled = (
        f'[{{"value":"{10_000 + charger.answered}","unit":"Wh","measurand":"Energy.Active.Import.Register",'
        f'"context":"Sample.Periodic"}},{{"value":"120000","unit":"W","measurand":"Power.Active.Import"}},'
        f'{{"value":"55","unit":"Percent","measurand":"SoC"}}]'
    )
    return f'{{"connectorId":{evse},{transaction}"meterValue":[{{"timestamp":"{_now()}","sampledValue":{sampled}}}]}}'


def _samples_2x(charger: LightCharger) -> str:
    return (
        f'[{{"timestamp":"{_now()}","sampledValue":[{{"value":{10_000 + charger.answered},'
        f'"measurand":"Energy.Active.Import.Register","context":"Sample.Periodic","unitOfMeasure":{{"unit":"Wh"}}}},'
        f'{{"value":120000,"measurand":"Power.Active.Import","unitOfMeasure":{{"unit":"W"}}}},'
        f'{{"value":55,"measurand":"SoC","unitOfMeasure":{{"unit":"Percent"}}}}]}}]'
    )


def _transaction_event(charger: LightCharger) -> str:
    return (
        f'{{"eventType":"Updated","timestamp":"{_now()}","triggerReason":"MeterValuePeriodic",'
        f'"seqNo":{charger.answered + 10},"transactionInfo":{{"transactionId":"{charger.transaction}",'
        f'"chargingState":"Charging"}},"evse":{{"id":2,"connectorId":1}},"meterValue":{_samples_2x(charger)}}}'
    )


KINDS = {
    "heartbeat": heartbeats,
    "same_status": same_statuses,
    "idle_meter_values": idle_meter_values,
    "status": statuses,
    "meter_values": meter_values,
}


class Load:
    def __init__(self, url: str, password: str) -> None:
        where = urlsplit(url)
        self._host, self._port = where.hostname or "127.0.0.1", where.port or 9000
        self._password = password
        self.chargers: list[LightCharger] = []

    async def connect(self, first: int = 0, count: int = 0, more: bool = False) -> dict[str, Any]:
        come = [LightCharger(number, self._password) for number in range(first, first + count)]
        if count:
            self.chargers = [*self.chargers, *come] if more else come
        started_at = monotonic()
        arrivals = [self._arrive(charger) for charger in come or self.chargers]
        faults = [repr(fault) for fault in await asyncio.gather(*arrivals, return_exceptions=True) if fault]
        return {
            "connected": sum(charger.is_open for charger in self.chargers),
            "seconds": monotonic() - started_at,
            "faults": sorted(set(faults))[:3],
        }

    async def _arrive(self, charger: LightCharger) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE_S):
            while True:
                charger.opened = loop.create_future()
                try:
                    await loop.create_connection(lambda: charger, self._host, self._port)
                    await charger.opened
                    await charger.run(arrival(charger))
                    return
                except (ConnectionError, OSError):
                    charger.opened.cancel()
                    await asyncio.sleep(1)

    async def send(self, kind: str, count: int, seconds: float) -> dict[str, Any]:
        senders = self.chargers[:count]
        before = sum(c.answered for c in senders), sum(c.errors for c in senders)
        for charger in senders:
            charger.latencies = []
        started_at = monotonic()
        runs = [charger.run(KINDS[kind](charger, started_at + seconds)) for charger in senders]
        await asyncio.gather(*runs, return_exceptions=True)
        took = sorted(t for charger in senders for t in charger.latencies or ())
        for charger in senders:
            charger.latencies = None
        return {
            "answered": sum(c.answered for c in senders) - before[0],
            "errors": sum(c.errors for c in senders) - before[1],
            "seconds": monotonic() - started_at,
            "p50_s": took[len(took) // 2] if took else 0.0,
            "p99_s": took[len(took) * 99 // 100] if took else 0.0,
        }

    async def beat(self) -> dict[str, Any]:
        started_at = monotonic()
        before = sum(c.answered for c in self.chargers)
        runs = [charger.run(iter([("Heartbeat", "{}")])) for charger in self.chargers]
        await asyncio.gather(*runs, return_exceptions=True)
        return {
            "answered": sum(c.answered for c in self.chargers) - before,
            "seconds": monotonic() - started_at,
        }

    async def drop(self) -> dict[str, Any]:
        for charger in self.chargers:
            charger.cut()
        return {"dropped": len(self.chargers)}

    async def reserved(self) -> dict[str, Any]:
        return {"at": {c.identity: c.reserved_at for c in self.chargers if c.reserved_at}}


async def main(url: str, password: str) -> None:
    load = Load(url, password)
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        told = await getattr(load, order.pop("do"))(**order)
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    asyncio.run(main(sys.argv[1], sys.argv[2]))
