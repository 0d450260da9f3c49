from __future__ import annotations

from datetime import datetime
from typing import Any

from bookings.actors import Actor
from bookings.core import calendars, lifecycle
from bookings.core.locking import lock_booking
from bookings.core.versions import SEEN_WHOLE, check_version
from bookings.errors import PartnerSilent, ReasonUnknown, WrongStatus
from bookings.models import Booking, BookingRequest, BookingStatus, CancelReason
from bookings.operations import request_log
from bookings.operations.request_log import NO_MESSAGE, Asked, ReceivedMessage
from bookings.rules import permissions
from bookings.signals import partner_asked


def cancel_booking(
    *,
    booking_id: int,
    reason: str,
    by: str,
    note: str = "",
    message: ReceivedMessage = NO_MESSAGE,
    seen_version: int | None = None,
    actor: Actor,
    now: datetime,
) -> Booking:
    """Give a booking up, as its fleet (by its deadline) or as the depot (until the vehicle charges). Where the depot would cancel
    it anyway unless its fleet takes what it offers, the fleet does so at the depot's cost.

    At a partner's depot the partner is asked and the booking stays what it is until it answers.
    Raises ReasonUnknown, WrongStatus, ChangedMeanwhile when it is another place, time or vehicle than in
    `seen_version`, CancelTooLate or PartnerSilent.
    """
    if reason not in CancelReason.values:
        raise ReasonUnknown(f"{reason!r} is no reason; one of {', '.join(CancelReason.values)} is.")
    with calendars.one_operation():
        booking = lock_booking(booking_id)
        permissions.check_cancellable(booking)
        check_version(booking, seen_version, SEEN_WHOLE)
        permissions.check_cancel(booking, by=by, now=now)
        asked = Asked(reason=reason).to_json()
        if not booking.is_ours:
            return _ask_partner(booking, asked, note, actor, now)
        side = permissions.cancelling_side(booking, by)
        request_log.decline_pending(booking, "The booking was cancelled.", actor=actor, now=now)
        ask = None
        if by == Booking.Side.FLEET:
            ask = request_log.entry(
                BookingRequest.Kind.CANCEL, asked, accepted=True, message=message, actor=actor, now=now
            )
        more = {"offer": "cancelled"} if side != by else None
        write_off(booking, reason, side, note=note, ask=ask, more=more, actor=actor, now=now)
    return booking


def write_off(
    booking: Booking,
    reason: str,
    by: str,
    *,
    note: str = "",
    ask: BookingRequest | None = None,
    more: dict[str, Any] | None = None,
    actor: Actor,
    now: datetime,
) -> None:
    """The move itself, for callers that hold the locks. The history says `more` of it."""
    booking.cancel_reason, booking.cancelled_by, booking.note = reason, by, note[:200]
    fields = ["cancel_reason", "cancelled_by", "note"]
    if by == Booking.Side.DEPOT:
        booking.changed_by_depot_at = now
        fields.append("changed_by_depot_at")
    detail = {"reason": reason, "by": by, **({"note": note[:200]} if note else {}), **(more or {})}
    lifecycle.move(
        booking, BookingStatus.CANCELLED, actor=actor, at=now, detail=detail, fields=fields, ask=ask
    )


def release_hold(*, booking_id: int, seen_version: int | None = None, actor: Actor, now: datetime) -> Booking:
    """Give a hold back that is not wanted any more. Raises WrongStatus when it is no hold, ChangedMeanwhile when the
    depot has put it elsewhere since `seen_version`."""
    with calendars.one_operation():
        booking = lock_booking(booking_id)
        if booking.status != BookingStatus.HELD:
            raise WrongStatus(booking.status, BookingStatus.CANCELLED)
        check_version(booking, seen_version, SEEN_WHOLE)
        lifecycle.move(booking, BookingStatus.CANCELLED, actor=actor, at=now)
    return booking


def _ask_partner(booking: Booking, asked: dict[str, Any], note: str, actor: Actor, now: datetime) -> Booking:
    open_ask = booking.pending_request
    if open_ask is not None and open_ask.kind == BookingRequest.Kind.CANCEL:
        raise PartnerSilent("The partner has been asked to cancel it and has not answered yet.")
    request_log.decline_pending(booking, "Overtaken by the cancellation.", actor=actor, now=now)
    request = request_log.log(
        booking, BookingRequest.Kind.CANCEL, asked, accepted=False, actor=actor, now=now
    )
    lifecycle.record(
        booking, kind="cancel_requested", actor=actor, at=now, detail={**asked, "note": note[:200]}
    )
    partner_asked.send(sender=BookingRequest, request=request, at=now)
    return booking
