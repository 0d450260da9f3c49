"""Chargers that come, go, or tell their statuses in the same moment: what follows for their bookings, a few statements for all.

Each function stands beside one for a single charger or EVSE (charger_events.py). It acts where nothing else follows than a
state, and a reservation that is asked for again, and gives the ids of all others, untouched: those are done one by one. Who
calls has locked chargers and EVSEs without waiting for anybody; their bookings are locked so, too (docs/decisions/0099).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, F, OuterRef

from bookings.core.locking import lock_free_bookings
from bookings.enforcement.arming import behind_others, reservation
from bookings.enforcement.charger_events import asks_for_a_try, is_lost_with_its_charger, left_over_reboot
from bookings.enforcement.occupants import running_bookings
from bookings.enforcement.reserving_together import ask_again, only_reservable
from bookings.enforcement.state import AT_CHARGER, RETRY, is_wanted, set_states
from bookings.models import Booking, BookingStatus, Enforcement, KeptEvse, Occupancy
from depots import operations as depots
from depots.models import Charger, Evse
from depots.queries import standing_reservations


@dataclass(frozen=True)
class _Found:
    """By EVSE the bookings whose reservation may stand there or should, locked, in order of time. `left` are EVSEs where somebody
    has locked one of them, or one concerns another EVSE as well."""

    bookings: Mapping[int, list[Booking]]
    left: set[int]

    def of(self, evse_ids: Iterable[int]) -> list[Booking]:
        return [booking for evse_id in evse_ids for booking in self.bookings.get(evse_id, ())]


def take_disconnected(chargers: Collection[Charger], *, now: datetime) -> set[int]:
    """Beside `charger_disconnected`; ids of the chargers that are left to it."""
    evses = _evses_of(chargers)
    found = _lock_bookings_at([pk for ids in evses.values() for pk in ids])
    left = {charger_id for charger_id, ids in evses.items() if found.left & ids}
    gone = [pk for charger_id, ids in evses.items() if charger_id not in left for pk in ids]
    lost = [booking for booking in found.of(gone) if is_lost_with_its_charger(booking)]
    set_states(lost, Enforcement.AT_RISK, why="offline", retry_at=now + RETRY, now=now)
    return left


def take_connected(rebooted: Mapping[Charger, bool], *, now: datetime) -> set[int]:
    """Beside `charger_connected`; ids of the chargers that are left to it."""
    evses = _evses_of(rebooted)
    found = _lock_bookings_at([pk for ids in evses.values() for pk in ids])
    here = {charger_id: found.of(ids) for charger_id, ids in evses.items()}
    wanted = {pk: [b for b in bookings if _is_to_stand(b, now)] for pk, bookings in here.items()}
    ids = {booking.reservation_id for bookings in wanted.values() for booking in bookings}
    left = {charger_id for charger_id, evse_ids in evses.items() if found.left & evse_ids}
    left |= _with_more_to_it(rebooted, ids, now)
    open_ones = {b.pk: b for pk, bookings in wanted.items() if pk not in left for b in bookings}
    plain = {booking.pk for booking in _only_asked_again(list(open_ones.values()), now)}
    left |= {pk for pk, bookings in wanted.items() if any(b.pk not in plain for b in bookings)}
    restarted = {charger: here.get(charger.pk, []) for charger, is_boot in rebooted.items() if is_boot}
    _take_restarts({c: bookings for c, bookings in restarted.items() if c.pk not in left}, now)
    again = [b for pk, bookings in wanted.items() if pk not in left for b in bookings]
    ask_again(again, reservation, now=now)
    set_states(again, Enforcement.DUE, retry_at=now + RETRY, is_armed=True, now=now)
    return left


def take_statuses(befores: Mapping[Evse, str], *, now: datetime) -> set[int]:
    """Beside `evse_status_changed` and `evse_status_repeated`; ids of the EVSEs that are left to them. They show what they have
    told, which is not written yet."""
    found = _lock_bookings_at([evse.pk for evse in befores])
    left = found.left & {evse.pk for evse in befores}
    tries: dict[Booking, Evse] = {}
    free = []
    for evse, before in befores.items():
        bookings = found.bookings.get(evse.pk, [])
        if evse.status == before and not any(b.enforcement == Enforcement.AT_RISK for b in bookings):
            continue
        if evse.kept_for is not None or evse.is_out_of_order or evse.told_status == Evse.Status.CHARGING:
            left.add(evse.pk)
        if evse.told_status in {Evse.Status.AVAILABLE, Evse.Status.RESERVED}:
            free.append(evse.pk)
        asked = [b for b in bookings if is_wanted(b, evse) and asks_for_a_try(b, evse, before)]
        tries.update(dict.fromkeys(asked, evse))
    left |= _kept_for_vehicles(free, now)
    at_risk = [b for b, e in tries.items() if e.pk not in left and b.enforcement == Enforcement.AT_RISK]
    plain = set(_only_asked_again([b for b in at_risk if _is_to_stand(b, now)], now))
    left |= {evse.pk for booking, evse in tries.items() if booking not in plain}
    again = [booking for booking in plain if tries[booking].pk not in left]
    ask_again(again, reservation, now=now)
    Booking.objects.filter(pk__in=[b.pk for b in again]).update(next_try_at=now + RETRY, armed_evse=F("evse"))
    return left


def _evses_of(chargers: Collection[Charger]) -> dict[int, set[int]]:
    """By charger, of those too that have none."""
    found: dict[int, set[int]] = {charger.pk: set() for charger in chargers}
    for evse_id, charger_id in (
        Evse.objects.filter(charger__in=chargers).order_by().values_list("pk", "charger_id")
    ):
        if charger_id is not None:
            found[charger_id].add(evse_id)
    return found


def _lock_bookings_at(evse_ids: Collection[int]) -> _Found:
    """The EVSEs are locked: whoever comes here or leaves does it before or after."""
    live = Booking.objects.filter(status=BookingStatus.CONFIRMED, enforcement__in=AT_CHARGER).order_by()
    booked = live.filter(evse__in=evse_ids).values_list("pk", "evse_id")
    places: dict[int, set[int]] = defaultdict(set)
    for pk, evse_id in booked.union(live.filter(armed_evse__in=evse_ids).values_list("pk", "armed_evse_id")):
        places[pk].add(evse_id)
    locked = {booking.pk: booking for booking in (lock_free_bookings(places) if places else ())}
    left: set[int] = set()
    bookings: dict[int, list[Booking]] = defaultdict(list)
    for pk, at in places.items():
        booking = locked.get(pk)
        if booking is None or {booking.evse_id, booking.armed_evse_id} - {None} != at:
            left |= at
        else:
            bookings[at.copy().pop()].append(booking)
    for each in bookings.values():
        each.sort(key=lambda booking: booking.starts_at)
    return _Found(bookings, left)


def _is_to_stand(booking: Booking, now: datetime) -> bool:
    return is_wanted(booking) and booking.no_show_at() > now


def _with_more_to_it(chargers: Collection[Charger], wanted: set[int], now: datetime) -> set[int]:
    """Chargers where something is to be taken back, is kept otherwise, or charges and was taken for lost."""
    standing = {
        pk for pk, reservation_id in standing_reservations(chargers, now=now) if reservation_id not in wanted
    }
    kept = KeptEvse.objects.filter(charger__in=chargers, over_at__isnull=True)
    lost = running_bookings().filter(session__charger__in=chargers, interrupted_why="offline")
    rows = kept.values_list("charger_id").union(lost.order_by().values_list("session__charger_id"))
    return standing | {charger_id for (charger_id,) in rows}


def _only_asked_again(bookings: Collection[Booking], now: datetime) -> list[Booking]:
    """Those for which nothing but the reservation follows."""
    if not bookings:
        return []
    waits = behind_others(bookings, now)
    firm = [b for b in bookings if b.enforcement != Enforcement.SOFT and b.pk not in waits]
    return only_reservable(firm, now)


def _take_restarts(restarted: Mapping[Charger, list[Booking]], now: datetime) -> None:
    """Whether they kept what they held; their local lists are not known any more."""
    if not restarted:
        return
    seen = {charger: left_over_reboot(charger, bookings) for charger, bookings in restarted.items()}
    for what in ("kept", "forgot"):
        evidence = {charger: left.evidence for charger, left in seen.items() if left and left.seen == what}
        depots.measure_together(evidence, depots.OVER_REBOOT, what, now=now)
    depots.forget_lists([charger.pk for charger in restarted], now=now)


def _kept_for_vehicles(evse_ids: Collection[int], now: datetime) -> set[int]:
    """EVSEs where a completed booking keeps the place until its vehicle has left."""
    if not evse_ids:
        return set()
    over = Booking.objects.filter(pk=OuterRef("holder"), status=BookingStatus.COMPLETED)
    present = Occupancy.objects.filter(
        Exists(over), evse__in=evse_ids, kind=Occupancy.Kind.BOOKING, span__contains=now
    )
    return set(present.order_by().values_list("evse_id", flat=True))
