"""What listeners in other processes are to hear of a change, without a NOTIFY in the transaction that makes it.

PostgreSQL lets one transaction at a time commit that has notified (docs/decisions/0059). So a writer leaves a row, and
whoever listens (depots.listening) turns the rows that have been committed into notifications, many in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg

from depots import round_trips

# How long a notice waits at most until it is told.
RELAYED_EVERY_S = 0.1
RELAYED_AT_ONCE = 1000

# For statements that tell beside what they do, or that have the database look up what to tell.
TELL = "INSERT INTO depots_notice (channel, payload)"
_TELL_ALL = f"{TELL} SELECT %s, unnest(%s::text[])"
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
    round_trips.send(_TELL_ALL, [channel, list(payloads)])


async def relay(listener: psycopg.AsyncConnection[Any]) -> None:
    """Notify of all notices there are, on a connection in autocommit. Where another process is at it, do nothing."""
    while (await listener.execute(RELAY)).rowcount == RELAYED_AT_ONCE:
        pass
