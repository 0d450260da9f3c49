"""The booked tokens at chargers whose network is bad: who holds a slot may charge in it though nobody can be asked.

A list is for a whole charger and not for an EVSE, so it is the second lock that gives way: beside it reservations stand as
ever. It holds who is due or charges, until the end of the slot, and nobody else.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from bookings.core.one_by_one import each_by_itself
from bookings.enforcement.state import AT_CHARGER
from bookings.models import Booking, BookingStatus
from bookings.rules.identification import all_keys
from depots import operations as depots
from depots.models import Charger, Depot, Fallback, LocalList
from depots.periods import utc_text
from depots.token_numbers import on_the_wire

# A card that was blocked meanwhile is found by then.
LOOK_AGAIN = timedelta(minutes=5)


def follow_local_lists(*, now: datetime) -> int:
    """Have every charger's list hold its booked tokens, where the depot wants that. How many were looked at."""
    places = list(
        Depot.objects.filter(fallbacks__contains=[Fallback.LOCAL_LIST]).values_list("pk", flat=True)
    )
    lists = {kept.pk: kept for kept in LocalList.objects.exclude(wanted=[], held=[])}
    if not places and not lists:
        return 0
    present: dict[int, list[tuple[int, int]]] = defaultdict(list)
    here = _here(Q(depot__in=places, evse__charger__told__local_list=True)).order_by("pk")
    for charger_id, booking_id, version in here.values_list("evse__charger", "pk", "version"):
        if charger_id is not None:
            present[charger_id].append((booking_id, version))
    due = [pk for pk in {*present, *lists} if _is_due(lists.get(pk), present.get(pk, []), now)]
    return each_by_itself(sorted(due), lambda pk: _follow(pk, now))


def _here(where: Q) -> QuerySet[Booking]:
    """Bookings that are due at their charger or charge there."""
    is_due = Q(status=BookingStatus.CONFIRMED, enforcement__in=AT_CHARGER)
    return Booking.objects.filter(where, is_due | Q(status=BookingStatus.CHARGING)).exclude(
        route=Booking.Route.OUTBOUND
    )


def _is_due(kept: LocalList | None, present: list[tuple[int, int]], now: datetime) -> bool:
    if kept is None or kept.checked_at is None or kept.state_of_wanted != _state(present):
        return True
    is_late = kept.next_try_at is not None and kept.next_try_at <= now
    return is_late or (bool(present) and kept.checked_at <= now - LOOK_AGAIN)


def _state(present: Iterable[tuple[int, int]]) -> str:
    return hashlib.sha256(repr(list(present)).encode()).hexdigest()


def _follow(charger_id: int, now: datetime) -> int:
    charger = Charger.objects.select_related("depot").get(pk=charger_id)
    is_wanted = Fallback.LOCAL_LIST in charger.depot.fallbacks and charger.told.get("local_list") is True
    here = _here(Q(evse__charger=charger)).select_related("fleet").prefetch_related("tokens").order_by("pk")
    bookings = list(here) if is_wanted else []
    entries: dict[str, dict[str, Any]] = {}
    for booking in bookings:
        for entry in _entries(booking, charger):
            before = entries.get(entry["uid"].upper())
            if before is None or before["until"] < entry["until"]:
                entries[entry["uid"].upper()] = entry
    made_from = _state((booking.pk, booking.version) for booking in bookings)
    depots.want_list(charger_id=charger_id, entries=list(entries.values()), made_from=made_from, now=now)
    return 1


def _entries(booking: Booking, charger: Charger) -> Iterable[dict[str, Any]]:
    until = booking.ends_at + timedelta(minutes=booking.terms.late_stop_min)
    for uid, kind in all_keys(booking):
        name = on_the_wire(uid, kind, is_1_6=charger.speaks_1_6)
        yield {"uid": name, "type": kind, "group": booking.group, "until": utc_text(until)}
