"""What is old is deleted in batches, each a transaction: no lock is held for long, and who is killed goes on where it was."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

AT_ONCE = 2_000


def delete_in_batches(rows: QuerySet[Any], *, at_once: int = AT_ONCE) -> int:
    """Delete all of them, the oldest keys first, and what hangs on them; how many that were."""
    deleted = 0
    while True:
        keys = list(rows.order_by("pk").values_list("pk", flat=True)[:at_once])
        if not keys:
            return deleted
        rows.filter(pk__in=keys).delete()
        deleted += len(keys)
