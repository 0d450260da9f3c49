"""Who was refused before the upgrade: kept for who looks after a charger, or waits for one, and bounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from depots.models import FailedHandshake, RefusedConnection
from depots.secrets import charger_password_matches, hash_charger_password

# Rows of identities that nobody knows; those of chargers are as many as there are chargers.
MOST_STRANGERS = 1000
FORGOTTEN_AFTER = timedelta(days=30)
MOST_TRIES = 2**31 - 1

# Which identities are one says the database alone: capitals are those of its locale, in which Python's are two names or one.
_NOTE = """
    INSERT INTO depots_refusedconnection AS refused
        (identity, address, protocols, reason, password_salt, password_hash, tries, first_at, last_at)
    SELECT DISTINCT ON (upper(identity)) identity, address, protocols, reason, password_salt, password_hash,
        least(sum(tries) OVER same, %s), min(first_at) OVER same, last_at
    FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::int[], %s::timestamptz[],
        %s::timestamptz[]) AS told
        (identity, address, protocols, reason, password_salt, password_hash, tries, first_at, last_at)
    WINDOW same AS (PARTITION BY upper(identity))
    ORDER BY upper(identity), last_at DESC
    ON CONFLICT (upper(identity)) DO UPDATE SET
        address = EXCLUDED.address, protocols = EXCLUDED.protocols, reason = EXCLUDED.reason,
        password_salt = CASE WHEN EXCLUDED.password_hash = '' THEN refused.password_salt
            ELSE EXCLUDED.password_salt END,
        password_hash = CASE WHEN EXCLUDED.password_hash = '' THEN refused.password_hash
            ELSE EXCLUDED.password_hash END,
        tries = least(refused.tries::bigint + EXCLUDED.tries, %s), last_at = EXCLUDED.last_at
"""
_KNOWN = """
    SELECT told.identity, known.password_salt, known.password_hash
    FROM unnest(%s::text[]) AS told (identity)
    JOIN depots_refusedconnection AS known ON upper(known.identity) = upper(told.identity)
"""
# Whose address has most goes first, and of one address the oldest: who invents names displaces its own. An IPv6 address counts
# with its /64, as in `client_network`. What another gateway notes just now stays, and nobody waits for it.
_FORGET_STRANGERS = """
    DELETE FROM depots_refusedconnection WHERE id IN (
        SELECT id FROM depots_refusedconnection WHERE id IN (
            SELECT id FROM (
                SELECT refused.id, refused.last_at,
                    row_number() OVER (
                        PARTITION BY CASE WHEN refused.address ~ '^[0-9a-f]*:[0-9a-f:]*$'
                            THEN network(set_masklen(refused.address::inet, 64))::text ELSE refused.address END
                        ORDER BY refused.last_at DESC
                    ) AS place
                FROM depots_refusedconnection AS refused
                WHERE NOT EXISTS (
                    SELECT FROM depots_charger AS charger WHERE upper(charger.identity) = upper(refused.identity)
                )
            ) AS stranger ORDER BY place, last_at DESC OFFSET %s
        ) FOR UPDATE SKIP LOCKED
    )
"""


@dataclass
class Refusal:
    """One identity's refusals since they were last written down; what is not counted is as of the last. `password` is what
    it tried, empty where it is not to be kept."""

    identity: str
    address: str
    protocols: str
    reason: str
    password: bytes
    tries: int
    first_at: datetime
    last_at: datetime


def note_refusals(refusals: Sequence[Refusal]) -> None:
    """Add them to what is known, and forget the most needless of more strangers than are kept."""
    hashes = _hashes(refusals)
    rows = [
        (
            refusal.identity, refusal.address, refusal.protocols, refusal.reason, *hashes[refusal.identity],
            refusal.tries, refusal.first_at, refusal.last_at,
        )
        for refusal in refusals
    ]  # fmt: skip
    columns = [list(column) for column in zip(*rows, strict=True)]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_NOTE, [MOST_TRIES, *columns, MOST_TRIES])
        cursor.execute(_FORGET_STRANGERS, [MOST_STRANGERS])


def _hashes(refusals: Sequence[Refusal]) -> dict[str, tuple[str, str]]:
    """(salt, hash) by identity of what was tried; nothing where it is what is known already: who looks at it before
    letting it in must see a change only where there is one."""
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN, [[refusal.identity for refusal in refusals]])
        known = {identity: (salt, hashed) for identity, salt, hashed in cursor.fetchall()}
    return {
        refusal.identity: _hash(refusal.password, *known.get(refusal.identity, ("", "")))
        for refusal in refusals
    }


def _hash(password: bytes, known_salt: str, known_hash: str) -> tuple[str, str]:
    is_known = bool(known_hash) and charger_password_matches(password, salt=known_salt, hashed=known_hash)
    return ("", "") if is_known or not password else hash_charger_password(password)


def forget_old_refusals(*, now: datetime) -> None:
    RefusedConnection.objects.filter(last_at__lt=now - FORGOTTEN_AFTER).delete()
    FailedHandshake.objects.filter(last_at__lt=now - FORGOTTEN_AFTER).delete()
