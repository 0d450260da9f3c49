"""One WebSocket of a charger to its CSMS: OCPP-J frames, one CALL at a time, answers to what the CSMS calls.

Frames and schemas are the ocpp package's, read by OCPP-J 1.6 (§4) and OCPP 2.0.1 part 4 (§4). It shares nothing with
the gateway it is tried against, so that the two agree on what the specification says and not on what one of them thinks.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import ssl
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

from ocpp.exceptions import InternalError, NotSupportedError, OCPPError
from ocpp.messages import Call, CallError, CallResult, unpack, validate_payload
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from simulators.charger.behaviour import Behaviour
from simulators.charger.oddities import written_oddly
from simulators.charger.script import Json, Mute, Refuse, Script

logger = logging.getLogger(__name__)

LONGEST_DESCRIPTION = 255
Answerer = Callable[[Json], Json]
Frames = list[str] | deque[str]


class CsmsError(Exception):
    """The CSMS answered with a CALLERROR."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code


class CsmsSilent(Exception):
    """No answer: not connected, the connection ended, or the time ran out. What was asked may have happened."""


@dataclass(frozen=True)
class Conduct:
    """How a charger deals with its CSMS. `answers` has an answerer for each action a CSMS may call; `frames` grows by
    every frame in either direction; `behaviour` is looked at anew with every frame."""

    answers: Mapping[str, Answerer]
    script: Script
    frames: Frames
    behaviour: Callable[[], Behaviour]


class CsmsConnection:
    def __init__(self, version: str, conduct: Conduct, timeout_s: float) -> None:
        self._version, self._timeout_s = version, timeout_s
        self._answers, self._script = conduct.answers, conduct.script
        self._frames, self._behaviour = conduct.frames, conduct.behaviour
        self._late: set[asyncio.Task[None]] = set()
        self._asked: dict[str, asyncio.Future[Json]] = {}
        self._turn = asyncio.Lock()
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None

    async def open(
        self, url: str, protocol: str, identity: str, password: str, *, tls: ssl.SSLContext | None = None
    ) -> Self:
        """Connect, with HTTP Basic credentials if there is a password. Raises OSError, or websockets' InvalidStatus with the
        CSMS's refusal."""
        credentials = base64.b64encode(f"{identity}:{password}".encode()).decode()
        self._socket = await connect(
            f"{url}/{quote(identity, safe='')}",
            subprotocols=[Subprotocol(protocol)],
            additional_headers={"Authorization": f"Basic {credentials}"} if password else {},
            ssl=tls,
            compression=None,
            open_timeout=10,
            close_timeout=1,
        )
        self._reader = asyncio.create_task(self._read(self._socket))
        return self

    @property
    def socket(self) -> ClientConnection:
        assert self._socket is not None, "not opened"
        return self._socket

    @property
    def is_open(self) -> bool:
        return self._reader is not None and not self._reader.done()

    async def close(self) -> None:
        """Close with a closing handshake."""
        await self.socket.close()
        await self.ended()

    async def abort(self) -> None:
        """Lose the network: the socket is gone without a closing handshake."""
        self.socket.transport.abort()
        await self.ended()

    async def ended(self) -> None:
        """Wait, for some seconds, until all that arrived has been read."""
        if self._reader is not None:
            await asyncio.wait([self._reader], timeout=5)

    async def call(self, action: str, payload: Json) -> Json:
        """The payload of the CSMS's answer. Raises CsmsError, CsmsSilent, OCPPError for a payload against its schema."""
        behaviour = self._behaviour()
        call = Call(str(uuid.uuid4()), action, payload)
        await validate_payload(call, self._version)
        if action in behaviour.never_sends:
            return {}
        if behaviour.oddities:
            call.payload = written_oddly(action, payload, behaviour.oddities)
        async with self._turn:
            answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
            self._asked[call.unique_id] = answer
            try:
                await self._send(call)
                async with asyncio.timeout(self._timeout_s):
                    return await answer
            except TimeoutError:
                raise CsmsSilent(f"No answer within {self._timeout_s:g} s.") from None
            except ConnectionClosed:
                raise CsmsSilent("The connection has ended.") from None
            finally:
                del self._asked[call.unique_id]

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for frame in socket:
                self._frames.append(frame if isinstance(frame, str) else frame.decode(errors="replace"))
                await self._take(frame)
        except ConnectionClosed:
            pass
        finally:
            for task in self._late:
                task.cancel()
            for answer in self._asked.values():
                if not answer.done():
                    answer.set_exception(CsmsSilent("The connection ended before the answer."))

    async def _take(self, frame: str | bytes) -> None:
        try:
            message = unpack(frame)
        except OCPPError as fault:
            logger.warning("Ignored a frame that is no message: %r", fault)
            return
        if isinstance(message, Call):
            if len(frame) <= (self._behaviour().buffer_bytes or len(frame)):
                await self._reply(message)
        elif (answer := self._asked.get(message.unique_id)) and not answer.done():
            if isinstance(message, CallResult):
                answer.set_result(message.payload)
            else:
                answer.set_exception(CsmsError(message.error_code, message.error_description))

    async def _reply(self, call: Call) -> None:
        """As scripted, unchecked; otherwise as it behaves."""
        behaviour = self._behaviour()
        scripted = await self._script.take(call.action, call.payload)
        if scripted is None and behaviour.is_silent(call.action):
            return
        if delay_s := behaviour.delay_s(call.action):
            late = asyncio.create_task(self._reply_late(call, delay_s))
            self._late.add(late)
            late.add_done_callback(self._late.discard)
        elif not isinstance(scripted, Mute):
            await self._send(await self._answer(call, scripted))

    async def _reply_late(self, call: Call, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        with contextlib.suppress(ConnectionClosed):
            await self._send(await self._answer(call, None))

    async def _answer(self, call: Call, scripted: Json | Refuse | None) -> CallResult | CallError:
        """What is scripted, what it always answers, or the truth with question and answer checked against their schemas."""
        told = scripted if scripted is not None else self._behaviour().standing_answer(call.action)
        if isinstance(told, str):
            told = Refuse(told)
        if isinstance(told, Refuse):
            return CallError(call.unique_id, told.code, told.description, {})
        return call.create_call_result(told) if told is not None else await self._true_answer(call)

    async def _true_answer(self, call: Call) -> CallResult | CallError:
        try:
            await validate_payload(call, self._version)  # NotImplemented where the version has no such action
            if call.action not in self._answers:
                raise NotSupportedError
            result = call.create_call_result(self._answers[call.action](call.payload))
            await validate_payload(result, self._version)
        except OCPPError as error:
            return self._call_error(call, error)
        except Exception:
            logger.exception("Answering %s failed", call.action)
            return self._call_error(call, InternalError())
        return result

    def _call_error(self, call: Call, error: Any) -> CallError:
        # OCPP 1.6 spells this one code differently (OCPP-J 1.6 §4.2.3).
        is_16_format = self._version == "1.6" and error.code == "FormatViolation"
        description = str(error.details.get("cause") or error.description)[:LONGEST_DESCRIPTION]
        return CallError(
            call.unique_id, "FormationViolation" if is_16_format else error.code, description, {}
        )

    async def _send(self, message: Call | CallResult | CallError) -> None:
        frame = message.to_json()
        self._frames.append(frame)
        await self.socket.send(frame)
