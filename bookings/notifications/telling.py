"""Which events are told next: each once, none skipped, those of a booking in their order (docs/decisions/0154).

An event's number is given at its insert and seen at its commit, so "all above the last number" would skip what commits late.
Each event keeps the transaction that wrote it, and those are told of which no older transaction is open. Within one such
window they go by number, since the lock of their booking gave those in order, and transactions are numbered before they wait
for a lock. What is told is written with the cursor: killed anywhere, it is told again from where it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import InterfaceError, OperationalError, connection, transaction

from bookings.models import BookingEvent, Occurrence, TellingCursor, UntoldEvent
from bookings.notifications import expansion

logger = logging.getLogger(__name__)
Told = BookingEvent | Occurrence

AT_ONCE = 500

# Before it every transaction of this database is over. A cluster counts for all its databases, and others' may be open for hours.
# The snapshot is older than what is read of sessions: whoever is not among those by then has committed what a later statement
# sees, or began behind it. `backend_xid` lacks the upper half that the snapshot's has.
_ALL_OVER = """
WITH behind AS (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xid)
SELECT least(
    (SELECT xid FROM behind),
    (
        SELECT min(xid - step + CASE WHEN step < -2147483648 THEN -4294967296 WHEN step > 2147483648 THEN 4294967296 ELSE 0 END)
        FROM (
            SELECT xid, (xid & 4294967295) - backend_xid::text::bigint AS step
            FROM pg_stat_activity, behind
            WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()
        ) AS open
    )
)
"""
_WINDOW = """
SELECT id FROM bookings_bookingevent
WHERE xid >= %s::text::xid8 AND xid < %s::text::xid8 AND id > %s ORDER BY id LIMIT %s
"""
_WAITING = """
SELECT EXISTS (SELECT FROM bookings_occurrence)
    OR EXISTS (
        SELECT FROM bookings_bookingevent
        WHERE xid >= coalesce((SELECT from_xid FROM bookings_tellingcursor), 0)::text::xid8
    )
    OR EXISTS (
        SELECT FROM bookings_tellingcursor WHERE from_xid > pg_snapshot_xmax(pg_current_snapshot())::text::bigint
    )
"""
# In another database cluster transactions are counted from another number: after a restore what is not told yet counts as
# written now, and what was told is none of ours any more.
_MOVED = """
UPDATE bookings_bookingevent
SET xid = CASE
    WHEN id > %(highest)s OR xid >= %(to)s::text::xid8 OR (xid >= %(from)s::text::xid8 AND id > %(last)s)
    THEN pg_current_xact_id() END
WHERE xid IS NOT NULL
"""
_QUIET = "UPDATE bookings_bookingevent SET xid = NULL WHERE xid = pg_current_xact_id() AND at < %s"


@dataclass(frozen=True)
class _Window:
    """The transactions of which all events are told next."""

    from_xid: int
    to_xid: int
    last_id: int


def is_anything_waiting() -> bool:
    """Whether a look is worth its locks; what is still open counts too."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING)
        return bool(cursor.fetchone()[0])


def tell_all(*, now: datetime, at_once: int = AT_ONCE) -> int:
    """Tell all there is, a batch a transaction; how many events that were."""
    told = 0
    while (number := tell_some(now=now, at_once=at_once)) is not None:
        told += number
        if number < at_once:
            break
    return told


def tell_some(*, now: datetime, at_once: int = AT_ONCE) -> int | None:
    """Tell one batch; how many events that were, None while another worker is at it."""
    TellingCursor.objects.bulk_create([TellingCursor()], ignore_conflicts=True)
    with transaction.atomic():
        cursor = TellingCursor.objects.select_for_update(skip_locked=True).first()
        if cursor is None:
            return None
        _tell_occurrences(now=now, at_once=at_once)
        window = _window(cursor)
        ids = _ids(window, at_once)
        if ids:
            _tell(_events(ids), expansion.tell, now)
        if ids or cursor.to_xid is not None:
            _advance(cursor, window, ids, is_over=len(ids) < at_once)
        return len(ids)


def keep_quiet(*, before: datetime) -> None:
    """Of what the caller's transaction has written, that which happened before a moment is history and told to nobody."""
    with connection.cursor() as cursor:
        cursor.execute(_QUIET, [before])
    Occurrence.objects.filter(at__lt=before).delete()


def _window(cursor: TellingCursor) -> _Window:
    """The one that is under way, or all up to the oldest transaction that is open."""
    over = _number(_ALL_OVER)
    if over < cursor.from_xid:
        with connection.cursor() as statement:
            told = {"highest": cursor.highest_id, "from": cursor.from_xid, "last": cursor.last_id}
            statement.execute(_MOVED, {**told, "to": cursor.to_xid or cursor.from_xid})
        cursor.from_xid, cursor.to_xid, cursor.last_id = 0, None, 0
        cursor.save()
    if cursor.to_xid is not None:
        return _Window(cursor.from_xid, cursor.to_xid, cursor.last_id)
    return _Window(cursor.from_xid, over, 0)


def _ids(window: _Window, most: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(_WINDOW, [window.from_xid, window.to_xid, window.last_id, most])
        return [pk for (pk,) in cursor.fetchall()]


def _advance(cursor: TellingCursor, window: _Window, ids: list[int], *, is_over: bool) -> None:
    if is_over:
        cursor.from_xid, cursor.to_xid, cursor.last_id = window.to_xid, None, 0
    else:
        cursor.to_xid, cursor.last_id = window.to_xid, ids[-1]
    cursor.highest_id = max([cursor.highest_id, *ids])
    cursor.save()


def _events(ids: list[int]) -> list[BookingEvent]:
    return list(BookingEvent.objects.filter(pk__in=ids).order_by("pk"))


def _tell_occurrences(*, now: datetime, at_once: int) -> None:
    """They need no cursor: what is seen is committed, and is gone with what it became."""
    found = list(Occurrence.objects.order_by("pk")[:at_once])
    if found:
        _tell(found, expansion.tell_occurrences, now)
        Occurrence.objects.filter(pk__in=[occurrence.pk for occurrence in found]).delete()


def _tell(found: Sequence[Told], tell: Callable[..., None], now: datetime) -> None:
    """Tell them in order. One that cannot be told, beside others that can, holds up no other: it is set aside and said aloud.
    Where nothing can be told it is no fault of theirs, and all is told again."""
    faults = _untold(found, tell, now)
    if faults and len(faults) == len(found):
        raise faults[-1][1]
    for one, fault in faults:
        _set_aside(one, fault, now)


def _untold(found: Sequence[Told], tell: Callable[..., None], now: datetime) -> list[tuple[Told, Exception]]:
    """Those that could not be told, found by halves; what fails with the database is raised."""
    try:
        with transaction.atomic():
            tell(found, now=now)
    except (OperationalError, InterfaceError):
        raise
    except Exception as fault:
        if len(found) == 1:
            return [(found[0], fault)]
        half = len(found) // 2
        return [*_untold(found[:half], tell, now), *_untold(found[half:], tell, now)]
    return []


def _set_aside(one: BookingEvent | Occurrence, fault: Exception, now: datetime) -> None:
    logger.error("An event cannot be told and is set aside", exc_info=fault, extra={"event": one.pk})
    if isinstance(one, BookingEvent):
        UntoldEvent.objects.create(event=one, error=repr(fault)[:300], at=now)
    else:
        content = {
            "kind": one.kind,
            "type": one.feed_type,
            "organisation": one.organisation_id,
            "params": one.params,
        }
        UntoldEvent.objects.create(occurrence=content, error=repr(fault)[:300], at=now)


def _number(statement: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return int(cursor.fetchone()[0])
