"""Deliveries given back whose turn it is not yet: what has to be there before them is on its way, or whom they are for is not
there. Nobody is to blame."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from django.db import connection

from roaming.outbound.deliveries import Lease

# Who writes several of these kinds in one transaction has an order of its own (deliveries.py): locked ones are left out, and then
# waited for one by one.
_POSTPONE = """
WITH p AS (
    SELECT d.id, u.try_at, u.reason
    FROM unnest(%(ids)s::bigint[], %(leases)s::timestamptz[], %(try_at)s::timestamptz[], %(reasons)s::text[])
        AS u(id, lease, try_at, reason)
    JOIN roaming_delivery d ON d.id = u.id AND d.leased_until = u.lease
    ORDER BY d.partner_id, d.kind, d.object_id
    FOR NO KEY UPDATE OF d {locking}
)
UPDATE roaming_delivery d SET leased_until = NULL, next_try_at = p.try_at, last_error = p.reason
FROM p
WHERE d.id = p.id
RETURNING d.id
"""


class Postponed(NamedTuple):
    """A delivery, when it is looked at again, and why, where that is to be told."""

    lease: Lease
    until: datetime
    reason: str = ""


def postpone(lease: Lease, *, until: datetime, reason: str = "") -> None:
    """Leave one for later."""
    _postpone([Postponed(lease, until, reason)])


def postpone_all(postponed: Collection[Postponed]) -> None:
    """The same of many, each until its own moment: all that are free in one statement, and the others by themselves."""
    done = _postpone(postponed, locking="SKIP LOCKED") if postponed else set()
    for one in postponed:
        if one.lease.delivery_id not in done:
            _postpone([one])


def _postpone(postponed: Collection[Postponed], *, locking: str = "") -> set[int]:
    """Gives those that were still ours, by key."""
    with connection.cursor() as cursor:
        cursor.execute(
            _POSTPONE.format(locking=locking),
            {
                "ids": [one.lease.delivery_id for one in postponed],
                "leases": [one.lease.until for one in postponed],
                "try_at": [one.until for one in postponed],
                "reasons": [one.reason[:300] for one in postponed],
            },
        )
        return {delivery_id for (delivery_id,) in cursor.fetchall()}
