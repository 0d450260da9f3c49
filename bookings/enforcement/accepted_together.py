"""Many reservations that chargers accept in the same moment, taken together: what was armed on the hour is answered at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby

from bookings.actors import ENFORCEMENT
from bookings.core import lifecycle
from bookings.core.locking import lock_free_bookings
from bookings.enforcement.reservation_answers import BUSY, renew_at
from bookings.enforcement.state import is_wanted
from bookings.models import Booking, Enforcement
from depots import round_trips
from depots.models import ChargerCommand

_ARMED = """
UPDATE bookings_booking AS booking
SET enforcement = %s, enforcement_why = '', enforcement_at = %s, next_try_at = told.renew_at, armed_evse_id = evse_id,
    version = version + 1, updated_at = greatest(updated_at, %s)
FROM unnest(%s::bigint[], %s::timestamptz[]) AS told (id, renew_at) WHERE booking.id = told.id
"""
# What an accepted reservation arms, and nothing else follows from it.
WAITING = {Enforcement.DUE, Enforcement.AT_RISK}


def take_accepted(commands: Sequence[ChargerCommand], *, now: datetime) -> set[int]:
    """Arm the bookings of accepted reservations, whose chargers' EVSEs are locked. Gives the ids of the commands that are left
    to `take_reservation_answer`: what is for no booking, or for one that is over, elsewhere, armed already, or locked."""
    booking_ids = [c.reservation_id for c in commands if c.reservation_id is not None]
    bookings = {b.pk: b for b in lock_free_bookings(booking_ids, at_hand=["evse"])}
    taken: dict[Booking, ChargerCommand] = {}
    for command in commands:
        booking = bookings.pop(command.reservation_id or 0, None)
        if booking is not None and _only_waits(booking, command):
            taken[booking] = command
    _arm(taken, now)
    return {command.pk for command in commands} - {command.pk for command in taken.values()}


def _only_waits(booking: Booking, command: ChargerCommand) -> bool:
    evse = booking.evse
    is_its_evse = (
        evse is not None
        and evse.charger_id == command.charger_id
        and evse.number == command.payload.get("evse")
    )
    is_busy = evse is not None and evse.status in BUSY
    return is_its_evse and not is_busy and is_wanted(booking) and booking.enforcement in WAITING


def _arm(taken: Mapping[Booking, ChargerCommand], now: datetime) -> None:
    if not taken:
        return
    renewals = [renew_at(booking, command) for booking, command in taken.items()]
    columns = [[booking.pk for booking in taken], renewals]
    round_trips.send(_ARMED, [Enforcement.ARMED, now, now, *columns])
    before = {booking.pk: Enforcement(booking.enforcement) for booking in taken}
    for booking, next_try_at in zip(taken, renewals, strict=True):
        booking.enforcement, booking.enforcement_why = Enforcement.ARMED, ""
        booking.enforcement_at, booking.next_try_at, booking.armed_evse = now, next_try_at, booking.evse
    in_order = sorted(taken, key=lambda booking: before[booking.pk])
    for was, alike in groupby(in_order, key=lambda booking: before[booking.pk]):
        step = (was, Enforcement.ARMED)
        lifecycle.log_written(list(alike), kind="enforcement", step=step, actor=ENFORCEMENT, at=now)
