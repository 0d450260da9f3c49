"""A partner's asks: a refusal by a rule is an answer, kept with its reason, and not an error.

`fingerprint` names the canonical message. The same message as the newest ask, still pending or accepted, or asked
less than ten minutes ago, is a repetition: it changes nothing and gets the booking as it is (ocpi.md §3.6).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from bookings.actors import Actor
from bookings.core import calendars, lifecycle, occupancy
from bookings.core.locking import lock_booking
from bookings.errors import BookingError, NothingToChange, RequestIdInUse, WrongStatus
from bookings.models import Booking, BookingRequest, BookingStatus
from bookings.models.bookings import Enforcement
from bookings.operations import request_log
from bookings.operations.cancel import cancel_booking
from bookings.operations.change import change_booking
from bookings.operations.create import request_booking
from bookings.operations.request_log import Asked
from bookings.operations.slot_request import SlotRequest
from bookings.rules.entitlement import TokenName, entitled
from bookings.rules.fit import Needs
from bookings.search.bookable import terms_for
from depots.models import Evse, Organisation
from depots.periods import Period

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
        if known is not None and is_repeated(known, request.fingerprint, now=now):
            return known
        raise
    except BookingError as refusal:
        reason = str(refusal)
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
            received=request.received, fingerprint=request.fingerprint, actor=actor, now=now,
        )  # fmt: skip
    return booking


def ask_to_change(
    *,
    booking_id: int,
    period: Period,
    needs: Needs,
    evse: Evse | None,
    tokens: Sequence[TokenName] | None,
    power_w: int | None,
    plate: str = "",
    authorization_reference: str = "",
    received: dict[str, Any],
    fingerprint: str,
    actor: Actor,
    now: datetime,
) -> Booking:
    """Change, or keep the refusal as a DECLINED ask; what is booked already is granted and changes nothing.

    Raises WrongStatus for a booking that is over or in use.
    """
    try:
        return change_booking(
            booking_id=booking_id, period=period, needs=needs, evse=evse, tokens=tokens, power_w=power_w,
            plate=plate, authorization_reference=authorization_reference,
            received=received, fingerprint=fingerprint, while_charging=False, actor=actor, now=now,
        )  # fmt: skip
    except WrongStatus:
        raise
    except NothingToChange:
        asked = Asked(period=period, evse=evse, power_w=power_w).to_json()
        return _granted(booking_id, asked, received, fingerprint, actor, now)
    except BookingError as refusal:
        asked = Asked(period=period, evse=evse, power_w=power_w).to_json()
        return _declined(
            booking_id, BookingRequest.Kind.CHANGE, asked, str(refusal), received, fingerprint, actor, now
        )


def ask_to_cancel(
    *, booking_id: int, reason: str, received: dict[str, Any], fingerprint: str, actor: Actor, now: datetime
) -> Booking:
    """Cancel, or keep the refusal (too late) as a DECLINED ask. Raises WrongStatus for a booking that is over."""
    try:
        return cancel_booking(
            booking_id=booking_id, reason=reason, by=Booking.Side.FLEET,
            received=received, fingerprint=fingerprint, actor=actor, now=now,
        )  # fmt: skip
    except WrongStatus:
        raise
    except BookingError as refusal:
        asked = Asked(reason=reason).to_json()
        return _declined(
            booking_id, BookingRequest.Kind.CANCEL, asked, str(refusal), received, fingerprint, actor, now
        )


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
        route=Booking.Route.INBOUND,
        request_id=request.request_id,
        authorization_reference=request.authorization_reference or request.request_id[:36],
        customer_country=request.party[0].upper(),
        customer_party=request.party[1].upper(),
        fleet=request.fleet,
        depot=request.option.depot,
        option=request.option,
        evse=request.evse,
        plate=request.plate,
        starts_at=request.period.starts_at,
        ends_at=request.period.ends_at,
        promised_power_w=0,
        terms_json=terms_for(request.option, request.fleet, now=now).to_json(),
        enforcement=Enforcement.RELEASED,
        note=reason[:200],
    )


def _granted(
    booking_id: int,
    asked: dict[str, Any],
    received: dict[str, Any],
    fingerprint: str,
    actor: Actor,
    now: datetime,
) -> Booking:
    """A partner that asks for what it has gets it, and takes back a change that was still waiting."""
    with calendars.one_operation():
        booking = lock_booking(booking_id)
        if booking.status == BookingStatus.CONFIRMED:
            request_log.decline_pending(booking, "Replaced by a later change.", actor=actor, now=now)
            given_up = occupancy.drop_pending(booking)
            request_log.log(
                booking, BookingRequest.Kind.CHANGE, asked,
                accepted=True, received=received, fingerprint=fingerprint, actor=actor, now=now,
            )  # fmt: skip
            lifecycle.record(booking, kind="change_accepted", actor=actor, at=now)
            calendars.mark_changed(given_up, at=now)
    return booking


def _declined(
    booking_id: int,
    kind: str,
    asked: dict[str, Any],
    reason: str,
    received: dict[str, Any],
    fingerprint: str,
    actor: Actor,
    now: datetime,
) -> Booking:
    with calendars.one_operation():
        booking = lock_booking(booking_id)
        request_log.log_declined(
            booking, kind, asked, reason, received=received, fingerprint=fingerprint, actor=actor, now=now
        )
        lifecycle.record(booking, kind=f"{kind}_declined", actor=actor, at=now, detail={"reason": reason})
    return booking
