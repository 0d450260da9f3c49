"""How calls between a partner and us fare: summed up from the message log, which is bounded, and read for lists and charts.

Sums are made anew of whole spans of ten minutes, never added to: a worker that comes late, or a second one, writes the same.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Aggregate, Max, Q, Sum
from django.db.models.functions import TruncHour

from roaming.models import PartnerMessage, PartnerTraffic

SPAN = timedelta(minutes=10)
KEPT = timedelta(days=14)
# A message is written down when it is over, at most this long after the moment it bears.
LATE = timedelta(minutes=2)

_SUM_UP = """
INSERT INTO roaming_partnertraffic AS kept
    (partner_id, starts_at, is_incoming, calls, refused, failed, took_ms, slowest_ms)
SELECT partner_id, date_bin('10 minutes', at, 'epoch'::timestamptz), is_incoming, count(*),
    count(*) FILTER (WHERE outcome = 'refused'), count(*) FILTER (WHERE outcome = 'failed'),
    sum(coalesce(took_ms, 0)), max(coalesce(took_ms, 0))
FROM roaming_partnermessage
WHERE at >= %(since)s AND partner_id IS NOT NULL
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
ON CONFLICT (partner_id, starts_at, is_incoming) DO UPDATE SET
    calls = EXCLUDED.calls, refused = EXCLUDED.refused, failed = EXCLUDED.failed, took_ms = EXCLUDED.took_ms,
    slowest_ms = EXCLUDED.slowest_ms
WHERE kept.calls < EXCLUDED.calls
"""
# Of many workers one sums up; the others have nothing to wait for.
_ALONE = "SELECT pg_try_advisory_xact_lock(hashtextextended('partner_traffic', 0))"


@dataclass(frozen=True)
class Fared:
    """Calls of a while, of one way or both."""

    calls: int = 0
    refused: int = 0
    failed: int = 0
    took_ms: int = 0
    slowest_ms: int = 0

    @property
    def percent_ok(self) -> int | None:
        """Whole percent that was answered with a yes, rounded down: 99 where one of a thousand was not."""
        return (self.calls - self.refused - self.failed) * 100 // self.calls if self.calls else None

    @property
    def mean_ms(self) -> int | None:
        return self.took_ms // self.calls if self.calls else None

    @property
    def answered(self) -> int:
        return self.calls - self.refused - self.failed


NOTHING_SAID = Fared()


@dataclass(frozen=True)
class Health:
    """How calls fared lately: of ours to the partner (`out`), and of its to us (`incoming`)."""

    out_hour: Fared = NOTHING_SAID
    out_day: Fared = NOTHING_SAID
    in_hour: Fared = NOTHING_SAID
    in_day: Fared = NOTHING_SAID


@dataclass(frozen=True)
class Hour:
    """One bar of a chart."""

    starts_at: datetime
    fared: Fared


def sum_up(*, now: datetime) -> None:
    """From the last span that may have been left unfinished; forgets what is older than two weeks."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_ALONE)
        if not cursor.fetchone()[0]:
            return
        cursor.execute(_SUM_UP, {"since": _unfinished_since(now)})
        PartnerTraffic.objects.filter(starts_at__lt=now - KEPT).delete()


def _unfinished_since(now: datetime) -> datetime:
    """The log keeps fewer messages than there were of a talkative partner: sums of older spans are never made again."""
    newest = PartnerTraffic.objects.aggregate(newest=Max("starts_at"))["newest"]
    if newest is None:
        oldest = PartnerMessage.objects.order_by("at").values_list("at", flat=True).first()
        return oldest or now
    return min(newest, _span_of(now - LATE))


def _span_of(moment: datetime) -> datetime:
    seconds = int(SPAN.total_seconds())
    return datetime.fromtimestamp(int(moment.timestamp()) // seconds * seconds, UTC)


def healths(partner_ids: Collection[int], *, now: datetime) -> dict[int, Health]:
    """By partner, of those that said something in a day. One query."""
    rows = PartnerTraffic.objects.filter(
        partner__in=partner_ids, starts_at__gt=now - timedelta(days=1) - SPAN
    )
    last_hour = Q(starts_at__gt=now - timedelta(hours=1) - SPAN)
    sums = (
        rows.values("partner", "is_incoming").annotate(**_sums("hour", last_hour), **_sums("day")).order_by()
    )
    found: dict[int, dict[str, Fared]] = {}
    for row in sums:
        way, of = "in" if row["is_incoming"] else "out", found.setdefault(row["partner"], {})
        of |= {f"{way}_hour": _fared("hour", row), f"{way}_day": _fared("day", row)}
    return {partner_id: Health(**fared) for partner_id, fared in found.items()}


def hours(partner_id: int, *, is_incoming: bool, now: datetime, number: int = 24) -> list[Hour]:
    """The last hours, oldest first, those without calls too."""
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    first = this_hour - timedelta(hours=number - 1)
    rows = PartnerTraffic.objects.filter(partner=partner_id, is_incoming=is_incoming, starts_at__gte=first)
    by_hour = rows.annotate(hour=TruncHour("starts_at", tzinfo=UTC)).values("hour").annotate(**_sums("all"))
    found = {row["hour"]: _fared("all", row) for row in by_hour.order_by()}
    starts = [first + timedelta(hours=n) for n in range(number)]
    return [Hour(start, found.get(start, Fared())) for start in starts]


def _sums(prefix: str, of: Q | None = None) -> dict[str, Aggregate]:
    """Fared's fields, each with a prefix."""
    kinds = {field.name: Max if field.name == "slowest_ms" else Sum for field in fields(Fared)}
    return {f"{prefix}_{name}": kind(name, filter=of) for name, kind in kinds.items()}


def _fared(prefix: str, row: Any) -> Fared:
    return Fared(**{field.name: row[f"{prefix}_{field.name}"] or 0 for field in fields(Fared)})
