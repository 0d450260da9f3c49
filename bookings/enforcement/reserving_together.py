"""Many bookings that are due in the same moment, reserved together: a depot's morning begins on the hour."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import prefetch_related_objects

from bookings.enforcement.state import RETRY, set_states
from bookings.models import Booking, Enforcement
from bookings.rules.identification import usable_by_owner
from depots import operations as depots
from depots.models import Charger, ChargerCommand, ChargingSession
from depots.queries import is_online

# (booking, charger, now, which copies of tokens may be used): the payload of its `reserve`.
Reservation = Callable[[Booking, Charger, datetime, Mapping[tuple[int, str], bool]], dict[str, Any]]


def reserve_together(
    bookings: Sequence[Booking], reservation: Reservation, *, now: datetime
) -> list[Booking]:
    """Have the chargers of bookings that are due, locked with their EVSEs and waiting for nobody, told of their reservations.

    Those are left, and returned, where there is more to it: a charger that is away or keeps no reservation, an EVSE where
    somebody charges or that is kept otherwise or armed for another booking, a reservation that was asked for before.
    """
    ids = [booking.reservation_id for booking in bookings]
    known = ChargerCommand.objects.filter(reservation_id__in=ids).order_by()
    asked = set(known.values_list("reservation_id", flat=True))
    simple = only_reservable([b for b in bookings if b.reservation_id not in asked], now)
    if not simple:
        return list(bookings)
    depots.queue_commands(_commands(simple, reservation, now), now=now)
    set_states(simple, Enforcement.DUE, retry_at=now + RETRY, is_armed=True, now=now)
    done = {booking.pk for booking in simple}
    return [booking for booking in bookings if booking.pk not in done]


def ask_again(bookings: Sequence[Booking], reservation: Reservation, *, now: datetime) -> None:
    """Have the chargers of bookings, as `only_reservable` gives them, told of their reservations once more: the same id replaces
    itself. One that is waiting to be sent already is not asked for twice."""
    if not bookings:
        return
    ids = [booking.reservation_id for booking in bookings]
    last = ChargerCommand.objects.filter(reservation_id__in=ids).order_by(
        "reservation_id", "charger_id", "-id"
    )
    waiting = {
        (c.charger_id, c.reservation_id): c.payload
        for c in last.distinct("reservation_id", "charger_id")
        if (c.state, c.action, c.not_before)
        == (ChargerCommand.State.QUEUED, ChargerCommand.Action.RESERVE, None)
    }
    commands = _commands(bookings, reservation, now)
    new = [c for c in commands if waiting.get((c.charger_id, c.reservation_id)) != c.payload]
    depots.queue_commands(new, now=now)


def only_reservable(bookings: Sequence[Booking], now: datetime) -> list[Booking]:
    """Those whose chargers can be told of a reservation and that need nothing else, by what is known and with nobody in the
    way. Whether they wait for another booking's slot is asked by the caller."""
    evse_ids = [booking.evse_id for booking in bookings]
    together = Counter(evse_ids)
    armed = Booking.objects.filter(armed_evse__in=evse_ids).order_by().values_list("armed_evse_id", "pk")
    armed_for: dict[int | None, set[int]] = defaultdict(set)
    for evse_id, pk in armed:
        armed_for[evse_id].add(pk)
    running = ChargingSession.objects.filter(evse__in=evse_ids, ended_at__isnull=True)
    in_use = set(running.order_by().values_list("evse_id", flat=True))
    return [
        booking
        for booking in bookings
        if booking.evse_id not in in_use
        and armed_for[booking.evse_id] <= {booking.pk}
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


def _commands(bookings: Sequence[Booking], reservation: Reservation, now: datetime) -> list[ChargerCommand]:
    """Not saved yet."""
    prefetch_related_objects(list(bookings), "tokens")
    tokens = {(token.uid, token.type) for booking in bookings for token in booking.tokens.all()}
    usable = usable_by_owner(tokens)
    return [_command(booking, reservation, usable, now) for booking in bookings]


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
