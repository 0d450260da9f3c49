"""Frames on their way to the log of messages: cut, bounded, and written together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

from depots import operations
from depots.file_addresses import without_secrets
from depots.ocpp import frames, redaction
from depots.ocpp.database import Database
from depots.operations.message_log import LONGEST_FRAME, LoggedFrame
from depots.secrets import names_password_setting

# What waits while the database is away; more is dropped. One charger that says a lot must not crowd out the others.
MOST_WAITING = 20_000
MOST_WAITING_OF_ONE = 500
# What comes all day long, of every charger.
ROUTINE = {"Heartbeat", "MeterValues", "TransactionEvent"}
_SAMPLE_TRIGGERS = ('"MeterValuePeriodic"', '"MeterValueClock"')
_NO_SAMPLE = ('"idToken"', '"reservationId"', '"Started"', '"Ended"', '"SignedData"', '"signedMeterValue"')


class MessageBuffer:
    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._waiting: list[LoggedFrame] = []
        self._of_one: Counter[int] = Counter()

    def keep(
        self, charger_id: int, is_incoming: bool, action: str, frame: str | bytes, is_odd: bool = False
    ) -> None:
        """Write this frame down with the next flush; only what is kept of it stays in memory."""
        if action in ROUTINE and not is_odd and is_routine(is_incoming, action, frame):
            return
        if len(self._waiting) >= MOST_WAITING or self._of_one[charger_id] >= MOST_WAITING_OF_ONE:
            return
        self._of_one[charger_id] += 1
        text = frames.as_text(frame)
        shown = redaction.WITHHELD if names_password_setting(text) else without_secrets(text)
        self._waiting.append(
            LoggedFrame(charger_id, self._clock(), is_incoming, action[:60], shown[:LONGEST_FRAME])
        )

    async def flush(self) -> None:
        batch, self._waiting = self._waiting, []
        self._of_one.clear()
        if batch:
            await self._database.run(operations.keep_messages, batch)


def is_routine(is_incoming: bool, action: str, frame: str | bytes) -> bool:
    """Whether a frame of one of these actions tells nothing that the readings of its session, or when it was last seen, do not:
    a Heartbeat, samples, and the answers to them. Of transactions those that only tell the meter.
    """
    if action != "TransactionEvent":
        return True
    text = frame if isinstance(frame, str) else frame.decode(errors="replace")
    if not is_incoming:
        return text.endswith(",{}]")
    return any(trigger in text for trigger in _SAMPLE_TRIGGERS) and not any(
        more in text for more in _NO_SAMPLE
    )
