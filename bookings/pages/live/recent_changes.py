"""What was heard of late: for those who come back, and for those whose page was rendered a moment ago."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bookings.pages.live.rendering import Views

REMEMBERED_S = 120  # how far back a client that comes again is told what it missed
REMEMBERED_MAX = 5_000


@dataclass
class Change:
    """A notification heard at `at_ms`; `views` once rendered, None of it where pages have to ask for themselves."""

    kind: str
    id: int
    audiences: frozenset[str]
    at_ms: int
    is_rendered: bool = False
    views: Views | None = None

    @classmethod
    def read(cls, payload: str, at_ms: int) -> Change:
        """Of a notification (bookings.pages.live.publishing). Raises ValueError, KeyError or TypeError."""
        note = json.loads(payload)
        return cls(note["kind"], note["id"], frozenset(note.get("audiences", ())), at_ms)

    @property
    def key(self) -> tuple[str, int]:
        return self.kind, self.id

    def seen_by(self, audiences: frozenset[str]) -> dict[str, Any]:
        """Audience → payload, {} for "look yourself", null for "gone", of those among the audiences that may hear."""
        if self.views is None:
            return {name: {} for name in self.audiences & audiences}
        return {name: self.views.get(name) for name in (self.audiences | self.views.keys()) & audiences}


class ChangeLog:
    """The latest change of each object of the last two minutes, and since when none was missed."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._changes: OrderedDict[tuple[str, int], Change] = OrderedDict()
        self._listening_since_ms: int | None = None

    def begin(self) -> None:
        """Listening has begun; whatever came before was not heard, or is too much to tell."""
        self._listening_since_ms = self._now_ms()
        self._changes.clear()

    def end(self) -> None:
        """Nothing is heard any more."""
        self._listening_since_ms = None

    def add(self, change: Change) -> None:
        earlier = self._changes.pop(change.key, None)
        if earlier is not None:
            change.audiences |= earlier.audiences
        self._changes[change.key] = change
        while len(self._changes) > REMEMBERED_MAX or self._oldest_ms() < self._now_ms() - REMEMBERED_S * 1000:
            self._changes.popitem(last=False)

    def since(self, moment_ms: int, audiences: frozenset[str]) -> list[Change] | None:
        """What these audiences heard since then; None where something may be missing."""
        known_since_ms = self._known_since_ms()
        if known_since_ms is None or moment_ms < known_since_ms:
            return None
        return [c for c in self._changes.values() if c.at_ms >= moment_ms and c.audiences & audiences]

    def _known_since_ms(self) -> int | None:
        """From when on every change is remembered; None while we do not listen."""
        if self._listening_since_ms is None:
            return None
        known = max(self._listening_since_ms, self._now_ms() - REMEMBERED_S * 1000)
        return max(known, self._oldest_ms()) if len(self._changes) >= REMEMBERED_MAX else known

    def _oldest_ms(self) -> int:
        return next(iter(self._changes.values())).at_ms
