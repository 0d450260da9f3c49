"""A simulated charger: its station, its connection, and what it says and obeys. Driven by a test or by `life`."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast
from urllib.parse import quote

from ocpp.exceptions import OCPPError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from depots.ocpp.wire import Answerer, CallRefused, CallUnanswered, NoAnswer, Wire, malformed
from simulators.charger.ocpp2x import Talk2x
from simulators.charger.ocpp16 import Talk16
from simulators.charger.ocpp_version import Call, Talk, Verdict
from simulators.charger.station import Reservation, SimulatedEvse, Station, Token, Transaction

CONFIGURATION_16 = {
    "SupportedFeatureProfiles": "Core,FirmwareManagement,Reservation,SmartCharging,RemoteTrigger",
    "NumberOfConnectors": "2",
    "ReserveConnectorZeroSupported": "false",
    "AuthorizeRemoteTxRequests": "false",
    "AuthorizationCacheEnabled": "false",
    "StopTransactionOnInvalidId": "true",
    "HeartbeatInterval": "60",
    "MeterValueSampleInterval": "10",
    "ConnectionTimeOut": "60",
    "ChargeProfileMaxStackLevel": "5",
    "ChargingScheduleAllowedChargingRateUnit": "Power",
    "LocalAuthListEnabled": "false",
    "LocalPreAuthorize": "false",
}
CONFIGURATION_2X = {
    "ReservationCtrlr.Available": "true",
    "ReservationCtrlr.Enabled": "true",
    "ReservationCtrlr.NonEvseSpecific": "false",
    "SmartChargingCtrlr.Enabled": "true",
    "LocalAuthListCtrlr.Enabled": "false",
    "AuthCacheCtrlr.Enabled": "false",
    "TxCtrlr.TxStartPoint": "Authorized",
    "TxCtrlr.StopTxOnInvalidId": "true",
    "OCPPCommCtrlr.HeartbeatInterval": "60",
}
# A message the CSMS refuses is tried as often (TransactionMessageAttempts), then thrown away.
TRANSACTION_ATTEMPTS = 3


@dataclass(frozen=True)
class Refuse:
    """A scripted CALLERROR."""

    code: str
    description: str = ""


@dataclass(frozen=True)
class Mute:
    """A scripted silence: the question is heard and not answered."""


@dataclass
class Outgoing:
    """A transaction message in the charger's queue, complete but for the id a 1.6 CSMS gives."""

    action: str
    payload: dict[str, Any]
    transaction: Transaction
    attempts: int = 0


class SimulatedCharger:
    """`url` is the gateway's, without the identity; `evses` a number of them, or {number: power in watts}."""

    vendor = "Berth"
    model = "Simulated charger"

    def __init__(
        self,
        *,
        identity: str,
        url: str,
        password: str = "",
        protocol: str = "ocpp1.6",
        evses: int | Mapping[int, int] = 2,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        call_timeout_s: float = 30,
    ) -> None:
        powers = evses if isinstance(evses, Mapping) else dict.fromkeys(range(1, evses + 1), 150_000)
        self.identity, self.url, self.password, self.protocol = identity, url, password, protocol
        self.firmware = "1.0"
        self.clock = clock
        self.call_timeout_s = call_timeout_s
        self.station = Station(
            {number: SimulatedEvse(number, power) for number, power in powers.items()}, clock=clock
        )
        self.station.knows_types = protocol != "ocpp1.6"
        self.configuration = dict(CONFIGURATION_16 if protocol == "ocpp1.6" else CONFIGURATION_2X)
        self.talk: Talk = (
            Talk16(self) if protocol == "ocpp1.6" else Talk2x(self, protocol.removeprefix("ocpp"))
        )
        self.outbox: deque[Outgoing] = deque()
        self.received: list[Call] = []
        self.frames: list[str] = []
        self.heartbeat_s = 60
        self.on_reset: Callable[[], Coroutine[Any, Any, None]] = self._restart
        self._script: defaultdict[str, deque[Any]] = defaultdict(deque)
        self._unread: deque[Call] = deque()
        self._heard = asyncio.Condition()
        self._flushing = asyncio.Lock()
        self._socket: ClientConnection | None = None
        self._wire: Wire | None = None
        self._reader: asyncio.Task[None] | None = None
        self._errands: set[asyncio.Task[Any]] = set()

    # The connection

    async def connect(self) -> None:
        """Open the socket. Raises OSError, or websockets' InvalidStatus with the gateway's refusal."""
        credentials = base64.b64encode(f"{self.identity}:{self.password}".encode()).decode()
        self._socket = await connect(
            f"{self.url}/{quote(self.identity, safe='')}",
            subprotocols=[Subprotocol(self.protocol)],
            additional_headers={"Authorization": f"Basic {credentials}"},
            compression=None,
            open_timeout=10,
            close_timeout=1,
        )
        answers = {
            action: partial(self._answer, action, answer)
            for action, answer in self.talk.answers(self).items()
        }
        self._wire = Wire(
            cast(Any, self._socket),
            self.talk.version,
            answers,
            timeout_s=self.call_timeout_s,
            log=lambda is_incoming, action, frame: self.frames.append(frame),
        )
        self._reader = asyncio.create_task(self._read(self._wire))

    @property
    def is_connected(self) -> bool:
        return self._reader is not None and not self._reader.done()

    async def come_online(self, reason: str = "PowerUp") -> None:
        """Connect, boot, say how every EVSE is, and send what was queued: as after a power cycle."""
        await self.connect()
        await self.boot(reason)
        await self.report_all()
        await self.flush()

    async def disconnect(self) -> None:
        """Close the socket as one should."""
        if self._socket is not None:
            await self._socket.close()
        await self._end_errands()

    async def drop(self) -> None:
        """Lose the network: the socket is gone without a good-bye."""
        if self._socket is not None:
            self._socket.transport.abort()
        await self._end_errands()

    async def closed(self) -> str:
        """Wait until the other side has closed the connection; the reason it gave."""
        assert self._socket is not None
        await self._socket.wait_closed()
        return self._socket.close_reason or ""

    async def call(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Ask the CSMS. Raises CallRefused, CallUnanswered."""
        if self._wire is None or not self.is_connected:
            raise CallUnanswered("Not connected.")
        return await self._wire.call(action, payload)

    async def send(self, frame: str | bytes) -> None:
        """Any frame at all, right or wrong."""
        assert self._socket is not None
        await self._socket.send(frame)

    # What it tells

    async def boot(self, reason: str = "PowerUp") -> dict[str, Any]:
        answer = await self.call(*self.talk.boot(reason))
        self.heartbeat_s = answer.get("interval") or self.heartbeat_s
        return answer

    async def heartbeat(self) -> dict[str, Any]:
        return await self.call("Heartbeat", {})

    async def report(self, evse: int) -> None:
        """Say how an EVSE is, if anybody can hear it."""
        if self.is_connected:
            with contextlib.suppress(CallRefused, CallUnanswered):
                await self.call(*self.talk.status(evse))

    async def report_all(self) -> None:
        for evse in self.station.evses:
            await self.report(evse)

    async def authorize(self, token: Token | str) -> Verdict:
        return self.talk.verdict(await self.call(*self.talk.authorize(_token(token))))

    # What drivers do

    async def tap(
        self, evse: int, token: Token | str, *, soc_percent: float | None = None
    ) -> Transaction | None:
        """A driver plugs in and identifies. The charger asks the CSMS, keeps its reservation, and starts, or not."""
        token = _token(token)
        verdict = await self.authorize(token)
        held = self.station.reservation_at(evse)
        is_kept_for_others = held is not None and not self.station.is_holder(held, token, verdict.group)
        if not verdict.allows(evse) or is_kept_for_others or self.station.status(evse) == "Charging":
            return None
        return await self.start(evse, token, soc_percent=soc_percent)

    async def start(self, evse: int, token: Token | str, *, soc_percent: float | None = None) -> Transaction:
        """Start whatever anybody says: offline, from a cache, or by a firmware that does not check."""
        transaction = self.station.begin(evse, _token(token), soc_percent=soc_percent)
        await self._tell(self.talk.started(transaction, is_offline=not self.is_connected), transaction)
        await self.report(evse)
        return transaction

    async def charge(self, evse: int, during: timedelta, *, power_w: int = 150_000) -> None:
        """Deliver energy for a while (no time passes) and send a sample of the meter."""
        self.station.deliver(evse, during, power_w=power_w)
        transaction = self.station.evses[evse].transaction
        if transaction is not None:
            transaction.sampled_at = self.clock()
            await self._tell(self.talk.sampled(transaction, is_offline=not self.is_connected), transaction)

    async def stop(self, evse: int, reason: str = "Local") -> Transaction | None:
        transaction = self.station.end(evse)
        if transaction is not None:
            await self._tell(
                self.talk.ended(transaction, reason, is_offline=not self.is_connected), transaction
            )
        await self.report(evse)
        return transaction

    async def flush(self) -> None:
        """Send what is queued, in order. What gets no answer stays for the next connection."""
        async with self._flushing:
            while self.outbox and self.is_connected:
                head = self.outbox[0]
                if self.talk.version == "1.6" and "transactionId" in head.payload:
                    head.payload["transactionId"] = head.transaction.csms_id or 0
                try:
                    answer = await self.call(head.action, head.payload)
                except CallUnanswered:
                    return
                except CallRefused:
                    head.attempts += 1
                    if head.attempts >= TRANSACTION_ATTEMPTS:
                        self.outbox.popleft()
                    continue
                self.outbox.popleft()
                self._take_in(head, answer)

    async def expire(self) -> None:
        """Look at its own clock: reservations that have run out are forgotten and reported."""
        for held in self.station.expire():
            await self._report_over(held, "Expired")

    async def fault(self, evse: int, is_faulted: bool = True) -> None:
        """Break, or be mended. A reservation does not survive it."""
        self.station.evses[evse].is_faulted = is_faulted
        await self._lose_reservation(evse)
        await self.report(evse)

    # What it is told to do

    async def reserve(self, wanted: Reservation) -> str:
        status = self.station.reserve(wanted)
        if status == "Accepted" and wanted.evse is not None:
            self._soon(self.report(wanted.evse))
        return status

    async def cancel_reservation(self, reservation_id: int) -> str:
        held = self.station.reservations.get(reservation_id)
        status = self.station.cancel(reservation_id)
        if held is not None and held.evse is not None:
            self._soon(self.report(held.evse))
        return status

    async def remote_start(self, token: Token, evse: int | None, remote_start_id: int | None = None) -> str:
        number = evse or next((n for n in self.station.evses if self._is_free_for(n, token)), 0)
        if number not in self.station.evses or not self._is_free_for(number, token):
            return "Rejected"
        self._soon(self._start_remotely(number, token, remote_start_id))
        return "Accepted"

    async def remote_stop(self, transaction_id: int | str) -> str:
        for evse in self.station.evses.values():
            running = evse.transaction
            if running is not None and transaction_id in {running.csms_id, running.id}:
                self._soon(self.stop(evse.number, "Remote"))
                return "Accepted"
        return "Rejected"

    async def change_availability(self, evse: int, is_operative: bool) -> str:
        numbers = [evse] if evse else list(self.station.evses)
        if any(number not in self.station.evses for number in numbers):
            return "Rejected"
        for number in numbers:
            self.station.evses[number].is_operative = is_operative
            if not is_operative:
                self._soon(self._lose_reservation(number))
            self._soon(self.report(number))
        is_busy = any(self.station.evses[number].transaction for number in numbers)
        return "Scheduled" if is_busy else "Accepted"

    def limit(self, evse: int, schedule: dict[str, Any]) -> str:
        """Obey the first period of a schedule given in watts."""
        if schedule.get("chargingRateUnit") != "W" or evse not in {0, *self.station.evses}:
            return "Rejected"
        limit_w = int(float(schedule["chargingSchedulePeriod"][0]["limit"]))
        for number in [evse] if evse else list(self.station.evses):
            self.station.evses[number].limit_w = limit_w
        return "Accepted"

    def lift_limit(self, evse: int | None) -> str:
        limited = [
            e for e in self.station.evses.values() if e.limit_w is not None and evse in {None, 0, e.number}
        ]
        for each in limited:
            each.limit_w = None
        return "Accepted" if limited else "Unknown"

    def trigger(self, message: str, evse: int | None) -> str:
        if message == "StatusNotification":
            self._soon(self.report(evse) if evse else self.report_all())
        elif message == "BootNotification":
            self._soon(self.boot("Triggered"))
        elif message == "Heartbeat":
            self._soon(self.heartbeat())
        elif message in {"MeterValues", "TransactionEvent"}:
            for each in self.station.evses.values():
                if each.transaction is not None and evse in {None, each.number}:
                    self._soon(self.charge(each.number, timedelta()))
        else:
            return "NotImplemented"
        return "Accepted"

    def reset_soon(self) -> None:
        self._soon(self.on_reset())

    # What a test scripts and sees

    def will_answer(self, action: str, *answers: dict[str, Any] | Refuse | Mute) -> None:
        """The next answers to this action, whatever is true; after them it tells the truth again."""
        self._script[action].extend(answers)

    async def heard(self, action: str, timeout_s: float = 10) -> dict[str, Any]:
        """The payload of the next CALL of this action that was not looked at yet, waited for. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s), self._heard:
            while True:
                for call in self._unread:
                    if call[0] == action:
                        self._unread.remove(call)
                        return call[1]
                await self._heard.wait()

    def count(self, action: str) -> int:
        """How often it was asked this so far."""
        return sum(1 for heard, _ in self.received if heard == action)

    async def idle(self) -> None:
        """Wait until everything it was told to do is done."""
        while self._errands:
            await asyncio.gather(*self._errands, return_exceptions=True)

    async def _answer(self, action: str, truth: Answerer, asked: dict[str, Any]) -> dict[str, Any]:
        self.received.append((action, asked))
        async with self._heard:
            self._unread.append((action, asked))
            self._heard.notify_all()
        if not self._script[action]:
            return await truth(asked)
        scripted = self._script[action].popleft()
        if isinstance(scripted, Mute):
            raise NoAnswer
        if isinstance(scripted, Refuse):
            raise _error(self.talk.version, scripted)
        return cast(dict[str, Any], scripted)

    async def _read(self, wire: Wire) -> None:
        with contextlib.suppress(ConnectionClosed):
            await wire.run()

    async def _tell(self, message: Call, transaction: Transaction) -> None:
        self.outbox.append(Outgoing(*message, transaction))
        await self.flush()

    def _take_in(self, sent: Outgoing, answer: dict[str, Any]) -> None:
        if sent.action == "StartTransaction":
            sent.transaction.csms_id = answer.get("transactionId")
        verdict = self.talk.verdict(answer)
        if verdict.is_accepted or not sent.transaction.is_accepted:
            return
        sent.transaction.is_accepted = False
        obeys = self.configuration.get("StopTransactionOnInvalidId") or self.configuration.get(
            "TxCtrlr.StopTxOnInvalidId"
        )
        if obeys == "true" and self.station.evses[sent.transaction.evse].transaction is sent.transaction:
            self._soon(self.stop(sent.transaction.evse, "DeAuthorized"))

    def _is_free_for(self, evse: int, token: Token) -> bool:
        held = self.station.reservation_at(evse)
        return self.station.status(evse) in {"Available", "Preparing", "Reserved"} and (
            held is None or self.station.is_holder(held, token)
        )

    async def _start_remotely(self, evse: int, token: Token, remote_start_id: int | None) -> None:
        transaction = self.station.begin(evse, token)
        transaction.remote_start_id = remote_start_id
        await self._tell(self.talk.started(transaction, is_offline=False), transaction)
        await self.report(evse)

    async def _lose_reservation(self, evse: int) -> None:
        held = self.station.reservation_at(evse)
        if held is not None:
            del self.station.reservations[held.id]
            await self._report_over(held, "Removed")

    async def _report_over(self, held: Reservation, outcome: str) -> None:
        if message := self.talk.reservation_over(held.id, outcome):
            with contextlib.suppress(CallRefused, CallUnanswered):
                await self.call(*message)
        if held.evse is not None:
            await self.report(held.evse)

    async def _restart(self) -> None:
        """A reset: transactions end, reservations are forgotten, the network comes back."""
        for number, evse in self.station.evses.items():
            if evse.transaction is not None:
                await self.stop(number, "Reboot" if self.talk.version != "1.6" else "SoftReset")
        self.station.reservations.clear()
        if self._socket is not None:
            await self._socket.close()
        await self.come_online("RemoteReset")

    def _soon(self, errand: Coroutine[Any, Any, Any]) -> None:
        """Do it once the question that caused it is answered."""
        task = asyncio.create_task(_quietly(errand))
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def _end_errands(self) -> None:
        if self._reader is not None:
            await asyncio.wait([self._reader], timeout=5)
        for task in list(self._errands):
            if task is not asyncio.current_task():
                task.cancel()


async def _quietly(errand: Coroutine[Any, Any, Any]) -> None:
    with contextlib.suppress(CallRefused, CallUnanswered, ConnectionClosed, OSError):
        await errand


def _token(token: Token | str) -> Token:
    return token if isinstance(token, Token) else Token(token)


def _error(version: str, scripted: Refuse) -> OCPPError:
    kinds = {kind.__dict__.get("code"): kind for kind in OCPPError.__subclasses__()}
    kind = kinds.get(scripted.code)
    return kind(description=scripted.description) if kind else malformed(version, scripted.description)
