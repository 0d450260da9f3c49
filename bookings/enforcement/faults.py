"""What kept a vehicle from charging in its slot, by what charger and depot were seen to do: a no-show then costs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from bookings.enforcement.state import charger_of
from bookings.models import Booking, Closure, Enforcement
from bookings.rules import power_shortage
from depots.models import ChargerCommand, Evse, Fallback, LocalList
from depots.past_states import past_states, past_statuses
from depots.periods import Period
from depots.queries import is_online
from depots.uptime import Condition

# A connection drops for seconds many times a day, and nobody is kept from charging by that.
LEAST = timedelta(minutes=1)
MOST_ANSWERS = 5
_ABOUT_THE_SLOT = [
    ChargerCommand.Action.RESERVE,
    ChargerCommand.Action.AVAILABILITY,
    ChargerCommand.Action.SET_CHARGING_PROFILE,
]


@dataclass(frozen=True)
class Fault:
    """`why` is a code of ENFORCEMENT_WHY; `seen` lies within the time in which the vehicle was to come."""

    why: str
    seen: Period

    def to_json(self) -> dict[str, str]:
        return {"why": self.why, **self.seen.as_json()}


def faults_seen(booking: Booking, *, now: datetime) -> list[Fault]:
    """Of a locked booking whose time to come is over: what lasted a minute of it, or stood at its end, by its beginning."""
    window = Period(booking.starts_at, min(booking.no_show_at(), now))
    told = [
        *_risks(booking, window.ends_at),
        *_standing(booking, now),
        *_kept_states(booking, window),
        *_closures(booking, window),
        *_stale_list(booking, window, now),
        *_short_of_power(booking, window),
    ]
    found = [
        Fault(why, seen)
        for why in sorted({why for why, _, _ in told})
        for seen in _joined([(since, until) for each, since, until in told if each == why], window)
        if seen.duration >= LEAST or seen.ends_at == window.ends_at
    ]
    return sorted(found, key=lambda fault: fault.seen.starts_at)


def _joined(spells: Iterable[tuple[datetime, datetime]], window: Period) -> list[Period]:
    """What of them lies in the window; those that overlap or touch are one, for the same is seen in more than one way."""
    joined: list[Period] = []
    for since, until in sorted(spells):
        starts_at, ends_at = max(since, window.starts_at), min(until, window.ends_at)
        if joined and starts_at <= joined[-1].ends_at:
            joined[-1] = Period(joined[-1].starts_at, max(joined[-1].ends_at, ends_at))
        elif starts_at < ends_at:
            joined.append(Period(starts_at, ends_at))
    return joined


def evidence(faults: list[Fault]) -> dict[str, Any]:
    """For the timeline; `why` is what lasted longest."""
    longest = max(faults, key=lambda fault: fault.seen.duration)
    return {"fee": "no_show_fee", "why": longest.why, "seen": [fault.to_json() for fault in faults]}


def circumstances(booking: Booking, *, now: datetime) -> dict[str, Any]:
    """What charger and EVSE said around the time in which the vehicle was to come, for whoever disputes it later."""
    evse, charger = booking.evse, charger_of(booking)
    if evse is None or charger is None:
        return {}
    commands = charger.commands.filter(
        reservation_id=booking.reservation_id, action__in=_ABOUT_THE_SLOT
    ).order_by("-id")[:MOST_ANSWERS]
    told_at = evse.status_received_at
    return {
        "is_online": is_online(charger, now=now),
        "connected_at": charger.connected_at.isoformat() if charger.connected_at else None,
        "status": evse.told_status,
        "status_at": told_at.isoformat() if told_at else None,
        "enforcement": booking.enforcement,
        "answers": [
            {
                "action": c.action,
                "answer": c.answer or c.state,
                "at": (c.answered_at or c.created_at).isoformat(),
            }
            for c in reversed(commands)
        ],
    }


# What was seen: why, from when, until when.
_Spell = tuple[str, datetime, datetime]


def _risks(booking: Booking, end: datetime) -> Iterator[_Spell]:
    """As enforcement noted them; what is not noted to be over stands to the end."""
    why, since = "", booking.starts_at
    for event in booking.events.filter(kind__in=["enforcement", "changed"], at__lte=end).order_by("id"):
        if why:
            yield why, since, event.at
        is_risk = event.kind == "enforcement" and event.after == Enforcement.AT_RISK
        why, since = (str(event.detail.get("why", "")), event.at) if is_risk else ("", event.at)
    if why:
        yield why, since, end


def _standing(booking: Booking, now: datetime) -> Iterator[_Spell]:
    """As it is now, where nothing was noted: a slot that only the gate guards is at no risk by a charger that is away."""
    evse, charger = booking.evse, charger_of(booking)
    if evse is not None and evse.is_out_of_order:
        yield evse.status, evse.status_received_at or booking.starts_at, now
    if charger is not None and not is_online(charger, now=now):
        yield "offline", charger.lease_until or booking.starts_at, now
    if evse is not None and evse.shows_vehicle and not evse.is_out_of_order:
        # Whose vehicle that is nobody knows; it did not charge for this booking, and stood in its way.
        yield "occupied", evse.status_received_at or booking.starts_at, now


def _kept_states(booking: Booking, window: Period) -> Iterator[_Spell]:
    """By the history of states: a vehicle that stood in the bay and has left, a charger that was away and has come back."""
    evse = booking.evse
    if evse is None:
        return
    shown = past_statuses(evse, since=window.starts_at)
    for (since, status), (until, _) in pairwise([*shown, (window.ends_at, "")]):
        if status in {Evse.Status.OCCUPIED, Evse.Status.CHARGING}:
            yield "occupied", since, until
    connections = past_states([evse], since=window.starts_at)[evse.pk].connections
    for (since, condition), (until, _) in pairwise([*connections, (window.ends_at, Condition.UNKNOWN)]):
        if condition == Condition.OFFLINE:
            yield "offline", since, until


def _stale_list(booking: Booking, window: Period, now: datetime) -> Iterator[_Spell]:
    """A charger that was cut off in that time, and whose own list did not hold the booked tokens: it let nobody in."""
    charger = charger_of(booking)
    if charger is None or Fallback.LOCAL_LIST not in booking.depot.fallbacks:
        return
    kept = LocalList.objects.filter(charger=charger, is_refused=False).first()
    was_away = not is_online(charger, now=now) or (
        charger.connected_at is not None and charger.connected_at > window.starts_at
    )
    if kept is not None and was_away and (kept.synced_at is None or kept.synced_at > window.starts_at):
        yield "stale_list", window.starts_at, min(kept.synced_at or now, window.ends_at)


def _short_of_power(booking: Booking, window: Period) -> Iterator[_Spell]:
    told, seen = power_shortage.announced(booking, window), power_shortage.happened(booking, window.ends_at)
    for spell in (*told, *seen):
        yield power_shortage.WHY, spell.starts_at, spell.ends_at


def _closures(booking: Booking, window: Period) -> Iterator[_Spell]:
    rows = Closure.objects.filter(
        evse=booking.evse_id, starts_at__lt=window.ends_at, ends_at__gt=window.starts_at
    )
    for closure in rows:
        yield "closed", closure.starts_at, min(closure.ends_at, closure.lifted_at or closure.ends_at)
