"""The picture of a day beside each slot: what is taken, one's own, closed, and looked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any, NamedTuple

from django.db import connection
from django.utils.html import format_html
from django.utils.safestring import SafeString

from bookings.models import BookingStatus, Occupancy, OfferedSlot
from bookings.search.slots import SlotOffer, SlotSearch
from depots.models import Depot
from depots.periods import Period, gaps, spanning, united


class _Taken(NamedTuple):
    """What takes an EVSE; of one's own bookings also what scripts know them by."""

    span: Period
    kind: str
    booking_id: int | None
    status: str | None
    enforcement: str | None
    is_interrupted: bool


# Moments as seconds, for Django parses others one by one.
_TAKEN = """
    SELECT o.evse_id, extract(epoch FROM lower(o.span))::float8, extract(epoch FROM upper(o.span))::float8, o.kind,
           b.id, b.status, b.enforcement, b.interrupted_at IS NOT NULL
    FROM bookings_occupancy o
    LEFT JOIN bookings_booking b ON b.id = o.holder AND b.fleet_id = %(fleet)s
    WHERE o.evse_id = ANY (%(evses)s::bigint[]) AND o.span && tstzrange(%(starts_at)s, %(ends_at)s)
      AND o.holder NOT IN (SELECT id FROM bookings_booking WHERE status = %(held)s AND held_until <= %(now)s)
    ORDER BY o.evse_id, o.span
"""


class Strips:
    """The days of all EVSEs in the results, from two queries. Of others' time only that it is taken is kept."""

    def __init__(self, offers: Sequence[SlotOffer], search: SlotSearch) -> None:
        self._days: dict[int, Period] = {}
        self._closed: dict[int, list[Period]] = {}
        for offer in offers:
            depot = offer.option.depot
            if depot.pk not in self._days:
                day = self._days[depot.pk] = _day(depot, offer.period)
                site = offer.evse.depot if offer.evse else depot
                self._closed[depot.pk] = [] if depot.is_mirror else gaps(day, site.open_spans(day))
        evse_ids = [offer.evse.pk for offer in offers if offer.evse and not offer.is_hint]
        within = spanning(self._days.values())
        self._taken = _taken(evse_ids, within, search) if within and evse_ids else {}
        self._offered: dict[int, list[Period]] = {}
        for slot in OfferedSlot.objects.filter(option__in={o.option.pk for o in offers if o.is_hint}):
            self._offered.setdefault(slot.option_id, []).append(slot.period)

    def of(self, offer: SlotOffer) -> SafeString:
        """As SVG, a minute wide each unit, with the same in words for who cannot see it."""
        day = self._days[offer.option.depot_id]
        if offer.is_hint or offer.evse is None:
            free = united(self._offered.get(offer.option.pk, []))
            bars = [_bar("unknown", span, day) for span in gaps(day, free)]
        else:
            rows = self._taken.get(offer.evse.pk, [])
            free = gaps(day, [row.span for row in rows])
            bars = [*_occupied(rows, self._closed[offer.option.depot_id], day)]
        bars.append(_bar("wanted", offer.period, day, y=0, height=100))
        return _svg(int(day.minutes), "".join(bars), _words(free, day, offer.option.depot))


def _taken(evse_ids: list[int], within: Period, search: SlotSearch) -> dict[int, list[_Taken]]:
    """In order of time, by EVSE id. Holds that ran out count as free."""
    asked: dict[str, Any] = {
        "evses": evse_ids, "fleet": search.fleet.pk, "starts_at": within.starts_at, "ends_at": within.ends_at,
        "held": BookingStatus.HELD.value, "now": search.now,
    }  # fmt: skip
    found: dict[int, list[_Taken]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_TAKEN, asked)
        for evse_id, starts_at, ends_at, *rest in cursor.fetchall():
            span = Period(datetime.fromtimestamp(starts_at, UTC), datetime.fromtimestamp(ends_at, UTC))
            found.setdefault(evse_id, []).append(_Taken(span, *rest))
    return found


def _occupied(rows: Sequence[_Taken], closed: Iterable[Period], day: Period) -> Iterator[str]:
    for span in closed:
        yield _bar("closed", span, day)
    for span in united([row.span for row in rows if row.booking_id is None]):
        yield _bar("taken", span, day, " data-taken")
    for row in rows:
        if row.booking_id is not None:
            yield _bar("mine", row.span, day, _names(row))


def _names(row: _Taken) -> str:
    """The attributes by which scripts and tests know one's own booking."""
    if row.kind != Occupancy.Kind.BOOKING:
        return ""
    return format_html(
        ' data-booking="{}" data-status="{}" data-enforcement="{}"{}',
        row.booking_id, row.status, row.enforcement, SafeString(" data-interrupted" if row.is_interrupted else ""),
    )  # fmt: skip


def _svg(width: int, bars: str, words: str) -> SafeString:
    """`bars` are ours: numbers, and names that were escaped where they come from tables."""
    hours = "".join(f"M{hour * 60} 0V100" for hour in range(6, width // 60, 6))
    return format_html(
        '<svg class="strip" viewBox="0 0 {0} 100" preserveAspectRatio="none" role="img" aria-label="{1}">'
        '<rect class="strip-ground" width="{0}" height="100"/>{2}<path class="strip-hour" d="{3}"/></svg>',
        width, words, SafeString(bars), hours,
    )  # fmt: skip


def _bar(kind: str, span: Period, day: Period, names: str = "", y: int = 18, height: int = 64) -> str:
    """The part of a span that lies in the day; nothing where none does."""
    cut = span.intersection(day)
    if cut is None:
        return ""
    x, width = int((cut.starts_at - day.starts_at).total_seconds() // 60), max(1, round(cut.minutes))
    return f'<rect class="strip-{kind}" x="{x}" y="{y}" width="{width}" height="{height}"{names}/>'


def _words(free: Iterable[Period], day: Period, depot: Depot) -> str:
    zone = depot.zone
    cut = [span for period in free if (span := period.intersection(day))]
    spans = [f"{s.starts_at.astimezone(zone):%H:%M}–{s.ends_at.astimezone(zone):%H:%M}" for s in cut]
    return f"Free that day: {', '.join(spans)}" if spans else "Nothing free that day"


def _day(depot: Depot, period: Period) -> Period:
    """The local day a period starts on; 23 or 25 hours where the clocks change."""
    date = period.starts_at.astimezone(depot.zone).date()
    first = datetime.combine(date, time(), depot.zone)
    return Period(first, datetime.combine(date + timedelta(days=1), time(), depot.zone)).in_utc()
