from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bookings.actors import Actor
from bookings.core import calendars, lifecycle, occupancy
from bookings.core.constraints import violation_raises
from bookings.core.locking import lock_booking
from bookings.core.versions import SEEN_WHOLE, check_version
from bookings.errors import NotAtPartner, NothingToDecide, PaymentAwaited, SlotTaken, WrongStatus
from bookings.models import Booking, BookingPayment, BookingRequest, BookingStatus
from bookings.operations import change_plan, counter_offer, request_log
from bookings.operations.apply_change import apply as apply_change
from bookings.operations.change import queue_claims
from bookings.payments import booking_payments
from bookings.rules import permissions
from bookings.rules.deadlines import answer_until


def decide(
    *,
    booking_id: int,
    accept: bool,
    reason: str = "",
    seen_version: int | None = None,
    actor: Actor,
    now: datetime,
) -> Booking:
    """The depot's answer to the open ask of a booking, a new one or a change.

    A new booking that waits for its payment as well is only approved, and confirmed once that is there.

    What the depot has offered itself waits for the fleet: to decline it withdraws the offer, where the booking can stay then.

    Raises NothingToDecide when there is none (any more), PaymentAwaited when nothing but the payment is waited for,
    ChangedMeanwhile when another one has taken its place since `seen_version`, NotAtPartner, WrongStatus, PowerUnavailable;
    SlotTaken when the place kept for a change was closed meanwhile.
    """
    closed = SlotTaken("The place kept for the change was closed meanwhile.")
    with violation_raises({"occupancy_evse_once": closed}), calendars.one_operation():
        # The depot too: the promise of power may have to be renewed with a change.
        booking = lock_booking(booking_id, depot=True)
        if not booking.is_ours:
            raise NotAtPartner("The partner decides on this booking.")
        request = booking.pending_request
        if request is None:
            raise NothingToDecide("Nothing of this booking waits for a decision.")
        check_version(booking, seen_version, SEEN_WHOLE)
        if request.kind == BookingRequest.Kind.OFFER:
            _withdraw(booking, request, accept, actor, now)
            return booking
        payment = booking_payments.awaited(booking) if accept else None
        if payment is not None:
            _approve(booking, payment, reason, actor, now)
            return booking
        answer = _accept if accept else _decline
        answer(booking, request, reason, actor, now)
    return booking


def _withdraw(booking: Booking, offered: BookingRequest, accept: bool, actor: Actor, now: datetime) -> None:
    if accept:
        raise NothingToDecide("Its fleet has to answer what was offered.")
    if counter_offer.is_out_of_closed(booking, offered):
        raise WrongStatus(
            booking.status, "left where it is",
            "Its EVSE is closed then: lift the closure, offer something else, or cancel the booking.",
        )  # fmt: skip
    counter_offer.withdraw_offer(booking, offered, actor=actor, now=now)


def _approve(booking: Booking, payment: BookingPayment, reason: str, actor: Actor, now: datetime) -> None:
    """The depot's yes, kept until the payment is there."""
    if not booking.terms.approval or payment.approved_at is not None:
        raise PaymentAwaited("The booking waits for its payment, not for the depot.")
    payment.approved_at = now
    payment.save(update_fields=["approved_at"])
    booking.decide_until = payment.until
    detail = {"reason": reason} if reason else {}
    lifecycle.record(booking, kind="approved", actor=actor, at=now, detail=detail, fields=["decide_until"])


def _accept(booking: Booking, request: BookingRequest, reason: str, actor: Actor, now: datetime) -> None:
    change = target = None
    if request.kind == BookingRequest.Kind.CHANGE:
        change, target = change_plan.from_request(booking, request)
        permissions.check_change(booking, by=Booking.Side.DEPOT, now=now)
        change_plan.check_status(booking, change)
    if answer_until(booking, change.period if change else booking.period) <= now:
        sentence = "Too late: the truck had to be there before now."
        raise WrongStatus(booking.status, BookingStatus.CONFIRMED, sentence)
    request_log.settle(request, BookingRequest.Decision.ACCEPTED, reason=reason, actor=actor, now=now)
    booking.decide_until = None
    if change is not None and target is not None:
        queue_claims(booking, change)
        change = replace(change, kept_w=occupancy.power_kept_beside(booking))
        occupancy.drop_pending(booking)
        apply_change(booking, change, target, by=Booking.Side.FLEET, actor=actor, now=now)
        booking_payments.fit(booking, booking.quote, now=now)
    if booking.status == BookingStatus.REQUESTED:
        detail = {"reason": reason} if reason else {}
        lifecycle.move(
            booking, BookingStatus.CONFIRMED, actor=actor, at=now, detail=detail, fields=["decide_until"]
        )


def _decline(booking: Booking, request: BookingRequest, reason: str, actor: Actor, now: datetime) -> None:
    request_log.settle(request, BookingRequest.Decision.DECLINED, reason=reason, actor=actor, now=now)
    booking.decide_until = None
    detail = {"reason": reason} if reason else {}
    if booking.status == BookingStatus.REQUESTED and request.kind == BookingRequest.Kind.CREATE:
        booking.note = reason[:200]
        booking.changed_by_depot_at = now
        lifecycle.move(
            booking, BookingStatus.DECLINED, actor=actor, at=now, detail=detail,
            fields=["decide_until", "note", "changed_by_depot_at"],
        )  # fmt: skip
        return
    drop_change(booking, detail, actor=actor, now=now)


def drop_change(booking: Booking, detail: dict[str, str], *, actor: Actor, now: datetime) -> None:
    """A change that will not happen gives its kept place back; a booking nobody ever confirmed goes with it."""
    if booking.status == BookingStatus.REQUESTED:
        lifecycle.move(
            booking, BookingStatus.DECLINED, actor=actor, at=now, detail=detail, fields=["decide_until"]
        )
        return
    given_up = occupancy.drop_pending(booking)
    booking_payments.fit(booking, booking.quote, now=now)
    booking.changed_by_depot_at = now
    lifecycle.record(
        booking, kind="change_declined", actor=actor, at=now, detail=detail,
        fields=["decide_until", "changed_by_depot_at"],
    )  # fmt: skip
    calendars.mark_changed(given_up, at=now)
