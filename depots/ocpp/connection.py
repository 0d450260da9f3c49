"""A charger's connection at this gateway: what it says is written down and answered, what it is to do is sent."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any

from websockets.exceptions import ConnectionClosed

from depots import operations
from depots.models import ChargingSession, Evse
from depots.ocpp import redaction, schemas
from depots.ocpp.clock_estimate import ClockEstimate
from depots.ocpp.command_sending import CommandSending
from depots.ocpp.credentials import KnownCharger
from depots.ocpp.database import DepotDatabase
from depots.ocpp.dialect import Answerer, Dialect
from depots.ocpp.limits import Pace
from depots.ocpp.meter_values import IdleEvses
from depots.ocpp.times import Moment, read_time
from depots.ocpp.wire import Socket, Wire, WireEvents

logger = logging.getLogger(__name__)

# However long its old messages take, what should stand is said again after this.
LONGEST_DRAIN_S = 30
# So many kinds of what OCPP does not have are written down of one connection.
MOST_DEVIATIONS = 50
# The places of list items in a path: `meterValue.0.sampledValue.3.unit` is one oddity, whichever sample shows it.
_NUMBERED = re.compile(r"(\.\d+)+\.")
JUST_BOOTED = timedelta(minutes=1)
# What was read as the connection ended is written down within this, or what was asked is unclear.
WRITE_DOWN_WITHIN_S = 5
# What fails again and again is tried as seldom as this.
LONGEST_PAUSE_S = 60


@dataclass(frozen=True)
class Timings:
    """Seconds of waiting, and how much a charger may send and how often it may come.

    A boot is followed by old messages; without a boot one cannot know whether it is done.
    """

    call_timeout_s: float = 30
    after_boot_s: float = 1
    without_boot_s: float = 3
    drain_s: float = 2
    heartbeat_s: int = 60
    poll_s: float = 1
    retry_s: float = 2
    lease_s: float = 45
    flush_s: float = 1
    figures_s: float = 3
    # When the gateway stops: for commands under way, and for the waves in which chargers are sent away.
    finish_s: float = 15
    waves_s: float = 10
    certificates_s: float = 10
    returns_per_minute: int = 30
    messages_per_s: float = 50
    message_burst: float = 1000
    flood_s: float = 600

    def pace(self) -> Pace:
        return Pace(per_s=self.messages_per_s, burst=self.message_burst, flood_s=self.flood_s)


@dataclass(frozen=True)
class Services:
    """What a gateway lends each of its connections. `log(charger_id, is_incoming, action, frame, is_odd)` sees every frame;
    `doubt_lease` is called when a lease turns out not to be ours, returns at once, and leads to `close` or `resume`.
    """

    clock: Callable[[], datetime]
    timings: Timings
    log: Callable[[int, bool, str, str | bytes, bool], None]
    doubt_lease: Callable[[], None]
    is_draining: Callable[[], bool] = lambda: False


class ChargerConnection(WireEvents):
    """`holder` is the name of this very connection in the charger's lease; `close_socket(reason)` returns at once.

    A gateway has ten thousand of them: what most of them never need is made when it is.
    """

    __slots__ = (
        "__weakref__",
        "_background",
        "_booted_at",
        "_clock",
        "_close_socket",
        "_commands",
        "_database",
        "_deviations",
        "_heard_at",
        "_last_transaction_at",
        "_owed",
        "_pace",
        "_settling",
        "_untold",
        "_wire",
        "charger_id",
        "connectors",
        "dialect",
        "has_spoken",
        "holder",
        "identity",
        "idle_evses",
        "is_ready",
        "services",
        "zone",
    )  # fmt: skip

    def __init__(
        self,
        charger: KnownCharger,
        *,
        holder: str,
        socket: Socket,
        close_socket: Callable[[str], None],
        dialect: Dialect,
        database: DepotDatabase,
        services: Services,
    ) -> None:
        self.charger_id, self.identity, self.zone = charger.pk, charger.identity, charger.zone
        self.holder = holder
        self.services = services
        self.hear()
        self.connectors: dict[tuple[int, int], Evse.Status] = {}  # the state of each (EVSE, connector)
        self.idle_evses = IdleEvses()
        self.dialect = dialect
        self._database = database
        self._close_socket = close_socket
        self._wire = Wire(
            socket, dialect.VERSION, _Answers(self), is_tolerant=True, timeout_s=self.timings.call_timeout_s, events=self
        )  # fmt: skip
        self._commands = CommandSending(self, self._wire, database)
        self.is_ready = False
        self._pace = self.timings.pace()
        self._settling: asyncio.Task[None] | None = None
        self._last_transaction_at = 0.0
        self._clock = ClockEstimate()
        self._booted_at: datetime | None = None
        self._deviations: frozenset[str] = frozenset()
        self._untold: set[int] | None = None
        self._background: set[asyncio.Task[None]] | None = None
        self._owed: asyncio.Task[None] | None = None

    @property
    def timings(self) -> Timings:
        return self.services.timings

    def now(self) -> datetime:
        return self.services.clock()

    async def run(self) -> None:
        """Serve the charger until its socket ends."""
        self._settle_in(rebooted=False, pause_s=self.timings.without_boot_s)
        try:
            with contextlib.suppress(ConnectionClosed):
                await self._wire.run()
        finally:
            await self._stop_tasks()

    def close(self, reason: str) -> None:
        """Say good-bye and return at once: a silent charger must not keep others waiting."""
        self._wire.close()
        self._close_socket(reason)

    def resume(self) -> None:
        """Its lease had run out, and is ours again: who heard that the charger was gone hears that it is back."""
        self._settle_in(rebooted=False, pause_s=0)

    def hear(self) -> None:
        """Something came from it just now."""
        self.has_spoken = True
        self._heard_at = monotonic()

    @property
    def silence_s(self) -> float:
        return monotonic() - self._heard_at

    async def do(self, operation: Callable[..., Any], **facts: Any) -> Any:
        """Carry out an operation about this charger, committed when this returns."""
        if operation is not operations.add_readings:
            self.idle_evses.forget()
        while (owed := self._owed) is not None:
            await asyncio.wait([owed])
            if self._owed is owed:
                self._owed = None
        return await self._database.run(operation, charger_id=self.charger_id, **facts)

    def do_once_answered(self, operation: Callable[..., Any], **facts: Any) -> None:
        """Carry it out when the answer that is being given has left, and before anything else about this charger. It is lost
        with the gateway: for what is found out again where it is missing."""
        self._owed = self._in_background(self._database.run(operation, charger_id=self.charger_id, **facts))

    def moment(self, text: str | None) -> Moment:
        return read_time(text, zone=self.zone, arrived_at=self.now())

    def on_boot(self) -> None:
        """What it held before is unknown; its old messages come first, and it has been told the time."""
        self._clock.forget()
        self._booted_at = self.now()
        self._settle_in(rebooted=True, pause_s=self.timings.after_boot_s)

    def on_transaction_message(self) -> None:
        self._last_transaction_at = asyncio.get_running_loop().time()

    async def check_clock_by_status(self, moment: Moment, *, is_news: bool) -> None:
        """A status that changes something was made just now, and so was any of a charger that has only just booted. Later
        one that is known already may carry the time since when it is so."""
        booted_at = self._booted_at
        has_just_booted = booted_at is not None and self.now() - booted_at <= JUST_BOOTED
        await self.check_clock(moment, is_live=is_news or has_just_booted)

    async def check_clock(self, moment: Moment, *, is_live: bool = False) -> None:
        """Compare clocks by a message that is not known to have waited; `is_live` when it was made just now. Before the
        queue has drained every message may be an old one."""
        if not self.is_ready or not set(moment.flags) <= {"no_zone"}:
            return
        offset = self._clock.learn(moment.at, self.now(), is_live=is_live)
        if offset is not None:
            await self.do(operations.record_clock, offset=offset, now=self.now())

    def by_its_clock(self, moment: datetime) -> datetime:
        """A time of ours as it has to be told to a charger whose clock is known to be wrong."""
        offset = self._clock.offset
        return moment + offset if offset is not None and abs(offset) > operations.RIGHT_WITHIN else moment

    def follow_meter(self, session: ChargingSession | None) -> None:
        """Figures that came too soon after others to be told of are told of a little later."""
        if session is None or session.ended_at is not None or session.are_figures_told:
            return
        if self._untold is None:
            self._untold = set()
        if session.pk not in self._untold:
            self._untold.add(session.pk)
            self._in_background(self._tell_figures(session.pk))

    async def _tell_figures(self, session_id: int) -> None:
        await asyncio.sleep(self.timings.figures_s)
        if self._untold is not None:
            self._untold.discard(session_id)
        await self.do(operations.tell_latest_figures, session_id=session_id, now=self.now())

    def wake(self) -> None:
        """There may be something to send."""
        self._commands.wake()

    async def answer(self, action: str, answer: Answerer, message: dict[str, Any]) -> dict[str, Any]:
        if "_malformed" in message:
            self._note_deviation(action, message)
        return await answer(self, message)

    def _note_deviation(self, action: str, message: dict[str, Any]) -> None:
        """Write down what OCPP does not have, once a connection: a charger sends its oddities with every message, and
        waits for its answer.
        """
        places = [_NUMBERED.sub(".", f".{place}.").strip(".") for place in message["_malformed"]]
        required = schemas.load(self.dialect.VERSION, action).get("required", ())
        missing = [f"{name} is missing" for name in required if name not in message and name not in places]
        what = ", ".join(dict.fromkeys([*places, *missing])) or "a part of a part is missing"
        if (seen := f"{action} {what}") in self._deviations or len(self._deviations) >= MOST_DEVIATIONS:
            return
        self._deviations |= {seen}
        self._in_background(
            self.do(operations.record_deviation, action=action, what=what[:500], now=self.now())
        )

    def pause_s(self) -> float:
        """How long it has to wait with its next message; a flood ends the connection and stands on the charger's page."""
        pause_s = self._pace.pause_s()
        if pause_s and self._pace.is_flood:
            self._pace = self.timings.pace()
            logger.warning("Charger %s floods: its connection is ended", self.identity)
            what = f"more than {self.timings.messages_per_s:g} messages a second; its connection was ended"
            self._in_background(
                self.do(operations.record_deviation, action="Flood", what=what, now=self.now())
            )
            self.close("too many messages")
        return pause_s

    def _in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """What an answer does not wait for, and what nothing else hangs on."""
        task = asyncio.create_task(work)
        if self._background is None:
            self._background = set()
        self._background.add(task)
        task.add_done_callback(self._background_done)
        return task

    def _background_done(self, task: asyncio.Task[None]) -> None:
        if self._background is not None:
            self._background.discard(task)
        if not task.cancelled() and (fault := task.exception()):
            logger.warning("Something about %s could not be written down", self.identity, exc_info=fault)

    def _settle_in(self, *, rebooted: bool, pause_s: float) -> None:
        if self._settling is not None:
            self._settling.cancel()
        self.is_ready = False
        self._settling = asyncio.create_task(self._become_ready(rebooted, pause_s))

    async def _become_ready(self, rebooted: bool, pause_s: float) -> None:
        """Until reconciling succeeds it is tried again; commands go out in between, a fault of ours must not stop all."""
        await self._drained(pause_s)
        pause_s = self.timings.retry_s
        try:
            while not await self._has_reconciled(rebooted):
                self.is_ready = True
                self.wake()
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                await self._rest()
        except operations.NotTheHolder:
            self.services.doubt_lease()
            return
        self._settling = None
        self.is_ready = True
        self.wake()

    async def _has_reconciled(self, rebooted: bool) -> bool:
        """Raises NotTheHolder."""
        try:
            await self.do(operations.reconcile, holder=self.holder, rebooted=rebooted, now=self.now())
        except operations.NotTheHolder:
            raise
        except Exception:
            logger.exception("Reconciling %s failed", self.identity)
            return False
        return True

    async def _rest(self) -> None:
        """Reconciling takes what is sent and unanswered for lost: let the command under way come to its end."""
        self.is_ready = False
        if (under_way := self._commands.sending) is not None:
            await asyncio.wait([under_way])

    async def _drained(self, pause_s: float) -> None:
        time = asyncio.get_running_loop().time
        started_at = time()
        quiet_from = started_at + pause_s
        while time() < min(quiet_from, started_at + LONGEST_DRAIN_S):
            await asyncio.sleep(quiet_from - time())
            if self._last_transaction_at > started_at:
                quiet_from = max(quiet_from, self._last_transaction_at + self.timings.drain_s)

    @property
    def sending(self) -> asyncio.Task[None] | None:
        """Ends with the command that is under way, once no other may be sent."""
        return self._commands.sending

    async def on_late_answer(self, unique_id: str, payload: dict[str, Any]) -> None:
        await self._commands.take_late_answer(unique_id, payload)

    def on_frame(self, is_incoming: bool, action: str, frame: str | bytes, is_odd: bool) -> None:
        if is_incoming:
            self.hear()
        if (withheld := self._commands.withheld) and redaction.repeats(frame, withheld):
            frame = redaction.WITHHELD
        self.services.log(self.charger_id, is_incoming, action, frame, is_odd)

    async def _stop_tasks(self) -> None:
        """An answer that was read is written down first: some chargers take a setting and leave in the same moment."""
        self.is_ready = False
        sending = self._commands.sending
        awaited = {
            task for task in (sending, self._owed) if task is not None and task is not asyncio.current_task()
        }
        if awaited:
            await asyncio.wait(awaited, timeout=WRITE_DOWN_WITHIN_S)
        for task in (self._settling, sending):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


class _Answers:
    """Its dialect's answers, given by this connection."""

    __slots__ = ("_connection",)

    def __init__(self, connection: ChargerConnection) -> None:
        self._connection = connection

    def get(self, action: str) -> Callable[[dict[str, Any]], Awaitable[dict[str, Any]]] | None:
        answer = self._connection.dialect.ANSWERS.get(action)
        return partial(self._connection.answer, action, answer) if answer is not None else None
