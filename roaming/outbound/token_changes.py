"""Which partners are to hear of our fleets' tokens: all with depots of their own, since fleets may charge at any."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import connection

from roaming.outbound.waking import wake_sender

# Rows of many partners are written in the order of their keys (deliveries.py). What a partner may know of is as in
# roaming.published_tokens, which has the last word when it is written.
_WANT = """
INSERT INTO roaming_delivery
    (partner_id, kind, object_id, wanted_version, delivered_version, next_try_at, attempts, last_error, was_refused)
SELECT p.id, 'token', t.id, t.version, 0, %(now)s, 0, '', false
FROM bookings_token t
JOIN depots_organisation f ON f.id = t.fleet_id AND NOT f.is_partner AND f.country_code <> '' AND f.emsp_party_id <> ''
CROSS JOIN roaming_partner p
WHERE t.id = ANY(%(tokens)s) AND t.told IS NULL
  AND p.state = 'registered' AND p.roles @> '[{"role": "CPO"}]'
ORDER BY p.id, t.id
ON CONFLICT (partner_id, kind, object_id) DO UPDATE
SET wanted_version = EXCLUDED.wanted_version, next_try_at = EXCLUDED.next_try_at
WHERE roaming_delivery.wanted_version < EXCLUDED.wanted_version
"""


def want(token_ids: Collection[int], *, now: datetime) -> int:
    """In the transaction of the change."""
    with connection.cursor() as cursor:
        cursor.execute(_WANT, {"now": now, "tokens": list(token_ids)})
        reached = cursor.rowcount
    if reached:
        wake_sender()
    return reached
