"""What listeners in other processes are to hear of a change, without a NOTIFY in the transaction that makes it.

PostgreSQL lets one transaction at a time commit that has notified (docs/decisions/0059). So a writer leaves a row, and
whoever listens (depots.listening) turns the rows that have been committed into notifications, many in one transaction.
Where nothing has been told for a while relays sleep, and the next writer wakes them with a notification of its own (a trigger).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from typing import Any

import psycopg

from depots import round_trips

# How often a relay looks for notices while it is awake, which it is until nothing has been told for AWAKE_S.
RELAYED_EVERY_S = 0.1
AWAKE_S = 2.0
# How often it looks asleep: a notice written while one was still awake may be committed when none is.
ASLEEP_EVERY_S = 1.0
RELAYED_AT_ONCE = 1000
# Where the trigger of depots_notice notifies, when the lock below tells it that no relay is awake.
WAKE_CHANNEL = "berth_notices"
_AWAKE = "hashtextextended('relays_awake', 0)"
_SAY_AWAKE = f"SELECT pg_try_advisory_lock_shared({_AWAKE})"
_SAY_ASLEEP = f"SELECT pg_advisory_unlock_shared({_AWAKE})"

# What the streams of open pages listen to (bookings.pages.live): {"kind", "id", "audiences"}.
PAGES_CHANNEL = "berth_live"

# For statements that tell beside what they do, or that have the database look up what to tell.
TELL = "INSERT INTO depots_notice (channel, payload)"
# As JSON they are one value to write for psycopg, which has arrays of text put together in Python.
_TELL_ALL = round_trips.Prepared(f"{TELL} SELECT %s, json_array_elements_text(%s)")
# One process at a time, until its commit: what is written about one object is told in the order it was written in. Nobody
# waits for that one, which has no need of its client to end. Killed before its commit, it has told nothing and taken nothing.
RELAY = f"""
WITH told AS (
    DELETE FROM depots_notice
    WHERE (SELECT pg_try_advisory_xact_lock(hashtextextended('relay_notices', 0)))
      AND id = ANY(ARRAY(SELECT id FROM depots_notice ORDER BY id LIMIT {RELAYED_AT_ONCE}))
    RETURNING id, channel, payload
)
SELECT pg_notify(channel, payload) FROM told ORDER BY id
"""  # noqa: S608 - made of constants


def tell(channel: str, payloads: Iterable[str]) -> None:
    """Have everybody who listens to `channel` hear these, soon after the caller's transaction has committed.

    Payloads are shorter than 8,000 bytes. Equal ones may be heard as one.
    """
    round_trips.send(_TELL_ALL, [channel, json.dumps(list(payloads))])


def tell_pages(kind: str, object_id: int, audiences: Iterable[str]) -> None:
    """Have open pages of these audiences know that an object is different."""
    note = {"kind": kind, "id": object_id, "audiences": sorted(set(audiences))}
    tell(PAGES_CHANNEL, [json.dumps(note)])


class Relay:
    """A listener's part in relaying, on its connection in autocommit."""

    def __init__(
        self, listener: psycopg.AsyncConnection[Any], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._listener, self._clock = listener, clock
        self._looked_at = self._due_at = clock()
        self._awake_until = clock() + AWAKE_S
        self._is_known_awake = False  # writers see our lock, and wake nobody

    @property
    def due_in_s(self) -> float:
        """How long until the next look."""
        return max(0.0, self._due_at - self._clock())

    def wake(self) -> None:
        """A writer that found all asleep has committed a notice."""
        self._awake_until = self._clock() + AWAKE_S
        self._due_at = min(self._due_at, self._looked_at + RELAYED_EVERY_S)

    async def look(self) -> None:
        """Notify of all notices there are; where another process is at it, of none. Then say whether we stay awake."""
        self._looked_at = self._clock()
        if await self._tell_all():
            self._awake_until = self._looked_at + AWAKE_S
        is_awake = self._looked_at < self._awake_until
        if is_awake and not self._is_known_awake:
            # Not had while a writer that is to wake us is under way: asked again with the next look.
            row = await (await self._listener.execute(_SAY_AWAKE)).fetchone()
            self._is_known_awake = bool(row and row[0])
        elif self._is_known_awake and not is_awake:
            await self._listener.execute(_SAY_ASLEEP)
            self._is_known_awake = False
        self._due_at = self._looked_at + (RELAYED_EVERY_S if is_awake else ASLEEP_EVERY_S)

    async def _tell_all(self) -> int:
        """How many were told."""
        told = 0
        while (now_told := (await self._listener.execute(RELAY)).rowcount) == RELAYED_AT_ONCE:
            told += now_told
        return told + now_told
