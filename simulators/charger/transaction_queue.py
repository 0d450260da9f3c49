"""Transaction messages of a charger on their way to the CSMS: in order, and kept while there is no connection."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from simulators.charger.csms_connection import CsmsError, CsmsSilent
from simulators.charger.script import Json
from simulators.charger.station import Transaction

# TransactionMessageAttempts (OCPP 1.6 §9.1.32): a message the CSMS refuses this often is thrown away.
ATTEMPTS = 3


@dataclass
class QueuedMessage:
    """Complete but for the transaction id, which a 1.6 CSMS gives in its answer to the start."""

    action: str
    payload: Json
    transaction: Transaction
    refusals: int = 0


class TransactionQueue:
    """`call` asks the CSMS; `on_answer` is told each message it has answered."""

    def __init__(
        self,
        call: Callable[[str, Json], Awaitable[Json]],
        on_answer: Callable[[QueuedMessage, Json], None],
    ) -> None:
        self._call, self._on_answer = call, on_answer
        self._messages: deque[QueuedMessage] = deque()
        self._flushing = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._messages)

    async def tell(self, action: str, payload: Json, transaction: Transaction) -> None:
        """Queue a message and send what is queued."""
        self._messages.append(QueuedMessage(action, payload, transaction))
        await self.flush()

    async def flush(self) -> None:
        """Send what is queued, in order. What gets no answer stays for the next connection."""
        async with self._flushing:
            while self._messages:
                try:
                    await self._send(self._messages[0])
                except CsmsSilent:
                    return

    async def _send(self, head: QueuedMessage) -> None:
        if (
            "transactionId" in head.payload
        ):  # of 1.6; 2.x has it in its transactionInfo, and knows it from the start
            head.payload["transactionId"] = head.transaction.csms_id or 0
        try:
            answer = await self._call(head.action, head.payload)
        except CsmsError:
            head.refusals += 1
            if head.refusals >= ATTEMPTS:
                self._messages.popleft()
            return
        self._messages.popleft()
        self._on_answer(head, answer)
