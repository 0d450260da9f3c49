"""What a charger was asked, and the answers it is told to give instead of the truth: for whoever tests a CSMS."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Refuse:
    """A scripted CALLERROR."""

    code: str
    description: str = ""


@dataclass(frozen=True)
class Mute:
    """A scripted silence: the CALL is received and not answered."""


class Script:
    """`received` holds every CALL of the CSMS, (action, payload), in the order of their arrival."""

    def __init__(self, *, records: bool = True) -> None:
        self._records = records
        self.received: list[tuple[str, Json]] = []
        self._answers: defaultdict[str, deque[Json | Refuse | Mute]] = defaultdict(deque)
        self._unread: deque[tuple[str, Json]] = deque()
        self._arrived = asyncio.Condition()

    def will_answer(self, action: str, *answers: Json | Refuse | Mute) -> None:
        """The next answers to this action, sent as they are; after them the charger tells the truth again."""
        self._answers[action].extend(answers)

    async def heard(self, action: str, timeout_s: float = 10) -> Json:
        """The payload of the next CALL of this action not yet looked at, waited for. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s), self._arrived:
            while True:
                for call in self._unread:
                    if call[0] == action:
                        self._unread.remove(call)
                        return call[1]
                await self._arrived.wait()

    def count(self, action: str) -> int:
        """How often this was asked so far."""
        return sum(1 for asked, _ in self.received if asked == action)

    async def take(self, action: str, payload: Json) -> Json | Refuse | Mute | None:
        """Record a CALL; the answer scripted for it, None where the charger is to tell the truth."""
        if self._records:
            self.received.append((action, payload))
            async with self._arrived:
                self._unread.append((action, payload))
                self._arrived.notify_all()
        return self._answers[action].popleft() if self._answers[action] else None
