"""Who was refused before the upgrade: kept for who looks after a charger, or waits for one, and bounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from depots.models import RefusedConnection

# Rows of identities that nobody knows; those of chargers are as many as there are chargers.
MOST_STRANGERS = 1000
FORGOTTEN_AFTER = timedelta(days=30)
MOST_TRIES = 2**31 - 1

_NOTE = """
    INSERT INTO depots_refusedconnection AS refused
        (identity, address, protocols, reason, password_salt, password_hash, tries, first_at, last_at)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::int[],
        %s::timestamptz[], %s::timestamptz[]) AS told (identity) ORDER BY upper(told.identity)
    ON CONFLICT (upper(identity)) DO UPDATE SET
        address = EXCLUDED.address, protocols = EXCLUDED.protocols, reason = EXCLUDED.reason,
        password_salt = CASE WHEN EXCLUDED.password_hash = '' THEN refused.password_salt
            ELSE EXCLUDED.password_salt END,
        password_hash = CASE WHEN EXCLUDED.password_hash = '' THEN refused.password_hash
            ELSE EXCLUDED.password_hash END,
        tries = least(refused.tries::bigint + EXCLUDED.tries, %s), last_at = EXCLUDED.last_at
"""
# Whose address has most goes first, and of one address the oldest: who invents names displaces its own.
_FORGET_STRANGERS = """
    DELETE FROM depots_refusedconnection WHERE id IN (
        SELECT id FROM (
            SELECT refused.id, refused.last_at,
                row_number() OVER (PARTITION BY refused.address ORDER BY refused.last_at DESC) AS place
            FROM depots_refusedconnection AS refused
            WHERE NOT EXISTS (
                SELECT FROM depots_charger AS charger WHERE upper(charger.identity) = upper(refused.identity)
            )
        ) AS stranger ORDER BY place, last_at DESC OFFSET %s
    )
"""


@dataclass
class Refusal:
    """One identity's refusals since they were last written down; what is not counted is as of the last."""

    identity: str
    address: str
    protocols: str
    reason: str
    password_salt: str
    password_hash: str
    tries: int
    first_at: datetime
    last_at: datetime


def note_refusals(refusals: Sequence[Refusal]) -> None:
    """Add them to what is known, and forget the most needless of more strangers than are kept."""
    columns = [
        [getattr(refusal, name) for refusal in refusals]
        for name in (
            "identity", "address", "protocols", "reason", "password_salt", "password_hash", "tries", "first_at",
            "last_at",
        )
    ]  # fmt: skip
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_NOTE, [*columns, MOST_TRIES])
        cursor.execute(_FORGET_STRANGERS, [MOST_STRANGERS])


def forget_old_refusals(*, now: datetime) -> None:
    RefusedConnection.objects.filter(last_at__lt=now - FORGOTTEN_AFTER).delete()
