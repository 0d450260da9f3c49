"""How much power a booking is promised when it changes or is moved; under the locks of the booking and of its depot."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bookings.errors import LowerPower, PowerUnavailable
from bookings.models import Booking
from bookings.operations.change_plan import PlannedChange
from bookings.operations.places import FreePlace
from bookings.rules.configuration import Bay
from bookings.rules.power import Supply
from bookings.rules.quotas import Allotted
from depots.models import Evse
from depots.periods import Period


def watts_for(
    supply: Supply | Allotted,
    booking: Booking,
    change: PlannedChange,
    place: FreePlace[Any],
    *,
    by: str,
) -> int:
    """What a changed booking is promised at a place, out of what the others leave there.

    A wish, new or old, is kept or refused; without one the default of the new place and time holds. What the depot does is
    never refused for power alone: a manager is asked before it lowers a promise, a rescue keeps as much as there is.
    Raises PowerUnavailable, LowerPower, QuotaReached or KeptForWalkIns.
    """
    target, span = place.evse, place.span
    if change.kept_w is not None:
        return change.kept_w  # kept while the depot decided, whatever became of its limits meanwhile
    wish_w = change.power_w if change.power_w is not None else booking.wished_power_w
    most_w = change.terms_then(booking).max_promise_w
    if change.is_rescue:
        return _rescued(supply, booking, target, span, change)
    if by == Booking.Side.DEPOT:
        return _asked_of_manager(supply, booking, target, span, change)
    already = _already(booking, change, target)
    try:
        watts = supply.promise(target, span, wish_w, change.needs.max_power_w, most_w=most_w)
    except PowerUnavailable:
        if already:  # a limit was lowered: what was promised stands where it is
            return already
        raise
    return max(watts, already)


def watts_left(booking: Booking, there: Evse, span: Period, *, now: datetime) -> int:
    """What a booking still is promised at an EVSE its vehicle has taken by itself, asked or not."""
    supply = Supply.at({there.depot_id}, span, without=booking.pk, now=now)
    return min(booking.promised_power_w, supply.lowest(there, span).most_w)


def _rescued(
    supply: Supply | Allotted, booking: Booking, target: Evse | Bay, span: Period, change: PlannedChange
) -> int:
    """Where a limit was lowered below what is promised already, its promise goes with it to what the same limits feed: the
    depot has promised no more by that. Raises PowerUnavailable elsewhere."""
    wanted_w = booking.promised_power_w if change.rescued_w is None else change.rescued_w
    try:
        return _as_much_as_there_is(supply, booking, target, span, change, wanted_w)
    except PowerUnavailable:
        if booking.evse is None or not supply.is_fed_with(target, booking.evse):
            raise
        return min(wanted_w, booking.promised_power_w, target.max_power_w)


def _asked_of_manager(
    supply: Supply | Allotted, booking: Booking, target: Evse | Bay, span: Period, change: PlannedChange
) -> int:
    if booking.wished_power_w is not None:
        watts = _as_much_as_there_is(supply, booking, target, span, change, booking.wished_power_w)
    else:
        watts = supply.promise(
            target, span, None, change.needs.max_power_w, most_w=change.terms_then(booking).max_promise_w
        )
        watts = max(watts, _already(booking, change, target))
    if watts < booking.promised_power_w and not change.accepts_lower_power:
        raise LowerPower(target.uid, before_w=booking.promised_power_w, after_w=watts)
    return watts


def _as_much_as_there_is(
    supply: Supply | Allotted,
    booking: Booking,
    target: Evse | Bay,
    span: Period,
    change: PlannedChange,
    wanted_w: int,
) -> int:
    """As much of what is wanted as a wish could get there, and no less than without one. Raises PowerUnavailable."""
    most_w = change.terms_then(booking).max_promise_w
    power = supply.lowest(target, span)
    default_w = supply.promise(target, span, None, change.needs.max_power_w, most_w=most_w)
    if booking.wished_power_w is not None:
        default_w = min(default_w, wanted_w)
    return max(default_w, min(wanted_w, power.most_w))


def _already(booking: Booking, change: PlannedChange, target: Evse | Bay) -> int:
    """What a booking that stays where and when it is has already, as far as its vehicle can use it."""
    if (change.period, target.pk) != (booking.period, booking.evse_id) or change.power_w is not None:
        return 0
    return min(booking.promised_power_w, change.needs.max_power_w or booking.promised_power_w)
