"""Offers that closures make: another time for a booking that has no other place at its own. It keeps its place in the closed EVSE
until its fleet has answered, which is before any charger would keep it; without a yes it is cancelled (docs/decisions/0176)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from django.db import transaction

from bookings.actors import Actor
from bookings.core.constraints import violation_raises
from bookings.core.locking import lock_bookings, lock_ids, places_of
from bookings.errors import BookingError, SlotTaken, TokenElsewhere, VehicleElsewhere
from bookings.models import Booking, BookingRequest, BookingStatus, Closure
from bookings.operations.counter_offer import (
    CounterOffer,
    check_may_be_offered,
    offer_locked,
    withdraw_offer,
)
from bookings.operations.other_times import OtherTime, may_wait_for_answer
from depots.periods import spanning

OPEN_AGAIN = "The EVSE is open again: the booking stays as it was."


def asks_of(bookings: Iterable[Booking]) -> dict[int, BookingRequest]:
    """What waits for an answer, by booking id; one query, and none where nothing waits."""
    waiting = [booking.pk for booking in bookings if booking.decide_until is not None]
    rows = BookingRequest.objects.pending().filter(booking__in=waiting) if waiting else ()
    return {ask.booking_id: ask for ask in rows}


def may_be_offered(booking: Booking, ask: BookingRequest | None, *, now: datetime) -> bool:
    """Whether another time can be offered for it; only what was promised is."""
    if booking.status != BookingStatus.CONFIRMED or not may_wait_for_answer(booking, now=now):
        return False
    try:
        check_may_be_offered(booking, ask)
    except BookingError:
        return False
    return True


def offer_other_time(
    booking: Booking, other: OtherTime, *, why: str, actor: Actor, now: datetime
) -> BookingRequest | None:
    """Offer it to the locked booking's fleet, whose claims are queued for; None where that is refused."""
    offer = CounterOffer(
        period=other.period, evse=other.evse, until=other.until, note=why, cancels=True, is_closed=True
    )
    constraints = {
        "occupancy_evse_once": SlotTaken(),
        "claim_token_once": TokenElsewhere("A token of this booking is booked elsewhere at that time."),
        "claim_vehicle_once": VehicleElsewhere("The vehicle is booked elsewhere at that time."),
    }
    try:
        with violation_raises(constraints), transaction.atomic():
            return offer_locked(booking, offer, actor=actor, now=now)
    except BookingError:
        booking.refresh_from_db()
        return None


def lock_offered(
    closures: Sequence[Closure], *, also: Collection[int] = (), bookings: Collection[int] = ()
) -> list[Booking]:
    """Lock the EVSEs of closures, and `also` more, then the `bookings` and those for which these closures have another time
    offered, with all the places they keep. Gives back the latter."""
    closed = {closure.evse_id for closure in closures}
    while True:
        reach = closed.union(
            also, places_of([*_offered_in(closures), *Booking.objects.filter(pk__in=bookings)])
        )
        with transaction.atomic():
            # A savepoint: locks taken under it are given back when it is rolled back.
            lock_ids(reach)
            offered = {booking.pk for booking in _offered_in(closures)}
            locked = lock_bookings(offered.union(bookings))
            if places_of(locked) <= reach:
                return [booking for booking in locked if booking.pk in offered]
            transaction.set_rollback(True)


def take_back(offered: Sequence[Booking], *, actor: Actor, now: datetime) -> None:
    """Of locked bookings, once closures are lifted: whose EVSE no other closure keeps stays as it was, and hears of it."""
    asks, still = asks_of(offered), _closed_still(offered)
    for booking in offered:
        ask = asks.get(booking.pk)
        if ask is not None and booking.pk not in still:
            withdraw_offer(booking, ask, why=OPEN_AGAIN, actor=actor, now=now)


def _offered_in(closures: Sequence[Closure]) -> list[Booking]:
    span = spanning(closure.period for closure in closures)
    if span is None:
        return []
    rows = Booking.objects.filter(status=BookingStatus.CONFIRMED, decide_until__isnull=False)
    standing = list(rows.filter(evse__in={closure.evse_id for closure in closures}).overlapping(span))
    asks = asks_of(standing)
    return [
        booking for booking in standing
        if (ask := asks.get(booking.pk)) is not None and ask.asked.get("closed") and _stands_in(booking, closures)
    ]  # fmt: skip


def _closed_still(bookings: Sequence[Booking]) -> set[int]:
    span = spanning(booking.period for booking in bookings)
    if span is None:
        return set()
    rows = Closure.objects.filter(lifted_at=None, starts_at__lt=span.ends_at, ends_at__gt=span.starts_at)
    in_force = list(rows.filter(evse__in={booking.evse_id for booking in bookings}))
    return {booking.pk for booking in bookings if _stands_in(booking, in_force)}


def _stands_in(booking: Booking, closures: Iterable[Closure]) -> bool:
    return any(
        closure.evse_id == booking.evse_id and closure.period.overlaps(booking.period) for closure in closures
    )
