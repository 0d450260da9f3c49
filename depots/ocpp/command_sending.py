"""What a charger is to do, sent over its connection: one command after the other, each settled by what became of it."""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING, Any

from ocpp.exceptions import OCPPError

from depots import operations
from depots.models import ChargerCommand
from depots.ocpp import redaction
from depots.ocpp.database import DepotDatabase
from depots.ocpp.dialect import InvalidCommand
from depots.ocpp.wire import MOST_LATE, CallRefused, CallUnanswered, ConnectionEnded, Wire

if TYPE_CHECKING:
    from depots.ocpp.connection import ChargerConnection

logger = logging.getLogger(__name__)

# What a charger answers to a message it does not know, or whose form it does not take: asking again is in vain. Both
# spellings are in use (OCPP 1.6 Formation…, Occurence…).
UNSUPPORTED = {
    "NotImplemented", "NotSupported", "MessageTypeNotSupported", "FormationViolation", "FormatViolation",
    "PropertyConstraintViolation", "OccurenceConstraintViolation", "OccurrenceConstraintViolation",
    "TypeConstraintViolation", "ProtocolError",
}  # fmt: skip


State = ChargerCommand.State

# A charger that beats but answers nothing is not under control: after so many its socket is closed once.
MOST_UNANSWERED = 2


class CommandSending:
    """A connection's commands: taken while it is ready, one at a time, and settled. `withheld` are passwords the charger
    was told: it may say them again in any answer.
    """

    __slots__ = (
        "_connection",
        "_database",
        "_is_woken",
        "_pump",
        "_unanswered",
        "_unclear",
        "_wire",
        "withheld",
    )

    def __init__(self, connection: ChargerConnection, wire: Wire, database: DepotDatabase) -> None:
        self._connection, self._wire, self._database = connection, wire, database
        self.withheld: tuple[str, ...] = ()
        self._pump: asyncio.Task[None] | None = None
        self._is_woken = False
        self._unanswered = 0
        self._unclear: dict[str, ChargerCommand] | None = None

    def wake(self) -> None:
        """There may be something to send."""
        self._is_woken = True
        if self._may_send and (self._pump is None or self._pump.done()):
            self._pump = asyncio.create_task(self._send_all())

    async def _send_all(self) -> None:
        try:
            while self._may_send and self._is_woken:
                self._is_woken = False
                while self._may_send and (command := await self._take()):
                    await self._carry_out(command)
        except operations.NotTheHolder:
            self._connection.services.doubt_lease()
        except ConnectionEnded:
            pass  # what was sent is settled as unclear by whoever notices the end
        except Exception:
            logger.exception("Sending commands to %s failed", self._connection.identity)
            asyncio.get_running_loop().call_later(self._connection.timings.retry_s, self.wake)
        finally:
            self._pump = None

    @property
    def _may_send(self) -> bool:
        """What is queued stays so while the gateway drains: whoever has the charger next sends it."""
        return self._connection.is_ready and not self._connection.services.is_draining()

    @property
    def sending(self) -> asyncio.Task[None] | None:
        """Ends with the command that is under way, once no other may be sent."""
        return self._pump

    async def _take(self) -> ChargerCommand | None:
        command: ChargerCommand | None = await self._connection.do(
            operations.take_command, holder=self._connection.holder, now=self._connection.now()
        )
        return command

    async def _carry_out(self, command: ChargerCommand) -> None:
        unique_id = f"{command.pk}.{secrets.token_hex(4)}"
        is_secret = command.action == ChargerCommand.Action.SET_PASSWORD
        try:
            if command.action == ChargerCommand.Action.ASK_CAPABILITIES:
                told = await self._connection.dialect.ask_capabilities(self._wire)
                await self._connection.do(
                    operations.record_capabilities, told=told, now=self._connection.now()
                )
                answer, text = "accepted", ""
            else:
                action, payload = self._connection.dialect.request(command)
                self.withheld += redaction.carried_by(payload) if is_secret else ()
                reply = await self._wire.call(action, payload, unique_id)
                answer, text = self._connection.dialect.read_answer(reply, command.action)
        except ConnectionEnded:
            raise
        except CallUnanswered as silence:
            self._remember_unclear(unique_id, command)
            await self._settle(command, State.UNCLEAR, "", str(silence))
            await self._count_silence()
        except CallRefused as refusal:
            is_unsupported = refusal.code in UNSUPPORTED
            await self._settle(
                command,
                State.ANSWERED,
                "not_supported" if is_unsupported else "error",
                refusal.code if is_secret else str(refusal),
            )
        except (InvalidCommand, OCPPError) as fault:
            await self._settle(command, State.ANSWERED, "error", str(fault))
        else:
            self._unanswered = 0
            await self._settle(command, State.ANSWERED, answer, text)

    def _remember_unclear(self, unique_id: str, command: ChargerCommand) -> None:
        if self._unclear is None:
            self._unclear = {}
        self._unclear[unique_id] = command
        if len(self._unclear) > MOST_LATE:
            del self._unclear[next(iter(self._unclear))]

    async def _settle(self, command: ChargerCommand, state: str, answer: str, text: str) -> None:
        await self._database.run(
            operations.settle_command,
            command_id=command.pk,
            state=state,
            answer=answer,
            answer_text=text,
            now=self._connection.now(),
        )

    async def take_late_answer(self, unique_id: str, payload: dict[str, Any]) -> None:
        self._unanswered = 0
        if self._unclear and (command := self._unclear.pop(unique_id, None)):
            answer, text = self._connection.dialect.read_answer(payload, command.action)
            await self._settle(command, State.ANSWERED, answer, text)

    async def _count_silence(self) -> None:
        self._unanswered += 1
        if self._unanswered == MOST_UNANSWERED:
            await self._connection.do(operations.record_measured, answers_calls=False)
            self._connection.close("calls are not answered")
