"""A partner's asks: a refusal by a rule is an answer, kept with its reason, and not an error.

The same message (by its fingerprint) as the newest ask, still pending or accepted, or asked
less than ten minutes ago, is a repetition: it changes nothing and gets the booking as it is (docs/integrators/ocpi.md).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from bookings.actors import Actor
from bookings.core import calendars, lifecycle, occupancy
from bookings.core.locking import lock_booking
from bookings.errors import BookingError, NothingToChange, RequestIdInUse, WrongStatus
from bookings.models import Booking, BookingRequest, BookingStatus, Enforcement
from bookings.operations import request_log
from bookings.operations.book import request_booking
from bookings.operations.booking_draft import as_asked
from bookings.operations.cancel import cancel_booking
from bookings.operations.change import change_booking
from bookings.operations.change_request import ChangeRequest
from bookings.operations.request_log import Asked, ReceivedMessage
from bookings.operations.slot_request import SlotRequest
from bookings.payments import booking_payments
from bookings.rules.entitlement import entitled
from bookings.search.bookable import terms_for
from depots.models import Organisation

REPEAT_WINDOW = timedelta(minutes=10)


def find_asked(fleet: Organisation, party: tuple[str, str], request_id: str) -> Booking | None:
    """The booking of one partner's request id; never one of another party's."""
    same_party = Q(customer_country__iexact=party[0], customer_party__iexact=party[1])
    found = Booking.objects.filter(same_party, fleet=fleet, request_id__iexact=request_id)
    return found.select_related("depot__operator", "option", "evse", "fleet", "vehicle").first()


def ask_to_book(request: SlotRequest, *, actor: Actor, now: datetime) -> Booking:
    """Book, or keep the refusal as a DECLINED booking. Two at once with one request id end as one booking.

    Raises RequestIdInUse when the id belongs to a booking that another message made.
    """
    try:
        return request_booking(request, actor=actor, now=now)
    except RequestIdInUse:
        known = find_asked(request.fleet, request.party, request.request_id)
        if known is not None and is_repeated(known, request.message.fingerprint, now=now):
            return known
        raise
    except BookingError as refusal:
        return _keep_refused(request, str(refusal), actor, now)


def _keep_refused(request: SlotRequest, reason: str, actor: Actor, now: datetime) -> Booking:
    """The DECLINED booking, or the one that another copy of the ask has made meanwhile."""
    booking = _refused(request, reason, now)
    named = entitled(request.tokens, None, request.fleet, request.party)
    asked = Asked(period=request.period, option=request.option, evse=request.evse, power_w=request.power_w)
    with calendars.one_operation():
        if (known := find_asked(request.fleet, request.party, request.request_id)) is not None:
            return known
        lifecycle.begin(
            booking, BookingStatus.DECLINED, tokens=named, actor=actor, at=now, detail={"reason": reason}
        )
        request_log.log_declined(
            booking, BookingRequest.Kind.CREATE, asked.to_json(), reason,
            message=request.message, actor=actor, now=now,
        )  # fmt: skip
    return booking


def ask_to_change(booking_id: int, request: ChangeRequest, *, actor: Actor, now: datetime) -> Booking:
    """Change, or keep the refusal as a DECLINED ask; what is booked already is granted and changes nothing.

    Raises WrongStatus for a booking that is over or in use.
    """
    kind, asked = BookingRequest.Kind.CHANGE, _place_asked(request)
    try:
        return change_booking(booking_id, replace(request, while_charging=False), actor=actor, now=now)
    except WrongStatus:
        raise
    except NothingToChange:
        return _granted(booking_id, asked, message=request.message, actor=actor, now=now)
    except BookingError as refusal:
        reason = str(refusal)
    return _declined(booking_id, kind, asked, reason, message=request.message, actor=actor, now=now)


def ask_to_cancel(
    booking_id: int, *, reason: str, message: ReceivedMessage, actor: Actor, now: datetime
) -> Booking:
    """Cancel, or keep the refusal (too late) as a DECLINED ask. Raises WrongStatus for a booking that is over."""
    try:
        return cancel_booking(
            booking_id=booking_id, reason=reason, by=Booking.Side.FLEET, message=message, actor=actor, now=now
        )
    except WrongStatus:
        raise
    except BookingError as refusal:
        sentence = str(refusal)
    kind, asked = BookingRequest.Kind.CANCEL, Asked(reason=reason).to_json()
    return _declined(booking_id, kind, asked, sentence, message=message, actor=actor, now=now)


def is_repeated(booking: Booking, fingerprint: str, *, now: datetime) -> bool:
    """Whether a message is the newest ask again and not a new wish."""
    newest = booking.requests.last()
    if newest is None or newest.fingerprint != fingerprint:
        return False
    stands = newest.decision in {BookingRequest.Decision.PENDING, BookingRequest.Decision.ACCEPTED}
    return stands or now - newest.asked_at < REPEAT_WINDOW


def _refused(request: SlotRequest, reason: str, now: datetime) -> Booking:
    """What an ask that could not be granted leaves: a booking that takes nothing."""
    return Booking(
        **as_asked(request),
        route=Booking.Route.INBOUND,
        evse=request.evse,
        promised_power_w=0,
        terms_json=terms_for(request.option, request.fleet, now=now).to_json(),
        enforcement=Enforcement.RELEASED,
        note=reason[:200],
    )


def _place_asked(request: ChangeRequest) -> dict[str, Any]:
    return Asked(period=request.period, evse=request.evse, power_w=request.power_w).to_json()


def _granted(
    booking_id: int, asked: dict[str, Any], *, message: ReceivedMessage, actor: Actor, now: datetime
) -> Booking:
    """A partner that asks for what it has gets it, and takes back a change that was still waiting."""
    with calendars.one_operation():
        booking = lock_booking(booking_id)
        if booking.status == BookingStatus.CONFIRMED:
            request_log.decline_pending(booking, "Replaced by a later change.", actor=actor, now=now)
            given_up = occupancy.drop_pending(booking)
            request_log.log(
                booking,
                BookingRequest.Kind.CHANGE,
                asked,
                accepted=True,
                message=message,
                actor=actor,
                now=now,
            )
            lifecycle.record(booking, kind="change_accepted", actor=actor, at=now)
            booking_payments.fit(booking, booking.quote, now=now)
            calendars.mark_changed(given_up, at=now)
    return booking


def _declined(
    booking_id: int,
    kind: str,
    asked: dict[str, Any],
    reason: str,
    *,
    message: ReceivedMessage,
    actor: Actor,
    now: datetime,
) -> Booking:
    with calendars.one_operation():
        booking = lock_booking(booking_id)
        request_log.log_declined(booking, kind, asked, reason, message=message, actor=actor, now=now)
        lifecycle.record(booking, kind=f"{kind}_declined", actor=actor, at=now, detail={"reason": reason})
    return booking
