"""The log of what was said to partners: bounded, without tokens, for whoever has to find out what happened."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple, get_type_hints

from django.db import connection

from depots import round_trips
from roaming.models import PartnerMessage
from roaming.ocpi.client import Exchange


class IncomingMessage(NamedTuple):
    """A partner's request and our answer, as columns of PartnerMessage."""

    partner_id: int
    at: datetime
    method: str
    url: str
    request_id: str
    correlation_id: str
    request_headers: str
    request_body: str
    http_status: int
    status_code: int
    outcome: str
    response_headers: str
    response_body: str
    took_ms: int


_TYPES = {int: "bigint", str: "text", datetime: "timestamptz"}
_VALUES = ", ".join(f"%s::{_TYPES[kind]}" for kind in get_type_hints(IncomingMessage).values())
_INCOMING = round_trips.Prepared(f"""
INSERT INTO roaming_partnermessage (is_incoming, error, {", ".join(IncomingMessage._fields)})
SELECT true, '', {_VALUES} FROM set_config('synchronous_commit', 'off', true)
""")  # noqa: S608 - made of constants
KEPT = timedelta(days=14)
KEPT_PER_PARTNER = 5_000
LOOKED_AT = timedelta(hours=1)
# Whoever says so much in so short a time, more than a rate usually allows, is not waited for until then.
FLOOD, FLOOD_WITHIN = 4_000, timedelta(minutes=2)
# Counting the rows of everybody would read them all.
_KEEP_NEWEST = """
DELETE FROM roaming_partnermessage m
USING (
    SELECT partner_id FROM roaming_partnermessage WHERE at > %(since)s AND partner_id IS NOT NULL
    GROUP BY partner_id HAVING count(*) > %(many)s
) p
CROSS JOIN LATERAL (
    SELECT at, id FROM roaming_partnermessage WHERE partner_id = p.partner_id
    ORDER BY at DESC, id DESC OFFSET %(kept)s LIMIT 1
) first_gone
WHERE m.partner_id = p.partner_id AND (m.at, m.id) <= (first_gone.at, first_gone.id)
"""


def record(exchanges: list[Exchange], *, now: datetime) -> None:
    """Store what we said and what we heard back."""
    PartnerMessage.objects.bulk_create(
        PartnerMessage(
            partner_id=said.partner_id,
            at=now,
            is_incoming=False,
            method=said.method,
            url=said.url[:500],
            request_id=said.request_id,
            correlation_id=said.correlation_id[:64],
            request_headers=said.request_headers,
            request_body=said.request_body,
            http_status=said.http_status,
            status_code=said.status_code,
            outcome=_outcome(said),
            response_headers=said.response_headers,
            response_body=said.response_body,
            error=said.error[:300].replace("\x00", ""),
            took_ms=said.took_ms,
        )
        for said in exchanges
    )


def _outcome(said: Exchange) -> PartnerMessage.Outcome:
    if said.is_answered:
        return PartnerMessage.Outcome.OK
    return PartnerMessage.Outcome.REFUSED if said.is_refused else PartnerMessage.Outcome.FAILED


def outcome_of_answer(http_status: int, status_code: int) -> PartnerMessage.Outcome:
    """Of an answer of ours, by both of its layers."""
    if http_status >= 500 or 3000 <= status_code < 4000:
        return PartnerMessage.Outcome.FAILED
    is_yes = http_status < 400 and status_code < 2000
    return PartnerMessage.Outcome.OK if is_yes else PartnerMessage.Outcome.REFUSED


def record_incoming(said: IncomingMessage) -> None:
    """Store what a partner said and what we answered, before the answer leaves.

    The answer does not wait for this line to be on the disk: a crash of the database can take the last moment's lines with it,
    never what they tell of.
    """
    round_trips.send(_INCOMING, said)


def forget_old(*, now: datetime) -> int:
    """Delete what is older than two weeks, and all but the newest few thousand of each partner. Says how many went.

    Called at least every LOOKED_AT: only who said something since can have too many.
    """
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM roaming_partnermessage WHERE at < %s", [now - KEPT])
        gone = cursor.rowcount
        cursor.execute(_KEEP_NEWEST, {"since": now - LOOKED_AT, "many": 0, "kept": KEPT_PER_PARTNER})
        return int(gone + cursor.rowcount)


def forget_floods(*, now: datetime) -> int:
    """Delete all but the newest few thousand of who says very much just now. Says how many went. For every minute."""
    with connection.cursor() as cursor:
        cursor.execute(_KEEP_NEWEST, {"since": now - FLOOD_WITHIN, "many": FLOOD, "kept": KEPT_PER_PARTNER})
        return int(cursor.rowcount)
