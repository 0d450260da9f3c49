"""A simulated charger: its station, its connection, and what its drivers do. Driven by a test or by `simulation`."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from simulators.charger.behaviour import Behaviour
from simulators.charger.configuration import Configuration
from simulators.charger.csms_connection import Conduct, CsmsConnection, CsmsError, CsmsSilent, Frames
from simulators.charger.csms_requests import CsmsRequests
from simulators.charger.firmware_and_logs import FirmwareAndLogs
from simulators.charger.local_list import LocalList
from simulators.charger.network_profiles import SETTINGS, NetworkProfiles
from simulators.charger.ocpp2x import Ocpp2x
from simulators.charger.ocpp16 import Ocpp16
from simulators.charger.ocpp_version import Message, OcppVersion, TokenAnswer, read_timestamp
from simulators.charger.options import ChargerOptions
from simulators.charger.own_certificate import OwnCertificate
from simulators.charger.own_password import told_password
from simulators.charger.script import Json, Script
from simulators.charger.station import IdToken, Reservation, SimulatedEvse, Station, Transaction
from simulators.charger.transaction_queue import QueuedMessage, TransactionQueue
from simulators.charger.trusted_roots import TrustedRoots


class SimulatedCharger:
    """`frames` holds every frame sent and received; `script` what the CSMS asked, and answers other than true ones.

    `vehicles_stay`: a vehicle whose charging somebody else has ended stays in its bay; otherwise it leaves.
    """

    vendor = "Berth"
    model = "Simulated charger"
    firmware = "1.0"

    def __init__(self, options: ChargerOptions) -> None:
        self.identity, self.password = options.identity, options.password
        self.url, self.protocol, self.tls = options.url, options.protocol, options.tls
        self.certificate, self.roots = OwnCertificate(), TrustedRoots()
        self.network = NetworkProfiles(self, options.secure_url)
        self.clock, self.call_timeout_s = options.clock, options.call_timeout_s
        is_16 = options.protocol == "ocpp1.6"
        evses = {number: SimulatedEvse(number, power_w) for number, power_w in options.powers_w.items()}
        self.station = Station(evses, clock=self.now, knows_types=not is_16)
        self.configuration = Configuration.of(is_16=is_16, other=options.settings)
        self.local_list, self.cache = LocalList(), dict[str, TokenAnswer]()
        self.behave(options.behaviour)
        self.clock_offset = timedelta(seconds=options.behaviour.clock_s)
        self.requests, self.script = CsmsRequests(self), Script(records=options.records)
        self.firmware_and_logs = FirmwareAndLogs(self)
        self.ocpp: OcppVersion = (
            Ocpp16(self) if is_16 else Ocpp2x(self, options.protocol.removeprefix("ocpp"))
        )
        self.outbox = TransactionQueue(self.call, self._take_in)
        self.frames: Frames = [] if options.records else deque(maxlen=0)
        self.heartbeat_s = self.configuration.number(
            "HeartbeatInterval", "OCPPCommCtrlr.HeartbeatInterval", otherwise=60
        )
        self.resets_when_idle = False
        self.vehicles_stay = False
        self.has_booted = False
        self.after_restart: list[Coroutine[Any, Any, Any]] = []
        self.on_reset: Callable[[], Coroutine[Any, Any, None]] = self._restart
        self._connection: CsmsConnection | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def now(self) -> datetime:
        """By the charger's own clock, which may be wrong."""
        return self.clock() + self.clock_offset

    def change_setting(self, name: str, value: str) -> str:
        """Accepted, Rejected, RebootRequired or NotSupported."""
        try:
            password = told_password(name, value)
        except ValueError:
            return "Rejected"
        if password is not None:
            self.password = password
            self.soon(self.leave())
            return "Accepted"
        if name in SETTINGS:
            return self.network.change(name, value)
        status = self.configuration.change(name, value)
        if name in {"HeartbeatInterval", "OCPPCommCtrlr.HeartbeatInterval"}:
            self.heartbeat_s = int(self.configuration[name]) or self.heartbeat_s
        return status

    def behave(self, behaviour: Behaviour) -> None:
        """Be stubborn in other ways from now on."""
        self.behaviour = behaviour
        self.station.keeps_reservations = not behaviour.lies
        self.station.keeps_over_reboot = behaviour.keeps_over_reboot
        self.station.forgets_after = behaviour.forgets_after

    async def connect(self) -> None:
        """Open the socket. Raises OSError, or websockets' InvalidHandshake with the CSMS's refusal."""
        conduct = Conduct(self.ocpp.answers(), self.script, self.frames, lambda: self.behaviour)
        connection = CsmsConnection(self.ocpp.version, conduct, self.call_timeout_s)
        tls = self.tls.context(self.roots.pem()) if self.url.startswith("wss:") else None
        password = self.password if self.network.security_profile < 3 else ""
        try:
            self._connection = await connection.open(
                self.url, self.protocol, self.identity, password, tls=tls
            )
        except (OSError, InvalidHandshake):
            self.network.try_next()
            raise

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
        """As after a power cycle: connect, boot, report every EVSE, and send what was queued."""
        await self.connect()
        self.has_booted = False
        await self._tell_all(reason)

    async def come_back(self, reason: str = "PowerUp") -> None:
        """As after a network that was gone: the same, but it boots only where it has been without power."""
        if not self.is_connected:
            await self.connect()
        await self._tell_all(reason)

    async def _tell_all(self, reason: str) -> None:
        if not self.has_booted:
            await self.boot(reason)
        await self.report_all()
        await self.outbox.flush()

    async def disconnect(self) -> None:
        """Close the socket with a closing handshake."""
        if self._connection is not None:
            await self._connection.close()
        self._drop_tasks()

    async def drop(self) -> None:
        """Lose the network: the socket is gone without a closing handshake."""
        if self._connection is not None:
            await self._connection.abort()
        self._drop_tasks()

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
        self.has_booted = True
        self.heartbeat_s = answer.get("interval") or self.heartbeat_s
        self._set_clock(answer)
        while self.after_restart:
            self.soon(self.after_restart.pop(0))
        return answer

    async def heartbeat(self) -> Json:
        answer = await self.call("Heartbeat", {})
        self._set_clock(answer)
        return answer

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
        told = await self.identify(token, evse)
        is_kept = self.station.is_kept_from(evse, token, told.group)
        is_allowed = told.allows(evse) or self.behaviour.ignores_answers
        if not is_allowed or is_kept or self.station.evses[evse].transaction is not None:
            return None
        return await self.start(evse, token, soc_percent=soc_percent)

    async def identify(self, token: IdToken, evse: int) -> TokenAnswer:
        """What is known of a token: by its list or cache where it may use them, else by asking the CSMS."""
        is_on = self.configuration.is_on
        kept = (
            self.local_list.find(token.uid)
            if is_on("LocalAuthListEnabled", "LocalAuthListCtrlr.Enabled")
            else None
        )
        if kept is None and is_on("AuthorizationCacheEnabled", "AuthCacheCtrlr.Enabled"):
            kept = self.cache.get(token.uid.casefold())
        if not self.is_connected:
            return self._offline_answer(token, evse, kept)
        if (
            kept is not None
            and kept.is_accepted
            and is_on("LocalPreAuthorize", "AuthCtrlr.LocalPreAuthorize")
        ):
            return kept
        told = await self.authorize(token)
        self.cache[token.uid.casefold()] = told
        return told

    def _offline_answer(self, token: IdToken, evse: int, kept: TokenAnswer | None) -> TokenAnswer:
        """The holder of a reservation is known to the charger itself."""
        is_on = self.configuration.is_on
        held = self.station.reservation_at(evse)
        if held is not None and self.station.is_holder(held, token):
            return TokenAnswer()
        if kept is not None and is_on("LocalAuthorizeOffline", "AuthCtrlr.LocalAuthorizeOffline"):
            return kept
        opens = is_on("AllowOfflineTxForUnknownId", "AuthCtrlr.OfflineTxForUnknownIdEnabled")
        return TokenAnswer() if opens else TokenAnswer("Invalid")

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

    async def plug_in(self, evse: int) -> None:
        """Only the cable: nobody has identified yet."""
        self.station.evses[evse].is_plugged = True
        await self.report(evse)

    async def unplug(self, evse: int) -> None:
        self.station.unplug(evse)
        await self.report(evse)

    async def stop(self, evse: int, reason: str = "Local", *, stays: bool = False) -> Transaction | None:
        """End what charges there; the vehicle leaves, unless it stays in the bay."""
        transaction = self.station.end(evse, stays=stays)
        if transaction is not None:
            message = self.ocpp.ended(transaction, reason, is_offline=not self.is_connected)
            await self._tell(message, transaction)
        await self.report(evse)
        if self.resets_when_idle and not self.station.is_busy:
            self.resets_when_idle = False
            self.soon(self.on_reset())
        return transaction

    async def expire(self) -> None:
        """Forget, by its own clock, the reservations that have run out, and report them."""
        for held in self.station.expire():
            await self._report_over(held, "Expired")

    def forget(self) -> None:
        """Lose the reservations that stand, without a word to anybody."""
        self.station.reservations.clear()

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
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def idle(self) -> None:
        """Wait until everything it was told to do is done."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

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
        stops = self.configuration.is_on("StopTransactionOnInvalidId", "TxCtrlr.StopTxOnInvalidId")
        if (
            stops
            and not self.behaviour.ignores_answers
            and self.station.evses[transaction.evse].transaction is transaction
        ):
            self.soon(self.stop(transaction.evse, "DeAuthorized", stays=self.vehicles_stay))

    async def _report_over(self, held: Reservation, outcome: str) -> None:
        if message := self.ocpp.reservation_over(held.id, outcome):
            await _quietly(self.call(*message))
        if held.evse is not None:
            await self.report(held.evse)

    async def reset(self) -> None:
        """Power goes and comes back; whoever drives this one has it come back."""
        await self.power_down()
        await self.disconnect()

    async def _restart(self) -> None:
        """A reset of one that nobody drives."""
        await self.reset()
        await self.come_back("RemoteReset")

    async def ask_certificate(self, organisation: str = "") -> Json:
        """Have a key of its own signed; the certificate follows by itself."""
        return await self.call(
            "SignCertificate", {"csr": self.certificate.request(self.identity, organisation)}
        )

    def take_certificate(self, chain: str) -> str:
        """Accepted, and it comes back with it; Rejected where it is not for its key."""
        shown = self.certificate.use(chain, self.tls)
        if shown is None:
            return "Rejected"
        self.tls = shown
        self.soon(self.leave())
        return "Accepted"

    async def leave(self) -> None:
        """Say what there is to say, and come back with what is new when whoever drives this one connects again."""
        await self.heartbeat()
        await self.connection.close()

    async def power_down(self, reason: str = "") -> None:
        """Transactions end, and what was in memory is forgotten."""
        for number, evse in self.station.evses.items():
            if evse.transaction is not None:
                await self.stop(
                    number, reason or self.ocpp.reset_reason, stays=evse.is_plugged and bool(reason)
                )
        self.station.lose_power()
        self.network.restart()
        self.has_booted = False

    def _set_clock(self, answer: Json) -> None:
        """A wrong clock is set right by the time the CSMS tells."""
        if self.clock_offset and not self.behaviour.ignores_time and (told := answer.get("currentTime")):
            self.clock_offset = read_timestamp(told) - self.clock()

    def _drop_tasks(self) -> None:
        for task in list(self._tasks):
            if task is not asyncio.current_task():
                task.cancel()


async def _quietly(errand: Coroutine[Any, Any, Any]) -> None:
    with contextlib.suppress(CsmsError, CsmsSilent, ConnectionClosed, OSError):
        await errand


def _token(token: IdToken | str) -> IdToken:
    return token if isinstance(token, IdToken) else IdToken(token)
