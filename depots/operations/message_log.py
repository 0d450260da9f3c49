"""The raw log of frames: kept for a while, bounded per charger by number and size."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from depots.models import ChargerMessage

KEPT_FOR = timedelta(days=14)
KEPT_PER_CHARGER, KEPT_BYTES_PER_CHARGER = 2000, 256 * 1024
LONGEST_FRAME = 8000


class LoggedFrame(NamedTuple):
    """One ChargerMessage to be; no model's instance, for most of a gateway's messages come to two."""

    charger_id: int
    at: datetime
    is_incoming: bool
    action: str
    frame: str


def keep_messages(messages: Sequence[LoggedFrame]) -> None:
    """Write frames down, cut to a sensible length. Frames of a charger that was deleted meanwhile are dropped."""
    columns: list[Any] = [
        [message.charger_id for message in messages],
        [message.at for message in messages],
        [message.is_incoming for message in messages],
        [message.action[:60] for message in messages],
        [message.frame[:LONGEST_FRAME] for message in messages],
    ]
    with connection.cursor() as cursor:
        # Not bulk_create: one foreign key to a deleted charger would lose the whole batch.
        cursor.execute(
            """
            INSERT INTO depots_chargermessage (charger_id, at, is_incoming, action, frame)
            SELECT charger_id, told.at, told.is_incoming, told.action, told.frame
            FROM unnest(%s::bigint[], %s::timestamptz[], %s::boolean[], %s::text[], %s::text[])
                WITH ORDINALITY AS told (charger_id, at, is_incoming, action, frame, place)
            JOIN depots_charger AS charger ON charger.id = told.charger_id
            ORDER BY place
            """,
            columns,
        )


def forget_old_messages(*, now: datetime) -> None:
    """Drop what is older than two weeks, and all but the newest frames of each charger: 2000, and as many as 256 KB hold."""
    ChargerMessage.objects.filter(at__lt=now - KEPT_FOR).delete()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            DELETE FROM depots_chargermessage WHERE id IN (
                SELECT id FROM (
                    SELECT id, row_number() OVER newest AS place, sum(octet_length(frame)) OVER newest AS size
                    FROM depots_chargermessage
                    WINDOW newest AS (PARTITION BY charger_id ORDER BY at DESC, id DESC)
                ) AS counted WHERE place > %s OR size > %s
            )
            """,
            [KEPT_PER_CHARGER, KEPT_BYTES_PER_CHARGER],
        )
