"""What a change of the booking means for the charger."""

from __future__ import annotations

from datetime import datetime

from bookings.enforcement.arming import arm_booking, disarm, disarm_later
from bookings.enforcement.reservation_answers import RENEW_BEFORE
from bookings.enforcement.state import set_state
from bookings.models import Booking, BookingEvent, BookingStatus, Enforcement, KeptEvse
from bookings.operations import kept_evses

Why = KeptEvse.Why


def follow(booking: Booking, event: BookingEvent, *, now: datetime) -> None:
    """Called in the transaction of the change, with the EVSE and the booking locked."""
    if not booking.is_ours:
        return
    if event.kind == "changed":
        _reset(booking, now)
    if _ends_keeping(booking, event) and booking.depot.fallbacks:
        is_there = booking.status == BookingStatus.CHARGING
        kept_evses.give_back(booking, Why.ARRIVED if is_there else Why.ENDED, now=now)
    if event.kind == "arrived" and booking.enforcement == Enforcement.ARMED:
        _look_again(booking, now)
    if event.kind in {"changed", "status"} and booking.status == BookingStatus.CONFIRMED:
        if not booking.finds_nothing_armed:
            disarm_later(booking, now=now)
        arm_booking(booking, now=now)
    elif event.kind == "status" and booking.status == BookingStatus.CHARGING:
        _use(booking, now)
    elif event.kind == "status" and not booking.is_live:
        disarm(booking, now=now)


def _ends_keeping(booking: Booking, event: BookingEvent) -> bool:
    return event.kind == "changed" or (event.kind == "status" and booking.status != BookingStatus.CONFIRMED)


def _reset(booking: Booking, now: datetime) -> None:
    """Another time, place or token: what stands at the charger is wrong."""
    disarm(booking, now=now)
    if booking.status == BookingStatus.CONFIRMED and booking.enforcement != Enforcement.NOT_DUE:
        set_state(booking, Enforcement.NOT_DUE, now=now)


def _look_again(booking: Booking, now: datetime) -> None:
    """A truck that has come is kept its place for longer than the charger was told: it is told again before that ends."""
    told_until = booking.terms.no_show_at(booking.period) - RENEW_BEFORE
    booking.next_try_at = max(now, min(booking.next_try_at or told_until, told_until))
    booking.save(update_fields=["next_try_at"])


def _use(booking: Booking, now: datetime) -> None:
    """A used reservation is gone from the charger by itself; one at another EVSE than the truck took still stands."""
    if booking.armed_evse_id is None:
        return
    if booking.session is not None and booking.session.evse_id != booking.armed_evse_id:
        disarm(booking, now=now)
    else:
        booking.armed_evse = None
        booking.save(update_fields=["armed_evse"])
