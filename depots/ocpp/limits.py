"""How much one connection, identity or address may ask for before it has to wait, while others are served."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from time import monotonic

WITHIN = timedelta(minutes=1)
# So many keys are remembered; under a flood the oldest are forgotten.
MOST_REMEMBERED = 20_000


class Limit:
    """Counts by any key; exceeded once `most` were noted within a minute of the first."""

    def __init__(self, clock: Callable[[], datetime], most: int) -> None:
        self._clock, self._most = clock, most
        self._counts: dict[Hashable, tuple[datetime, int]] = {}

    def is_exceeded(self, key: Hashable) -> bool:
        since, count = self._counts.get(key, (None, 0))
        return count >= self._most and since is not None and self._clock() - since < WITHIN

    def note(self, key: Hashable) -> None:
        since, count = self._counts.pop(key, (self._clock(), 0))
        if self._clock() - since >= WITHIN:
            since, count = self._clock(), 0
        self._counts[key] = since, count + 1
        if len(self._counts) > MOST_REMEMBERED:
            del self._counts[next(iter(self._counts))]


class Pace:
    """A token bucket for what one connection sends: `per_s` for ever, `burst` at once.

    A charger that waits for its answers, as OCPP asks, comes to this only with a long queue of old messages, and
    is slowed, no more: nothing is dropped. One that is slowed for `flood_s` without a break floods.
    """

    __slots__ = ("_at", "_burst", "_flood_s", "_left", "_per_s", "_slow_since")

    def __init__(self, *, per_s: float, burst: float, flood_s: float) -> None:
        self._per_s, self._burst, self._flood_s = per_s, burst, flood_s
        self._left, self._at = burst, monotonic()
        self._slow_since: float | None = None

    def pause_s(self) -> float:
        """How long to wait before the message that has just been read; 0 nearly always."""
        now = monotonic()
        left = min(self._burst, self._left + (now - self._at) * self._per_s) - 1
        self._left, self._at = left, now
        if left >= 0:
            self._slow_since = None
            return 0
        if self._slow_since is None:
            self._slow_since = now
        return -left / self._per_s

    @property
    def is_flood(self) -> bool:
        return self._slow_since is not None and monotonic() - self._slow_since >= self._flood_s
