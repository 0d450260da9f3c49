"""When a charger may be out of service without breaking a promise."""

from __future__ import annotations

from datetime import datetime, timedelta

from bookings.models import LIVE, Booking, Occupancy
from depots.models import Charger, ChargingSession
from depots.periods import Period

# No further ahead is looked for a gap.
FURTHEST = timedelta(days=7)


def bookings_in(charger: Charger, period: Period) -> list[Booking]:
    """Live bookings whose occupied span at one of its EVSEs overlaps the period, the first first."""
    taken = Occupancy.objects.filter(evse__charger=charger, span__overlap=period, kind=Occupancy.Kind.BOOKING)
    rows = Booking.objects.filter(pk__in=taken.values("holder"), status__in=LIVE)
    return list(rows.select_related("evse", "fleet", "depot").order_by("starts_at", "pk"))


def running_sessions(charger: Charger) -> list[ChargingSession]:
    return list(charger.sessions.filter(ended_at__isnull=True).select_related("evse").order_by("started_at"))


def next_gap(charger: Charger, length: timedelta, *, now: datetime) -> datetime | None:
    """The first moment from which none of its EVSEs is taken for so long; None within a week."""
    within = Period(now, now + FURTHEST)
    taken = Occupancy.objects.filter(evse__charger=charger, span__overlap=within).values_list(
        "span", flat=True
    )
    at = now
    for span in sorted(taken, key=lambda span: span.starts_at):
        if span.starts_at - at >= length:
            break
        at = max(at, span.ends_at)
    return at if at + length <= within.ends_at else None
