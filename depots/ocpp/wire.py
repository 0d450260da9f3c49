"""One end of an OCPP connection: frames in and out, one CALL at a time each way. Charger and CSMS use the same.

The ocpp package gives schemas, names and errors. Its ChargePoint class is not used (docs/decisions says why): frames it
cannot read get no answer, late answers are dropped, and a field too many in a transaction loses the transaction.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

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

from depots.ocpp import schemas
from depots.ocpp.normalise import MissingField, normalise

logger = logging.getLogger(__name__)

CALL, RESULT, ERROR, RESULT_ERROR, SEND = 2, 3, 4, 5, 6
# Late answers are remembered for this many unanswered calls.
_MOST_LATE = 20

Answerer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


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


class FrameFault(Exception):
    """A frame that is no message: what to answer, and to which id."""

    def __init__(self, code: str, description: str, unique_id: str = "-1") -> None:
        super().__init__(description)
        self.code, self.unique_id = code, unique_id


class Wire:
    """`version`: "1.6", "2.0.1" or "2.1". `answers` maps each action the other side may call to its answerer.

    A tolerant end answers calls that break their schema: what does not conform is converted or set aside (normalise.py),
    and the payload gets the key `"_malformed"`, the list of those places. `log(is_incoming, action, frame)` sees every
    frame.
    """

    def __init__(
        self,
        socket: Socket,
        version: str,
        answers: Mapping[str, Answerer],
        *,
        is_tolerant: bool = False,
        timeout_s: float = 30,
        log: Callable[[bool, str, str], None] = lambda is_incoming, action, frame: None,
        on_late_answer: Callable[[str, dict[str, Any]], Awaitable[None]] | None = None,
    ) -> None:
        self.socket = socket
        self.version = version
        self.answers = answers
        self.is_tolerant = is_tolerant
        self.timeout_s = timeout_s
        self._log = log
        self._on_late_answer = on_late_answer
        self._turn = asyncio.Lock()
        self._waiting: dict[str, tuple[str, asyncio.Future[dict[str, Any]]]] = {}
        self._late: dict[str, str] = {}
        self._is_closed = False

    async def run(self) -> None:
        """Read and answer until the socket ends, which raises its ConnectionClosed; open calls are unanswered then."""
        try:
            while True:
                await self.take(await self.socket.recv())
        finally:
            self.close()

    def close(self) -> None:
        """Fail what waits for an answer: over this connection none will come."""
        self._is_closed = True
        for _, answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ConnectionEnded("The connection ended before the answer."))
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
                return await asyncio.wait_for(answer, self.timeout_s)
            except TimeoutError:
                self._remember_late(unique_id, action)
                raise CallUnanswered(f"No answer within {self.timeout_s:g} s.") from None
            except ConnectionClosed:
                raise ConnectionEnded("The connection ended before the question left.") from None
            finally:
                self._waiting.pop(unique_id, None)

    async def take(self, frame: str | bytes) -> None:
        """Deal with one frame. Whatever it holds, the connection lives on."""
        try:
            message = self._read(frame)
        except FrameFault as fault:
            self._log(True, "", _text(frame))
            await self._refuse(fault)
            return
        kind, unique_id, *rest = message
        if kind in {CALL, SEND}:
            self._log(True, rest[0], _text(frame))
            await self._take_call(kind, unique_id, rest[0], rest[1])
        else:
            action = self._waiting.get(unique_id, (self._late.get(unique_id, ""), None))[0]
            self._log(True, action, _text(frame))
            await self._take_answer(kind, unique_id, rest)

    async def _take_call(self, kind: int, unique_id: str, action: str, payload: dict[str, Any]) -> None:
        try:
            answer = await self._answer(action, payload)
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

    async def _answer(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        answerer = self.answers.get(action)
        if answerer is None:
            # The names are as in OCPP 1.6 and 2.x: unknown is NotImplemented, known but not for us NotSupported.
            if schemas.is_known(self.version, action):
                raise NotSupportedError(description=f"{action} is not something to ask here.")
            raise NotImplementedError(description=f"{action[:50]} is not an action of OCPP {self.version}.")
        if not schemas.is_valid(self.version, action, payload):
            if not self.is_tolerant:
                schemas.check(self.version, action, payload)
            payload, odd = normalise(self.version, action, payload)
            payload["_malformed"] = odd
        try:
            return await answerer(payload)
        except MissingField as missing:
            raise ProtocolError(description=str(missing)) from None

    async def _take_answer(self, kind: int, unique_id: str, rest: list[Any]) -> None:
        if kind == RESULT_ERROR:
            logger.warning("The other side could not read our answer: %s", rest)
            return
        _, answer = self._waiting.get(unique_id, ("", None))
        if answer is None or answer.done():
            if kind == RESULT and self._late.pop(unique_id, "") and self._on_late_answer:
                await self._on_late_answer(unique_id, _object(rest))
        elif kind == RESULT:
            answer.set_result(_object(rest))
        else:
            code, description = [*(str(part) for part in rest[:2]), "", ""][:2]
            answer.set_exception(CallRefused(code, description))

    async def _refuse(self, fault: FrameFault) -> None:
        if fault.code:
            await self._send("", [ERROR, fault.unique_id, fault.code, str(fault)[:255], {}])

    async def _send(self, action: str, message: list[Any]) -> None:
        frame = json.dumps(message, separators=(",", ":"), ensure_ascii=False)
        self._log(False, action, frame)
        await self.socket.send(frame)

    def _remember_late(self, unique_id: str, action: str) -> None:
        self._late[unique_id] = action
        if len(self._late) > _MOST_LATE:
            del self._late[next(iter(self._late))]

    def _read(self, frame: str | bytes) -> list[Any]:
        """[type, id, …] of a well-formed message, a CALL's payload always an object. Raises FrameFault."""
        message = self._parse(frame)
        if not isinstance(message, list) or not message:
            raise FrameFault(self._frame_code, "A message is a JSON list.")
        unique_id = message[1] if len(message) > 1 and isinstance(message[1], str) else "-1"
        kind = message[0] if isinstance(message[0], int) and not isinstance(message[0], bool) else None
        if kind not in self._kinds:
            # 1.6 has such frames ignored; 2.x has a name for them.
            code = "" if self.version == "1.6" else "MessageTypeNotSupported"
            raise FrameFault(code, "Unknown message type.", unique_id)
        if len(message) < 3 or unique_id == "-1" or not 0 < len(unique_id) <= 36:
            raise FrameFault(
                self._answerable(kind), "A message has an id of 1 to 36 characters.", unique_id[:36]
            )
        if kind in {CALL, SEND} and not (
            len(message) == 4 and isinstance(message[2], str) and message[2] and isinstance(message[3], dict)
        ):
            raise FrameFault(self._answerable(kind), "A call has an action and an object.", unique_id)
        return message

    def _parse(self, frame: str | bytes) -> Any:
        try:
            text = frame if isinstance(frame, str) else frame.decode()
            message = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise FrameFault(self._frame_code, "The frame is not JSON.") from None
        return _storable(message) if "\\u" in text or "\x00" in text else message

    def _answerable(self, kind: int) -> str:
        """Only calls are answered; a broken answer is dropped."""
        return self._frame_code if kind == CALL else ""

    @property
    def _kinds(self) -> set[int]:
        return {CALL, RESULT, ERROR, RESULT_ERROR, SEND} if self.version == "2.1" else {CALL, RESULT, ERROR}

    @property
    def _frame_code(self) -> str:
        return FormationViolationError.code if self.version == "1.6" else "RpcFrameworkError"


def malformed(version: str, description: str) -> OCPPError:
    """The error for a payload that is wrong in a way its schema does not see."""
    kind = FormationViolationError if version == "1.6" else FormatViolationError
    return kind(description=description)


def _code(error: OCPPError) -> str:
    return str(vars(type(error)).get("code", InternalError.code))


def _object(rest: list[Any]) -> dict[str, Any]:
    return rest[0] if rest and isinstance(rest[0], dict) else {}


def _text(frame: str | bytes) -> str:
    text = frame if isinstance(frame, str) else frame.decode(errors="replace")
    return text.replace("\x00", "")


def _storable(value: Any) -> Any:
    """The same without what no text column holds: NUL characters and halves of surrogate pairs."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
