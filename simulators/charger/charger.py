"""A simulated charger: its station, its connection, and what its drivers do. Driven by a test or by `simulation`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from websockets.exceptions import ConnectionClosed

from simulators.charger.charger_settings import CONFIGURATION_2X, CONFIGURATION_16, ChargerSettings
from simulators.charger.csms_connection import CsmsConnection, CsmsError, CsmsSilent
from simulators.charger.csms_requests import CsmsRequests
from simulators.charger.ocpp2x import Ocpp2x
from simulators.charger.ocpp16 import Ocpp16
from simulators.charger.ocpp_version import Message, OcppVersion, TokenAnswer
from simulators.charger.script import Json, Script
from simulators.charger.station import IdToken, Reservation, SimulatedEvse, Station, Transaction
from simulators.charger.transaction_queue import QueuedMessage, TransactionQueue


class SimulatedCharger:
    """`frames` holds every frame sent and received; `script` what the CSMS asked, and answers other than true ones."""

    vendor = "Berth"
    model = "Simulated charger"
    firmware = "1.0"

    def __init__(self, settings: ChargerSettings) -> None:
        self.identity, self.password = settings.identity, settings.password
        self.url, self.protocol = settings.url, settings.protocol
        self.clock, self.call_timeout_s = settings.clock, settings.call_timeout_s
        is_16 = settings.protocol == "ocpp1.6"
        evses = {number: SimulatedEvse(number, power_w) for number, power_w in settings.powers_w.items()}
        self.station = Station(evses, clock=settings.clock, knows_types=not is_16)
        self.configuration = dict(CONFIGURATION_16 if is_16 else CONFIGURATION_2X)
        self.requests, self.script = CsmsRequests(self), Script()
        self.ocpp: OcppVersion = (
            Ocpp16(self) if is_16 else Ocpp2x(self, settings.protocol.removeprefix("ocpp"))
        )
        self.outbox = TransactionQueue(self.call, self._take_in)
        self.frames: list[str] = []
        self.heartbeat_s = 60
        self.on_reset: Callable[[], Coroutine[Any, Any, None]] = self._restart
        self._connection: CsmsConnection | None = None
        self._errands: set[asyncio.Task[Any]] = set()

    async def connect(self) -> None:
        """Open the socket. Raises OSError, or websockets' InvalidStatus with the CSMS's refusal."""
        connection = CsmsConnection(
            self.ocpp.version, self.ocpp.answers(), self.script, self.frames, self.call_timeout_s
        )
        self._connection = await connection.open(self.url, self.protocol, self.identity, self.password)

    @property
    def is_connected(self) -> bool:
        return self._connection is not None and self._connection.is_open

    @property
    def connection(self) -> CsmsConnection:
        """The connection, open or ended. Raises CsmsSilent where there was none."""
        if self._connection is None:
            raise CsmsSilent("Not connected.")
        return self._connection

    async def come_online(self, reason: str = "PowerUp") -> None:
        """Connect, boot, report every EVSE, and send what was queued: as after a power cycle."""
        await self.connect()
        await self.boot(reason)
        await self.report_all()
        await self.outbox.flush()

    async def disconnect(self) -> None:
        """Close the socket with a closing handshake."""
        if self._connection is not None:
            await self._connection.close()
        self._drop_errands()

    async def drop(self) -> None:
        """Lose the network: the socket is gone without a closing handshake."""
        if self._connection is not None:
            await self._connection.abort()
        self._drop_errands()

    async def closed(self) -> str:
        """Wait until the other side has closed the connection; the reason it gave."""
        await self.connection.socket.wait_closed()
        return self.connection.socket.close_reason or ""

    async def call(self, action: str, payload: Json) -> Json:
        """Ask the CSMS. Raises CsmsError, CsmsSilent."""
        return await self.connection.call(action, payload)

    async def send(self, frame: str | bytes) -> None:
        """Any frame at all, right or wrong."""
        await self.connection.socket.send(frame)

    async def boot(self, reason: str = "PowerUp") -> Json:
        answer = await self.call(*self.ocpp.boot(reason))
        self.heartbeat_s = answer.get("interval") or self.heartbeat_s
        return answer

    async def heartbeat(self) -> Json:
        return await self.call("Heartbeat", {})

    async def report(self, evse: int) -> None:
        """Send an EVSE's status, if anybody can hear it."""
        if self.is_connected:
            await _quietly(self.call(*self.ocpp.status(evse)))

    async def report_all(self) -> None:
        for evse in self.station.evses:
            await self.report(evse)

    async def authorize(self, token: IdToken | str) -> TokenAnswer:
        return self.ocpp.authorization(await self.call(*self.ocpp.authorize(_token(token))))

    async def tap(
        self, evse: int, token: IdToken | str, *, soc_percent: float | None = None
    ) -> Transaction | None:
        """A driver plugs in and identifies. The charger asks the CSMS, keeps its reservation, and starts, or not."""
        token = _token(token)
        told = await self.authorize(token)
        held = self.station.reservation_at(evse)
        is_kept_for_others = held is not None and not self.station.is_holder(held, token, told.group)
        if not told.allows(evse) or is_kept_for_others or self.station.status(evse) == "Charging":
            return None
        return await self.start(evse, token, soc_percent=soc_percent)

    async def start(
        self, evse: int, token: IdToken | str, *, soc_percent: float | None = None
    ) -> Transaction:
        """Start whatever anybody says: offline, from a cache, or by a firmware that does not check."""
        transaction = self.station.begin(evse, _token(token), soc_percent=soc_percent)
        await self._tell(self.ocpp.started(transaction, is_offline=not self.is_connected), transaction)
        await self.report(evse)
        return transaction

    async def start_remotely(self, evse: int, token: IdToken, remote_start_id: int | None) -> None:
        transaction = self.station.begin(evse, token)
        transaction.remote_start_id = remote_start_id
        await self._tell(self.ocpp.started(transaction, is_offline=False), transaction)
        await self.report(evse)

    async def charge(self, evse: int, during: timedelta, *, power_w: int = 150_000) -> None:
        """Deliver energy for a while (no time passes) and send a sample of the meter."""
        self.station.deliver(evse, during, power_w=power_w)
        transaction = self.station.evses[evse].transaction
        if transaction is not None:
            transaction.sampled_at = self.clock()
            await self._tell(self.ocpp.sampled(transaction, is_offline=not self.is_connected), transaction)

    async def stop(self, evse: int, reason: str = "Local") -> Transaction | None:
        transaction = self.station.end(evse)
        if transaction is not None:
            message = self.ocpp.ended(transaction, reason, is_offline=not self.is_connected)
            await self._tell(message, transaction)
        await self.report(evse)
        return transaction

    async def expire(self) -> None:
        """Forget, by its own clock, the reservations that have run out, and report them."""
        for held in self.station.expire():
            await self._report_over(held, "Expired")

    async def fault(self, evse: int, is_faulted: bool = True) -> None:
        """Break, or be repaired. A reservation does not survive it."""
        self.station.evses[evse].is_faulted = is_faulted
        await self.lose_reservation(evse)
        await self.report(evse)

    async def lose_reservation(self, evse: int) -> None:
        held = self.station.reservation_at(evse)
        if held is not None:
            del self.station.reservations[held.id]
            await self._report_over(held, "Removed")

    def soon(self, errand: Coroutine[Any, Any, Any]) -> None:
        """Do it once the CALL that caused it is answered."""
        task = asyncio.create_task(_quietly(errand))
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def idle(self) -> None:
        """Wait until everything it was told to do is done."""
        while self._errands:
            await asyncio.gather(*self._errands, return_exceptions=True)

    async def _tell(self, message: Message, transaction: Transaction) -> None:
        await self.outbox.tell(*message, transaction)

    def _take_in(self, sent: QueuedMessage, answer: Json) -> None:
        """A start is answered with an id in 1.6, and any message of a transaction with what the CSMS says of its token."""
        transaction = sent.transaction
        if sent.action == "StartTransaction":
            transaction.csms_id = answer.get("transactionId")
        if not transaction.is_accepted or self.ocpp.authorization(answer).is_accepted:
            return
        transaction.is_accepted = False
        told = self.configuration
        stops = told.get("StopTransactionOnInvalidId") or told.get("TxCtrlr.StopTxOnInvalidId")
        if stops == "true" and self.station.evses[transaction.evse].transaction is transaction:
            self.soon(self.stop(transaction.evse, "DeAuthorized"))

    async def _report_over(self, held: Reservation, outcome: str) -> None:
        if message := self.ocpp.reservation_over(held.id, outcome):
            await _quietly(self.call(*message))
        if held.evse is not None:
            await self.report(held.evse)

    async def _restart(self) -> None:
        """A reset: transactions end, what was in memory is forgotten, the network comes back."""
        for number, evse in self.station.evses.items():
            if evse.transaction is not None:
                await self.stop(number, self.ocpp.reset_reason)
        self.station.lose_power()
        await self.connection.socket.close()
        await self.come_online("RemoteReset")

    def _drop_errands(self) -> None:
        for task in list(self._errands):
            if task is not asyncio.current_task():
                task.cancel()


async def _quietly(errand: Coroutine[Any, Any, Any]) -> None:
    with contextlib.suppress(CsmsError, CsmsSilent, ConnectionClosed, OSError):
        await errand


def _token(token: IdToken | str) -> IdToken:
    return token if isinstance(token, IdToken) else IdToken(token)
