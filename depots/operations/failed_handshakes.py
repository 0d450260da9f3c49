"""TLS handshakes that failed: nothing is known of who it was but the address, kept for who looks for a charger, and bounded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import connection, transaction

from depots.models import FailedHandshake
from depots.operations.refused_connections import MOST_TRIES

MOST_ADDRESSES = 200

_NOTE = """
    INSERT INTO depots_failedhandshake AS failed (address, reason, tries, first_at, last_at)
    SELECT told.address, told.reason, told.tries, %s, %s
    FROM unnest(%s::text[], %s::text[], %s::int[]) AS told (address, reason, tries) ORDER BY told.address
    ON CONFLICT (address) DO UPDATE SET reason = EXCLUDED.reason, last_at = EXCLUDED.last_at,
        tries = least(failed.tries::bigint + EXCLUDED.tries, %s)
"""


def note_failed_handshakes(*, failures: Mapping[str, tuple[str, int]], now: datetime) -> None:
    """{address: (reason, how many)}; of more addresses than are kept those that came last stay."""
    addresses = list(failures)
    reasons, tries = zip(*failures.values(), strict=True)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_NOTE, [now, now, addresses, list(reasons), list(tries), MOST_TRIES])
        kept = FailedHandshake.objects.order_by("-last_at", "-pk")[:MOST_ADDRESSES]
        old = FailedHandshake.objects.exclude(pk__in=list(kept.values_list("pk", flat=True)))
        # What another gateway notes just now stays, and nobody waits for it.
        free = old.select_for_update(skip_locked=True).values_list("pk", flat=True)
        FailedHandshake.objects.filter(pk__in=list(free)).delete()
