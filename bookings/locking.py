"""Locks in the one order that everything keeps: depots, EVSEs, bookings, tokens and vehicles, options; each by key.

`FOR NO KEY UPDATE` lets rows that point here be written meanwhile. Two overlapping inserts can deadlock on an
exclusion constraint alone; behind the EVSE's lock they queue.
"""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction

from bookings.models import Booking, BookingOption
from depots.models import Depot, Evse


def lock_depot(depot_id: int) -> Depot:
    return Depot.objects.select_for_update(no_key=True).get(pk=depot_id)


def lock_evses(evse_ids: Collection[int]) -> dict[int, Evse]:
    """The EVSEs by id, locked in key order, with depot and charger at hand."""
    locked = (
        Evse.objects.filter(pk__in=set(evse_ids)).order_by("pk").select_for_update(no_key=True, of=("self",))
    )
    return {evse.pk: evse for evse in locked.select_related("depot__operator", "charger")}


def lock_booking(booking_id: int, *, also: Collection[int] = (), depot: bool = False) -> Booking:
    """The booking with its EVSE locked before it (and `also` more EVSEs; the depot first when asked for).

    It is read unlocked to learn its EVSE and read again under the lock; when it was moved in between, its EVSE's lock
    is missing and the whole is done again. Raises Booking.DoesNotExist.
    """
    while True:
        depot_id, evse_id = Booking.objects.values_list("depot_id", "evse_id").get(pk=booking_id)
        with transaction.atomic():
            # A savepoint: locks taken under it are given back when it is rolled back.
            if depot:
                lock_depot(depot_id)
            lock_evses({*also, *([evse_id] if evse_id else [])})
            booking = (
                Booking.objects.select_for_update(no_key=True, of=("self",))
                .select_related("depot__operator", "option", "evse__charger", "fleet", "vehicle")
                .get(pk=booking_id)
            )
            if booking.evse_id == evse_id:
                return booking
            transaction.set_rollback(True)


def lock_bookings(booking_ids: Collection[int]) -> list[Booking]:
    """Several bookings in key order, whose EVSEs the caller has locked."""
    rows = (
        Booking.objects.filter(pk__in=booking_ids).order_by("pk").select_for_update(no_key=True, of=("self",))
    )
    return list(rows.select_related("depot__operator", "option", "evse__charger", "fleet", "vehicle"))


def lock_options(option_ids: Collection[int]) -> list[BookingOption]:
    return list(BookingOption.objects.filter(pk__in=option_ids).order_by("pk").select_for_update(no_key=True))
