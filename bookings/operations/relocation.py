"""Where a depot can put a booking that cannot stay where it is, and putting it there: for closures and for rescue."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from django.db import transaction

from bookings.actors import Actor
from bookings.core import calendars, occupancy
from bookings.core.constraints import violation_raises
from bookings.errors import BookingError, SlotTaken
from bookings.models import Booking, BookingRequest
from bookings.operations import request_log
from bookings.operations.apply_change import apply
from bookings.operations.change_plan import Before, PlannedChange
from bookings.rules import fit
from bookings.rules.fit import Needs
from bookings.rules.power import Supply
from depots.models import Evse


def would_do(evse: Evse, booking: Booking, needs: Needs, booked: Evse | None) -> bool:
    """Whether an EVSE can take the place of the booked one."""
    return evse.pk != booking.evse_id and serves(evse, booking, needs, booked)


def serves(evse: Evse, booking: Booking, needs: Needs, booked: Evse | None) -> bool:
    """Whether the booking could stand there at all. Without a vehicle to measure it needs a plug like the booked one's."""
    if fit.misfits(needs, evse):
        return False
    return booking.vehicle is not None or (booked is not None and bool(booked.plugs & evse.plugs))


def best_first(
    evses: Iterable[Evse], booking: Booking, supply: Supply, in_option: Collection[int]
) -> list[Evse]:
    """Those that keep most of what it was promised before weaker ones, of these its own option's first."""
    span = booking.period.widened(booking.terms.early_start, booking.terms.tail)

    def lost(evse: Evse) -> int:
        return max(booking.promised_power_w - supply.lowest(evse, span).most_w, 0)

    return sorted(evses, key=lambda evse: (lost(evse), evse.pk not in in_option))


def relocate(
    booking: Booking,
    target: Evse,
    needs: Needs,
    *,
    power_w: int | None = None,
    why: str = "",
    actor: Actor,
    now: datetime,
) -> bool:
    """Put the locked booking there as it stands, with as much of its power (or of `power_w`) as there is; False where that is
    refused. What its depot has offered is overtaken by that. Its caller has queued to claim, and locked what was offered; `why`
    is for its fleet."""
    change = PlannedChange(
        period=booking.period, evse=target, vehicle=booking.vehicle, trailer=booking.trailer, tokens=None, power_w=None,
        evse_asked=True, needs=needs, before=Before(list(booking.tokens.all()), needs), is_rescue=True,
        rescued_w=power_w, why=why,
    )  # fmt: skip
    try:
        with violation_raises({"occupancy_evse_once": SlotTaken()}), transaction.atomic():
            _end_offer(booking, actor, now)
            apply(booking, change, target, by=Booking.Side.DEPOT, actor=actor, now=now)
    except BookingError:
        booking.refresh_from_db()
        return False
    return True


def _end_offer(booking: Booking, actor: Actor, now: datetime) -> None:
    """The place that was kept for it is given back."""
    waiting = booking.pending_request if booking.decide_until is not None else None
    if waiting is not None and waiting.kind == BookingRequest.Kind.OFFER:
        request_log.decline(booking, waiting, "The depot has moved the booking.", actor=actor, now=now)
        calendars.mark_changed(occupancy.drop_pending(booking), at=now)
