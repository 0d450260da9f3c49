"""Deliveries of what is over, forgotten so long after they arrived that nothing is told of them any more.

Places, offers, tariffs and tokens last, and so do their rows. Asks of ours keep what a partner may have got of them, as long as
their bookings are kept.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection

from roaming.models import ENDING_KINDS

KEPT = timedelta(days=90)
AT_ONCE = 5_000
_KINDS = ", ".join(f"'{kind}'" for kind in ENDING_KINDS)

# Whoever wants a row anew is writing it: then it stays. A row that is wanted after it was forgotten is one that was never sent.
_FORGET = f"""
DELETE FROM roaming_delivery WHERE id IN (
    SELECT id FROM roaming_delivery
    WHERE kind IN ({_KINDS}) AND next_try_at IS NULL AND delivered_at < %(before)s
    ORDER BY delivered_at LIMIT %(most)s
    FOR UPDATE SKIP LOCKED
)
"""  # noqa: S608 - made of constants


def forget_over(*, now: datetime) -> int:
    """Gives how many went; a few thousand at a time."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, {"before": now - KEPT, "most": AT_ONCE})
        return int(cursor.rowcount)
