"""Tokens of partner networks, kept as those of their organisations (decision 116): one alone, and thousands of a list."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet
from psycopg.errors import UniqueViolation
from pydantic_core import to_json

from bookings.models import Token
from roaming import deviations
from roaming.mirror.values import ToldToken
from roaming.models import Partner
from roaming.ocpi.wire_object import Read

# Party, number and kind, as one that is told again is known.
_Name = tuple[str, str, str, str]
# Of one object among thousands; a Token has a few hundred bytes.
LARGEST_TOKEN = 16 * 1024
_STAGED = (
    "country_code", "party_id", "uid", "type", "contract_id", "label", "group_name", "is_blocked", "owner_check",
    "told", "told_at",
)  # fmt: skip
# What is copied in waits in a table of this connection's own, which each commit empties.
_STAGE = """
SET LOCAL client_min_messages = warning;
CREATE TEMPORARY TABLE IF NOT EXISTS told_token (
    country_code text, party_id text, uid text, type text, contract_id text, label text, group_name text,
    is_blocked boolean, owner_check text, told jsonb, told_at timestamptz
) ON COMMIT DELETE ROWS;
DELETE FROM told_token
"""
_COPY = f"COPY told_token ({', '.join(_STAGED)}) FROM STDIN"
# An older state than the one that is kept changes nothing, but was told of; rows are locked in one order.
_KEPT = ("contract_id", "label", "group_name", "is_blocked", "owner_check", "told", "told_at")
_MERGE = """
INSERT INTO bookings_token AS kept
    ({staged}, fleet_id, heard_at, is_read_either_way, version, created_at, updated_at)
SELECT {staged}, %(fleet)s, %(now)s, false, 1, %(now)s, %(now)s
FROM told_token ORDER BY upper(country_code), upper(party_id), upper(uid), type
ON CONFLICT (fleet_id, upper(country_code), upper(party_id), upper(uid), type) WHERE told IS NOT NULL DO UPDATE
SET heard_at = greatest(kept.heard_at, EXCLUDED.heard_at), {kept}
""".format(
    staged=", ".join(_STAGED),
    kept=", ".join(
        f"{name} = CASE WHEN EXCLUDED.told_at >= kept.told_at THEN EXCLUDED.{name} ELSE kept.{name} END"
        for name in _KEPT
    ),
)


# Of a list that is read for the first time nothing is here yet, so that its pages need no staging (decision 116).
_KNOWN = """
SELECT FROM bookings_token
WHERE fleet_id = %s AND upper(country_code) = %s AND upper(party_id) = %s AND upper(uid) = %s AND type = %s
  AND told IS NOT NULL
"""
_OURS = ("fleet_id", "heard_at", "is_read_either_way", "version", "created_at", "updated_at")
_COPY_NEW = f"COPY bookings_token ({', '.join((*_STAGED, *_OURS))}) FROM STDIN"
LONG_PAGE = 100


@dataclass
class HeldToken:
    """As its owner last sent it."""

    raw: Any
    last_updated: Any


def find(
    partner: Partner, owner: tuple[str, str], uid: str, kind: str, *, lock: bool = False
) -> HeldToken | None:
    rows = _of(partner, owner).filter(uid__iexact=uid, type=kind)
    found = (rows.select_for_update(no_key=True) if lock else rows).first()
    return HeldToken(found.told, found.told_at) if found is not None else None


def adopt(partner: Partner, read: Read[ToldToken], raw: dict[str, Any], *, now: datetime) -> bool:
    """Keep it, unless what is kept is newer; True when it is new here."""
    told = read.value
    deviations.count(partner, read.deviations)
    with transaction.atomic():
        owner = (told.country_code, told.party_id)
        is_new = find(partner, owner, told.uid, told.type, lock=True) is None
        keep_all(partner, [(told, raw)], now=now)
    return is_new


def keep_all(
    partner: Partner, tokens: Iterable[tuple[ToldToken, Any]], *, waits_for_disk: bool = True, now: datetime
) -> None:
    """Many at once, no row by itself; of two under one name the last one counts.

    A page of a list need not wait for the disk: that the list was read is written down after it, and waits.
    """
    named = {_name(told): _row(told, raw) for told, raw in tokens}
    if not named:
        return
    with transaction.atomic(), connection.cursor() as cursor:
        if not waits_for_disk:
            cursor.execute("SET LOCAL synchronous_commit = off")
        if len(named) >= LONG_PAGE and _copied(cursor, partner.organisation_id, named, now):
            return
        cursor.execute(_STAGE)
        with cursor.copy(_COPY) as copy:
            for row in named.values():
                copy.write_row(row)
        cursor.execute(_MERGE, {"fleet": partner.organisation_id, "now": now})


def _copied(cursor: Any, fleet_id: int, named: Mapping[_Name, tuple[Any, ...]], now: datetime) -> bool:
    """Whether none of them was here, so that all are copied in as they are. Looks for the first: where that is here, most are."""
    cursor.execute(_KNOWN, (fleet_id, *next(iter(named))))
    if cursor.fetchone() is not None:
        return False
    at = now.isoformat()
    ours = (fleet_id, at, False, 1, at, at)
    try:
        with transaction.atomic(), cursor.copy(_COPY_NEW) as copy:
            for name in sorted(
                named
            ):  # as the merge has them: who copies the same meanwhile waits, and nobody for each other
                copy.write_row(named[name] + ours)
    except UniqueViolation:
        return False
    return True


def mark_heard(partner: Partner, owner: tuple[str, str], uids: Collection[str], *, now: datetime) -> None:
    """They were told of, though nobody could read how."""
    if uids:
        _of(partner, owner).filter(uid__in=set(uids)).update(heard_at=now)


def withdraw_missing(
    partner: Partner, owner: tuple[str, str], seen: Collection[str], before: datetime
) -> int:
    """What a complete list, begun at that moment, did not name is valid no more."""
    rows = _of(partner, owner).filter(heard_at__lt=before, is_blocked=False)
    return rows.update(is_blocked=True)


def _row(told: ToldToken, raw: Any) -> tuple[Any, ...]:
    return (
        told.country_code, told.party_id, told.uid, told.type, told.contract_id, told.visual_number, told.group_id,
        not told.is_valid, told.check, _json(raw), told.last_updated.isoformat(),
    )  # fmt: skip


def _json(raw: Any) -> str:
    """As the column takes it. Writing a page so takes a sixth of what `json` takes, which takes any depth."""
    try:
        return to_json(raw).decode()
    except ValueError:
        return json.dumps(raw)


def _name(told: ToldToken) -> _Name:
    return told.country_code.upper(), told.party_id.upper(), told.uid.upper(), told.type


def _of(partner: Partner, owner: tuple[str, str]) -> QuerySet[Token]:
    return Token.objects.filter(
        fleet=partner.organisation_id,
        country_code__iexact=owner[0],
        party_id__iexact=owner[1],
        told__isnull=False,
    )
