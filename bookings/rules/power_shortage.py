"""Less power than was promised, by what a booking's history says of it: what a fee is waived by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Max

from bookings.models import Booking, BookingEvent, BookingStatus, ExternalLimit
from depots.periods import Period

WHY = "no_power"
# A promise that was not kept for so long in all, or all of a shorter charging, costs nothing: neither the booking, nor the time
# that was needed after it.
WAIVED_FROM = timedelta(minutes=5)
# Kinds of events from which `announcements` knows what stands.
TOLD_BY = ("power_limited", "power_limit_lifted", "changed")
_SPELLS_BY = ("power_short", "power_restored", "changed", "status", "session", "interrupted")


class Announcements(NamedTuple):
    """Events "power_limited" of a booking: those that stand, and those whose limit was lifted or replaced. What it was promised
    by a later change of time, EVSE or power took the limits of before into account."""

    standing: list[BookingEvent]
    lifted: list[BookingEvent]


def announcements(events: Iterable[BookingEvent]) -> Announcements:
    """From its events, in order."""
    found = Announcements([], [])
    for event in events:
        if event.kind == "power_limited":
            _take_away(found, event.detail.get("instead_of"))
            found.standing.append(event)
        elif event.kind == "changed" and _promises_anew(event):
            found.standing.clear()
        elif event.kind == "power_limit_lifted":
            _take_away(found, event.detail)
    return found


def _take_away(found: Announcements, limit: dict[str, Any] | None) -> None:
    told = next((each for each in found.standing if is_of(each, limit)), None) if limit else None
    if told is not None:
        found.standing.remove(told)
        found.lifted.append(told)


def _promises_anew(change: BookingEvent) -> bool:
    """Not another vehicle, card or reference: what is promised stands, and so does what was announced of it."""
    before, after = (change.detail.get(when, {}) for when in ("before", "after"))
    return any(before.get(name) != after.get(name) for name in ("period", "evse", "power_w"))


def detail_of(limit: ExternalLimit) -> dict[str, Any]:
    """How events name a limit, which may be made longer or shorter later."""
    period = Period(limit.starts_at, limit.ends_at).as_json()
    return {"limit": limit.pk, "limit_w": limit.watts, "period": period}


def is_of(event: BookingEvent, limit: dict[str, Any]) -> bool:
    """Whether it tells of the limit with that detail."""
    names = ["limit"] if "limit" in event.detail else ["limit_w", "period"]
    return all(event.detail[name] == limit.get(name) for name in names)


def announced(booking: Booking, window: Period) -> Iterator[Period]:
    """Limits from outside in that time of which the booking was told that they reach its promise; one that was lifted, up
    to then."""
    told = booking.events.filter(kind__in=["power_limited", "changed"]).order_by("id")
    limited = [event for events in announcements(told) for event in events]
    if not limited:
        return
    limits = ExternalLimit.objects.filter(
        depot=booking.depot_id, starts_at__lt=window.ends_at, ends_at__gt=window.starts_at
    )
    for limit in limits:
        detail = detail_of(limit)
        ends_at = min(limit.ends_at, limit.lifted_at or limit.ends_at)
        if max(limit.starts_at, window.starts_at) < ends_at and any(is_of(each, detail) for each in limited):
            yield Period(limit.starts_at, ends_at)


def happened(booking: Booking, until: datetime) -> Iterator[Period]:
    """When who charged, or was awaited, had less than its promise in its slot; what is not told to be over lasts to the end."""
    end = min(until, booking.ends_at)
    for since, over_at in _spells(booking.events.filter(kind__in=_SPELLS_BY).order_by("id")):
        starts_at, ends_at = max(since, booking.starts_at), min(over_at or end, end)
        if starts_at < ends_at:
            yield Period(starts_at, ends_at)


def _spells(events: Iterable[BookingEvent]) -> Iterator[tuple[datetime, datetime | None]]:
    """From when, until when; one that nothing ended is open."""
    since = broke_off_at = None
    for event in events:
        if since is not None and (over_at := _over_at(event, broke_off_at)) is not None:
            yield since, over_at
            since = broke_off_at = None
        if event.kind == "power_short":
            since, broke_off_at = _since(event), None
        elif event.kind == "interrupted" or event.after == BookingStatus.COMPLETED:
            broke_off_at = broke_off_at or event.at
    if since is not None:
        yield since, None


def _over_at(event: BookingEvent, broke_off_at: datetime | None) -> datetime | None:
    """When a spell of before was over, by what this event tells: with the place it was told of, and where charging broke off
    and goes on later; whatever is missing there is told anew."""
    match event.kind:
        case "power_short":
            return broke_off_at or _since(event)
        case "power_restored":
            return broke_off_at or event.at
        case "changed" if event.detail["before"]["evse"] != event.detail["after"]["evse"]:
            return broke_off_at or event.at
        case "status" | "session" if "instead_of" in event.detail:
            return broke_off_at or event.at
        case "session":
            return broke_off_at
    return None


def _since(short: BookingEvent) -> datetime:
    return datetime.fromisoformat(short.detail.get("since") or short.at.isoformat())


def waives(booking: Booking, *, since: datetime, until: datetime) -> bool:
    """Whether a charging in that time costs its energy alone. Of several in one booking, what was short counts over all."""
    if not any(happened(booking, booking.ends_at)):
        return False
    since = max(since, booking.starts_at)
    latest = booking.visits.aggregate(latest=Max("session__ended_at"))["latest"]
    short = list(happened(booking, max(until, latest or until)))
    if sum((spell.duration for spell in short), timedelta()) >= WAIVED_FROM:
        return True
    return any(spell.starts_at <= since and until <= spell.ends_at for spell in happened(booking, until))
