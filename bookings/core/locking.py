"""Locks in the one order that everything keeps: depots, EVSEs, bookings, tokens and vehicles; each by key.

`FOR NO KEY UPDATE` lets rows that point here be written meanwhile. Two overlapping inserts can deadlock on an
exclusion constraint alone; behind the EVSE's lock they queue.

What a decision rests on is read by a statement that begins after the lock is held. A statement that waited for its lock
gives the locked row as it is now, but what it joins to it as it was before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from django.db import transaction
from django.db.models import QuerySet

from bookings.core import booking_rows
from bookings.models import Booking, Occupancy
from depots import round_trips
from depots.models import Evse

# What a booking's operations read beside it.
ALL_AT_HAND = ("depot__operator", "option", "evse__charger", "fleet", "vehicle")


@dataclass(frozen=True)
class _LockSet:
    """What is locked before a booking: these EVSEs, and its depot or not."""

    evse_ids: frozenset[int]
    depot: bool

    def covers(self, other: _LockSet) -> bool:
        return self.evse_ids >= other.evse_ids and self.depot >= other.depot


def lock_depot(depot_id: int) -> None:
    _lock("depots_depot", [depot_id])


def lock_evses(evse_ids: Collection[int]) -> dict[int, Evse]:
    """The EVSEs by id, locked in key order and read again once they are, with depot and charger at hand."""
    rows = Evse.objects.filter(pk__in=set(evse_ids)).order_by("pk")
    locked = list(rows.select_for_update(no_key=True).values_list("pk", flat=True))
    return {evse.pk: evse for evse in rows.filter(pk__in=locked).select_related("depot__operator", "charger")}


def lock_booking(
    booking_id: int,
    *,
    also: Collection[int] | Callable[[Booking], Collection[int]] = (),
    depot: bool | Callable[[Booking], bool] = False,
) -> Booking:
    """The booking, with its EVSE locked before it and that of a change which waits; `also` more EVSEs, and its depot.

    It is read unlocked to learn what to lock and read again under the locks; when it needs others by now, all is done
    again. What is needed may be a function of the booking, which is asked both times. Raises Booking.DoesNotExist.
    """
    while True:
        known = booking_rows.alone(booking_id)
        needed = _lock_set(known, also, depot)
        with transaction.atomic():
            # A savepoint: locks taken under it are given back when it is rolled back.
            if needed.depot:
                lock_depot(known.depot_id)
            lock_ids(needed.evse_ids)
            booking = _lock_row(known)
            if needed.covers(_lock_set(booking, also, depot)):
                return booking
            transaction.set_rollback(True)


def lock_together(booking_ids: Collection[int]) -> list[Booking]:
    """Several bookings in key order, with what `lock_booking` locks before each, all of it before the first of them; whatever an
    operation then locks for one of them is locked already."""
    return lock_behind(booking_ids, lock_ids)


def lock_behind(booking_ids: Collection[int], lock: Callable[[Collection[int]], object]) -> list[Booking]:
    """The same where `lock` locks more before them than the EVSEs that it is given."""
    while True:
        needed = places_of(Booking.objects.filter(pk__in=booking_ids))
        with transaction.atomic():
            lock(needed)
            locked = lock_bookings(booking_ids)
            if places_of(locked) <= needed:
                return locked
            transaction.set_rollback(True)


def places_of(bookings: Iterable[Booking]) -> frozenset[int]:
    """The EVSEs where they are, and where a place is kept for a change or an offer beside them."""
    known = list(bookings)
    own = [booking.evse_id for booking in known if booking.evse_id]
    waiting = [booking.pk for booking in known if booking.decide_until is not None]
    kept: Iterable[int] = ()
    if waiting:
        places = Occupancy.objects.filter(holder__in=waiting, kind=Occupancy.Kind.PENDING)
        kept = places.values_list("evse_id", flat=True)
    return frozenset([*own, *kept])


def lock_ids(evse_ids: Collection[int]) -> None:
    """The EVSEs locked in key order, for callers that read what they need of them afterwards."""
    if evse_ids:
        _lock("depots_evse", sorted(set(evse_ids)))


def lock_bookings(booking_ids: Collection[int], *, at_hand: Sequence[str] = ALL_AT_HAND) -> list[Booking]:
    """Several bookings in key order, whose EVSEs the caller has locked, with what it reads of them."""
    return list(_rows(at_hand).filter(pk__in=booking_ids).order_by("pk"))


def lock_free_bookings(
    booking_ids: Collection[int], *, at_hand: Sequence[str] = ALL_AT_HAND
) -> list[Booking]:
    """Those of them that nobody else has locked: for what is done together, and waits for nobody."""
    return list(_rows(at_hand, skip_locked=True).filter(pk__in=booking_ids).order_by("pk"))


def _lock(table: str, keys: Sequence[int]) -> None:
    """Travels with what is read next: that begins once the locks are held, and nobody reads what the rows hold."""
    round_trips.send(_locking(table), [round_trips.bigints(keys)])


@cache
def _locking(table: str) -> str:
    return round_trips.Locking(
        f'SELECT FROM "{table}" WHERE "{table}"."id" = ANY(%s::bigint[]) ORDER BY "{table}"."id" FOR NO KEY UPDATE'
    )


def _lock_set(
    booking: Booking,
    also: Collection[int] | Callable[[Booking], Collection[int]],
    depot: bool | Callable[[Booking], bool],
) -> _LockSet:
    more = also(booking) if callable(also) else also
    return _LockSet(places_of([booking]) | frozenset(more), depot(booking) if callable(depot) else depot)


def _lock_row(known: Booking) -> Booking:
    if known.evse_id is None:
        # No EVSE's lock stands before it: here somebody may be waited for, and what is joined would be old.
        list(Booking.objects.select_for_update(no_key=True).filter(pk=known.pk).values_list("pk"))
    return booking_rows.locked(known.pk)


def _rows(at_hand: Sequence[str], *, skip_locked: bool = False) -> QuerySet[Booking]:
    rows = Booking.objects.select_for_update(no_key=True, of=("self",), skip_locked=skip_locked)
    return rows.select_related(*at_hand)
