"""Many bookings that are due in the same moment, reserved together: a depot's morning begins on the hour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import prefetch_related_objects

from bookings.actors import ENFORCEMENT
from bookings.core import lifecycle
from bookings.enforcement.state import RETRY
from bookings.models import Booking, Enforcement
from bookings.rules.identification import usable_by_owner
from depots import operations as depots
from depots import round_trips
from depots.models import Charger, ChargerCommand, ChargingSession
from depots.queries import is_online

# (booking, charger, now, which copies of tokens may be used): the payload of its `reserve`.
Reservation = Callable[[Booking, Charger, datetime, Mapping[tuple[int, str], bool]], dict[str, Any]]

_DUE = """
UPDATE bookings_booking
SET enforcement = %s, enforcement_why = '', enforcement_at = %s, next_try_at = %s, armed_evse_id = evse_id, version = version + 1,
    updated_at = greatest(updated_at, %s)
WHERE id = ANY(%s::bigint[])
"""


def reserve_together(
    bookings: Sequence[Booking], reservation: Reservation, *, now: datetime
) -> list[Booking]:
    """Have the chargers of bookings that are due, locked with their EVSEs and waiting for nobody, told of their reservations.

    Those are left, and returned, where there is more to it: a charger that is away or keeps no reservation, an EVSE where
    somebody charges or that is kept otherwise or armed for another booking, a reservation that was asked for before.
    """
    simple = _simple(bookings, now)
    if not simple:
        return list(bookings)
    prefetch_related_objects(simple, "tokens")
    usable = usable_by_owner(
        {(token.uid, token.type) for booking in simple for token in booking.tokens.all()}
    )
    depots.queue_commands([_command(booking, reservation, usable, now) for booking in simple], now=now)
    retry_at = now + RETRY
    round_trips.send(_DUE, [Enforcement.DUE, now, retry_at, now, round_trips.bigints(b.pk for b in simple)])
    for booking in simple:
        booking.armed_evse = booking.evse
        booking.enforcement, booking.enforcement_why = Enforcement.DUE, ""
        booking.enforcement_at, booking.next_try_at = now, retry_at
    step = (Enforcement.NOT_DUE, Enforcement.DUE)
    lifecycle.log_written(simple, kind="enforcement", step=step, actor=ENFORCEMENT, at=now)
    done = {booking.pk for booking in simple}
    return [booking for booking in bookings if booking.pk not in done]


def _simple(bookings: Sequence[Booking], now: datetime) -> list[Booking]:
    evse_ids = [booking.evse_id for booking in bookings]
    together = Counter(evse_ids)
    armed = set(
        Booking.objects.filter(armed_evse__in=evse_ids).order_by().values_list("armed_evse_id", flat=True)
    )
    running = ChargingSession.objects.filter(evse__in=evse_ids, ended_at__isnull=True)
    in_use = set(running.order_by().values_list("evse_id", flat=True))
    ids = [booking.reservation_id for booking in bookings]
    asked = set(
        ChargerCommand.objects.filter(reservation_id__in=ids)
        .order_by()
        .values_list("reservation_id", flat=True)
    )
    return [
        booking
        for booking in bookings
        if booking.evse_id not in armed | in_use
        and booking.reservation_id not in asked
        and together[booking.evse_id] == 1
        and _keeps_reservations(booking, now)
    ]


def _keeps_reservations(booking: Booking, now: datetime) -> bool:
    """As far as is known: it is there, has refused none, and nothing else is to keep the EVSE."""
    evse = booking.evse
    return (
        evse is not None
        and evse.charger is not None
        and is_online(evse.charger, now=now)
        and evse.charger.measured.get("reservation") in {None, "works"}
        and not booking.depot.fallbacks
        and evse.kept_for is None
    )


def _command(
    booking: Booking, reservation: Reservation, usable: Mapping[tuple[int, str], bool], now: datetime
) -> ChargerCommand:
    assert booking.evse is not None
    assert booking.evse.charger is not None
    charger = booking.evse.charger
    return ChargerCommand(
        charger=charger,
        action=ChargerCommand.Action.RESERVE,
        payload=reservation(booking, charger, now, usable),
        reservation_id=booking.reservation_id,
        created_at=now,
        not_after=booking.no_show_at(),
    )
