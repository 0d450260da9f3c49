"""Records follow what ends: a session, a booking nobody used, one given up too late. All in the sender's transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from bookings.actors import ActorKind
from bookings.billing import cdrs, payment_use
from bookings.models import Booking, BookingEvent, BookingStatus, Invoice
from bookings.rules import permissions
from bookings.rules.own_slots import session_into
from bookings.signals import booking_changed, invoice_settled
from depots import signals as depots
from depots.models import ChargingSession


@receiver(booking_changed, dispatch_uid="billing.booking_changed")
def on_booking_changed(booking: Booking, event: BookingEvent, at: datetime, **_: Any) -> None:
    """Most changes of a booking cost nothing; they are looked at no further than their kind."""
    if event.kind != "status" or not booking.is_ours:
        return
    if event.after == BookingStatus.NO_SHOW:
        cdrs.issue_no_show(booking, now=at)
    elif permissions.was_late_cancellation(booking, event):
        cdrs.issue_cancellation(booking, at=at, now=at)
    elif permissions.was_given_back(booking, event):
        cdrs.issue_given_back(booking, now=at)
    elif event.after == BookingStatus.COMPLETED and event.actor_kind != ActorKind.CHARGER:
        # What a charger ends it tells of itself.
        _settle_ended(booking, at)
    # What was completed may cost something that is known in a moment: a job looks then (bookings.receivers).
    if booking.pays_before and not booking.is_live and event.after != BookingStatus.COMPLETED:
        payment_use.follow(booking, now=at)


def _settle_ended(booking: Booking, now: datetime) -> None:
    """Nobody plugged in again after a session that had ended, or at all in a slot in which that of the one before went on."""
    if booking.session is not None and booking.session.ended_at is not None:
        cdrs.settle_session(booking.session, reason=cdrs.BOOKING_ENDED, now=now)
    elif booking.session is None and (before := session_into(booking)) is not None:
        cdrs.settle_stay(booking, before, now=now)


@receiver(invoice_settled, dispatch_uid="billing.invoice_settled")
def on_invoice_settled(invoice: Invoice, at: datetime, **_: Any) -> None:
    payment_use.release_guarantees(invoice, now=at)


@receiver(depots.charging_ended, dispatch_uid="billing.charging_ended")
@receiver(depots.charging_corrected, dispatch_uid="billing.charging_corrected")
def on_charging_over(session: ChargingSession, at: datetime, **_: Any) -> None:
    cdrs.settle_session(session, now=at)
