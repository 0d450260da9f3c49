"""Less power than was promised, by what a booking's history says of it: what a fee is waived by."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from bookings.models import Booking, ExternalLimit
from depots.periods import Period

WHY = "no_power"
# A promise that was not kept for so long in all, or all of a shorter charging, costs nothing: neither the booking, nor the time
# that was needed after it.
WAIVED_FROM = timedelta(minutes=5)


def announced(booking: Booking, window: Period) -> Iterator[Period]:
    """Limits from outside in that time of which the booking was told that they reach its promise. What it was promised by a later
    change took them into account."""
    told = booking.events.filter(kind__in=["power_limited", "changed"]).order_by("id")
    limited: list[dict[str, Any]] = []
    for event in told:
        limited = [*limited, event.detail] if event.kind == "power_limited" else []
    if not limited:
        return
    limits = ExternalLimit.objects.filter(
        depot=booking.depot_id, starts_at__lt=window.ends_at, ends_at__gt=window.starts_at
    )
    for limit in limits:
        detail = {"limit_w": limit.watts, "period": Period(limit.starts_at, limit.ends_at).as_json()}
        ends_at = min(limit.ends_at, limit.lifted_at or limit.ends_at)
        if max(limit.starts_at, window.starts_at) < ends_at and any(
            detail.items() <= each.items() for each in limited
        ):
            yield Period(limit.starts_at, ends_at)


def happened(booking: Booking, until: datetime) -> Iterator[Period]:
    """When who charged, or was awaited in its slot, had less than its promise; what is not told to be over lasts to the end."""
    since: datetime | None = None
    end = min(until, booking.ends_at)
    for event in booking.events.filter(kind__in=["power_short", "power_restored"]).order_by("id"):
        if since is not None and since < min(event.at, end):
            yield Period(since, min(event.at, end))
        since = None
        if event.kind == "power_short":
            since = datetime.fromisoformat(event.detail.get("since") or event.at.isoformat())
    if since is not None and since < end:
        yield Period(since, end)


def waives(booking: Booking, *, since: datetime, until: datetime) -> bool:
    """Whether a charging in that time costs its energy alone."""
    spells = list(happened(booking, until))
    if sum((spell.duration for spell in spells), timedelta()) >= WAIVED_FROM:
        return True
    return any(spell.starts_at <= since and until <= spell.ends_at for spell in spells)
