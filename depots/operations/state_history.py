"""The history of states is kept with what changes them, and forgotten in time."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import connection

from depots.models import Charger, ConnectionChange, Evse, EvseStatusChange

# Figures of 30 days, and some to spare.
KEPT_FOR = timedelta(days=35)
# An EVSE that flickers keeps its newest; a busy one has some forty changes a day.
KEPT_PER_EVSE = 4000

_FORGET = """
    DELETE FROM {table} WHERE id IN (
        SELECT id FROM (
            SELECT id, {at}, row_number() OVER (PARTITION BY {owner} ORDER BY id DESC) AS age,
                lead({at}) OVER (PARTITION BY {owner} ORDER BY id) AS until
            FROM {table}
        ) AS aged WHERE until < %s OR age > %s
    )
"""
# Locked whoever has the lease, and looked at then: who just gives it up is waited for.
_CAME_ONLINE = """
    WITH come AS MATERIALIZED (
        SELECT id, lease_holder FROM depots_charger WHERE id = %s FOR NO KEY UPDATE
    )
    INSERT INTO depots_connectionchange (charger_id, at, is_online)
    SELECT id, %s, true FROM come WHERE lease_holder = ''
"""


def note_status(evse: Evse, before: str) -> None:
    """Of an EVSE that was just written."""
    if evse.status != before and evse.status_at is not None and evse.status_received_at is not None:
        EvseStatusChange.objects.create(
            evse=evse,
            at=evse.status_at,
            received_at=evse.status_received_at,
            status=evse.status,
            error_code=evse.error_code,
        )


def note_online(charger_id: int, *, now: datetime) -> None:
    """Before its lease is taken: one that is held by a dead gateway was never offline."""
    with connection.cursor() as cursor:
        cursor.execute(_CAME_ONLINE, [charger_id, now])


def note_offline(chargers: Collection[Charger], *, at: datetime, is_by_gateway: bool = False) -> None:
    """Of chargers whose lease the caller gives up."""
    ConnectionChange.objects.bulk_create(
        ConnectionChange(charger=charger, at=at, is_online=False, is_by_gateway=is_by_gateway)
        for charger in chargers
    )


def forget_old_history(*, now: datetime) -> None:
    """All that was over 35 days ago, and of an EVSE or charger all but its newest 4000. What still holds stays."""
    with connection.cursor() as cursor:
        for table, owner, at in (
            ("depots_evsestatuschange", "evse_id", "received_at"),
            ("depots_connectionchange", "charger_id", "at"),
        ):
            cursor.execute(_FORGET.format(table=table, owner=owner, at=at), [now - KEPT_FOR, KEPT_PER_EVSE])
