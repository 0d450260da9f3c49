"""One end of an OCPP connection: frames in and out, one CALL at a time each way. Charger and CSMS use the same.

The ocpp package gives schemas, names and errors. Its ChargePoint class is not used (docs/decisions says why): frames it
cannot read get no answer, late answers are dropped, and a field too many in a transaction loses the transaction.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, Protocol, TypeVar

from ocpp.exceptions import (
    FormationViolationError,
    FormatViolationError,
    InternalError,
    NotImplementedError,
    NotSupportedError,
    OCPPError,
    ProtocolError,
)
from websockets.exceptions import ConnectionClosed

from depots.cards import without_cards
from depots.ocpp import frames, schemas
from depots.ocpp.frames import CALL, ERROR, RESULT, RESULT_ERROR, SEND, FrameFault
from depots.ocpp.normalise import MissingField, normalise

logger = logging.getLogger(__name__)

# Reading and normalising a frame of this size takes milliseconds, and happens in a thread.
LARGE_FRAME = 32 * 1024
# Late answers are remembered for this many unanswered calls.
MOST_LATE = 20

P = ParamSpec("P")
T = TypeVar("T")

Answerer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class Answers(Protocol):
    """The answerer of each action that the other side may call."""

    def get(self, action: str) -> Answerer | None: ...


class WireEvents:
    """What whoever has a wire hears of it; by itself it lets everything pass."""

    __slots__ = ()

    def on_frame(self, is_incoming: bool, action: str, frame: str | bytes, is_odd: bool) -> None:
        """Every frame, its action as far as it is known, and whether something is wrong with it."""

    async def on_late_answer(self, unique_id: str, payload: dict[str, Any]) -> None:
        """The answer to a call that has been given up (CallUnanswered)."""

    def pause_s(self) -> float:
        """How long to wait before what was just read is taken; nothing more is read meanwhile."""
        return 0


class Socket(Protocol):
    async def recv(self) -> str | bytes: ...
    async def send(self, message: str) -> None: ...


class CallRefused(Exception):
    """The other side answered with a CALLERROR."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code


class CallUnanswered(Exception):
    """No answer in time: it may have happened."""


class ConnectionEnded(CallUnanswered):
    """The connection ended before the answer."""


class NoAnswer(Exception):
    """Raised by an answerer that leaves a question unanswered, as broken chargers do."""


_UNHEARD = WireEvents()


class Wire:
    """`version`: "1.6", "2.0.1" or "2.1".

    A tolerant end answers calls that break their schema: what does not conform is converted or set aside (normalise.py),
    and the payload gets the key `"_malformed"`, the list of those places.
    """

    __slots__ = (
        "_events", "_is_closed", "_late", "_turn", "_waiting",
        "answers", "is_tolerant", "socket", "timeout_s", "version",
    )  # fmt: skip

    def __init__(
        self,
        socket: Socket,
        version: str,
        answers: Answers,
        *,
        is_tolerant: bool = False,
        timeout_s: float = 30,
        events: WireEvents = _UNHEARD,
    ) -> None:
        self.socket = socket
        self.version = version
        self.answers = answers
        self.is_tolerant = is_tolerant
        self.timeout_s = timeout_s
        self._events = events
        self._turn = asyncio.Lock()
        self._waiting: dict[str, tuple[str, asyncio.Future[dict[str, Any]]]] = {}
        self._late: dict[str, str] = {}
        self._is_closed = False

    async def run(self) -> None:
        """Read and answer until the socket ends, which raises its ConnectionClosed; open calls are unanswered then."""
        try:
            while True:
                frame = await self.socket.recv()
                if pause_s := self._events.pause_s():
                    await asyncio.sleep(pause_s)
                await self.take(frame)
        finally:
            self.close()

    def close(self) -> None:
        """Fail what waits for an answer: over this connection none will come."""
        self._is_closed = True
        for _, answer in self._waiting.values():
            if not answer.done():
                _fail(answer, ConnectionEnded("The connection ended before the answer."))
        self._waiting.clear()

    async def call(
        self, action: str, payload: dict[str, Any], unique_id: str | None = None
    ) -> dict[str, Any]:
        """Ask the other side, one question at a time, and return its payload as it came, unchecked.

        Raises CallRefused, CallUnanswered, or OCPPError when the question itself breaks its schema.
        """
        schemas.check(self.version, action, payload)
        unique_id = unique_id or str(uuid.uuid4())
        async with self._turn:
            if self._is_closed:
                raise ConnectionEnded("The connection has ended.")
            answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
            self._waiting[unique_id] = (action, answer)
            try:
                await self._send(action, [CALL, unique_id, action, payload])
                async with asyncio.timeout(self.timeout_s):
                    return await answer
            except TimeoutError:
                self._remember_late(unique_id, action)
                raise CallUnanswered(f"No answer within {self.timeout_s:g} s.") from None
            except ConnectionClosed:
                raise ConnectionEnded("The connection ended before the question left.") from None
            finally:
                self._waiting.pop(unique_id, None)

    async def take(self, frame: str | bytes) -> None:
        """Deal with one frame. Whatever it holds, the connection lives on."""
        is_large = len(frame) > LARGE_FRAME
        try:
            kind, unique_id, *rest = await _compute(is_large, frames.read, frame, self.version)
        except FrameFault as fault:
            self._events.on_frame(True, "", frame, True)
            await self._refuse(fault)
            return
        if kind in {CALL, SEND}:
            await self._take_call(kind, unique_id, rest[0], rest[1], frame)
        else:
            action = self._waiting.get(unique_id, (self._late.get(unique_id, ""), None))[0]
            self._events.on_frame(True, action, frame, kind != RESULT)
            try:
                await self._take_answer(kind, unique_id, rest)
            except Exception:
                logger.exception("Taking an answer to %s failed", action)

    async def _take_call(
        self, kind: int, unique_id: str, action: str, payload: dict[str, Any], frame: str | bytes
    ) -> None:
        try:
            answer = await self._answer(action, payload, frame)
            if kind == CALL:
                schemas.check(self.version, action, answer, is_answer=True)
        except NoAnswer:
            return
        except OCPPError as error:
            reply = [ERROR, unique_id, _code(error), str(error.description or "")[:255], {}]
        except Exception:
            logger.exception("Answering %s failed", action)
            reply = [ERROR, unique_id, InternalError.code, "Something went wrong here.", {}]
        else:
            reply = [RESULT, unique_id, answer]
        if kind == CALL:
            await self._send(action, reply)

    async def _answer(self, action: str, payload: dict[str, Any], frame: str | bytes) -> dict[str, Any]:
        answerer = self.answers.get(action)
        if answerer is None:
            self._events.on_frame(True, action, frame, True)
            # The names are as in OCPP 1.6 and 2.x: unknown is NotImplemented, known but not for us NotSupported.
            if schemas.is_known(self.version, action):
                raise NotSupportedError(description=f"{action} is not something to ask here.")
            raise NotImplementedError(description=f"{action[:50]} is not an action of OCPP {self.version}.")
        try:
            payload = await _compute(len(frame) > LARGE_FRAME, self._conforming, action, payload)
        except OCPPError:
            self._events.on_frame(True, action, frame, True)
            raise
        self._events.on_frame(True, action, frame, "_malformed" in payload)
        try:
            return await answerer(payload)
        except MissingField as missing:
            raise ProtocolError(description=str(missing)) from None

    def _conforming(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Raises OCPPError where this end is not tolerant."""
        if schemas.is_valid(self.version, action, payload):
            return payload
        if not self.is_tolerant:
            schemas.check(self.version, action, payload)
        payload, odd = normalise(self.version, action, payload)
        payload["_malformed"] = odd
        return payload

    async def _take_answer(self, kind: int, unique_id: str, rest: list[Any]) -> None:
        if kind == RESULT_ERROR:
            logger.warning("The other side could not read our answer: %s", without_cards(str(rest)[:500]))
            return
        _, answer = self._waiting.get(unique_id, ("", None))
        if answer is None or answer.done():
            if kind == RESULT and self._late.pop(unique_id, ""):
                await self._events.on_late_answer(unique_id, _object(rest))
        elif kind == RESULT:
            answer.set_result(_object(rest))
        else:
            code, description = [*(str(part)[:255] for part in rest[:2]), "", ""][:2]
            _fail(answer, CallRefused(code, description))

    async def _refuse(self, fault: FrameFault) -> None:
        if fault.code:
            await self._send("", [ERROR, fault.unique_id, fault.code, str(fault)[:255], {}])

    async def _send(self, action: str, message: list[Any]) -> None:
        frame = frames.write(message)
        self._events.on_frame(False, action, frame, message[0] == ERROR)
        await self.socket.send(frame)

    def _remember_late(self, unique_id: str, action: str) -> None:
        self._late[unique_id] = action
        if len(self._late) > MOST_LATE:
            del self._late[next(iter(self._late))]


def malformed(version: str, description: str) -> OCPPError:
    """The error for a payload that is wrong in a way its schema does not see."""
    kind = FormationViolationError if version == "1.6" else FormatViolationError
    return kind(description=description)


def _code(error: OCPPError) -> str:
    return str(vars(type(error)).get("code", InternalError.code))


def _object(rest: list[Any]) -> dict[str, Any]:
    return rest[0] if rest and isinstance(rest[0], dict) else {}


async def _compute(is_large: bool, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Its result, from a thread where it takes so long that other chargers would wait for it."""
    return await asyncio.to_thread(work, *args, **kwargs) if is_large else work(*args, **kwargs)


def _fail(answer: asyncio.Future[dict[str, Any]], error: CallRefused | CallUnanswered) -> None:
    answer.set_exception(error)
    answer.exception()  # seen: whoever asks may have failed in the same moment, sending, and never look
