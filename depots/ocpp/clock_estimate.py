"""How far a charger's clock is off, learnt from its messages: which of them were made the moment they came?"""

from __future__ import annotations

from datetime import datetime, timedelta

from depots.operations import RIGHT_WITHIN

# What the network makes of one clock from message to message.
_JITTER = timedelta(seconds=5)
# A queue is emptied faster than this, so two messages this far apart that are late by the same were not late.
_APART = timedelta(seconds=5)


class ClockEstimate:
    """Of one connection. A message that waited in the charger's queue tells the past by a clock that may be right."""

    def __init__(self) -> None:
        self.offset: timedelta | None = None
        self._behind: tuple[timedelta, datetime] | None = None

    def forget(self) -> None:
        """It was told the time: what it does with it is seen from its next messages."""
        self.offset = self._behind = None

    def learn(self, told_at: datetime, arrived_at: datetime, *, is_live: bool) -> timedelta | None:
        """The offset (its clock minus ours) when this message shows another one than is known, else None.

        A time of now is told by a right clock, whatever was known; a time ahead of us by one that is at least so far
        ahead. A time behind us counts from a message that is made and sent at once (`is_live`), or twice alike.
        """
        apparent = told_at - arrived_at
        is_ahead = apparent > RIGHT_WITHIN and (self.offset is None or apparent > self.offset)
        is_certain = is_live or abs(apparent) <= RIGHT_WITHIN or is_ahead
        if not is_certain and not self._is_late_alike(apparent, arrived_at):
            return None
        if self.offset is not None and abs(apparent - self.offset) <= _JITTER:
            return None
        self.offset = apparent
        return apparent

    def _is_late_alike(self, apparent: timedelta, arrived_at: datetime) -> bool:
        """Is it late by as much as one some time before? Else it is the one to compare the next with."""
        if self._behind is not None and abs(apparent - self._behind[0]) <= _JITTER / 2:
            return arrived_at - self._behind[1] >= _APART
        self._behind = (apparent, arrived_at)
        return False
