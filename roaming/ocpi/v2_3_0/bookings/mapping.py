"""Bookings at our depots as a partner gets them: pure functions, without queries.

What is related to a booking (EVSEs of its option, tokens, requests) must have been fetched with it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from math import ceil
from typing import Any

from bookings.models import Booking, BookingRequest, BookingStatus, Enforcement
from bookings.models import BookingToken as OurToken
from depots.models import Evse
from depots.periods import Period
from roaming.ocpi import wire_object
from roaming.ocpi.times import read_time
from roaming.ocpi.v2_3_0.bookings import reading, schemas
from roaming.ocpi.v2_3_0.bookings.offer_mapping import option_of, terms_out
from roaming.ocpi.v2_3_0.bookings.schemas import AccessMethod, CanceledReason
from roaming.ocpi.v2_3_0.bookings.statuses import (
    CANCELLED_BY,
    DECISION,
    STATUS,
)
from roaming.ocpi.v2_3_0.bookings.token_types import token_type_out
from roaming.ocpi.wire_object import NOT_ASSIGNED, UnreadableError

# From here on the EVSE of a pooled offer is settled and may be told.
SETTLED = frozenset({Enforcement.ARMED, Enforcement.AT_RISK, Enforcement.SOFT, Enforcement.USED})


def booking_out(booking: Booking, *, newest: schemas.BookingRequest | None = None) -> schemas.Booking:
    """The contract as it stands. Raises ValueError for a booking that never goes on a wire.

    `newest` is the partner's last message where it was read already.
    """
    status = STATUS[BookingStatus(booking.status)]
    if status is None:
        raise ValueError(f"a booking that is {booking.status} is not sent")
    operator = booking.depot.operator
    return schemas.Booking(
        id=booking.reference,
        country_code=operator.country_code.upper(),
        party_id=operator.cpo_party_id.upper(),
        request_id=booking.request_id,
        booking_option=granted(booking),
        location_id=booking.depot.location_id,
        booking_tokens=[_token_out(token) for token in booking.tokens.all()],
        tariff_ids=[tariff["code"] for tariff in booking.quote.get("tariffs", ()) if "code" in tariff],
        period=_granted_period(booking),
        reservation_status=status,
        canceled=_cancellation_out(booking),
        access_information=_plate_out(booking),
        authorization_reference=booking.authorization_reference or booking.request_id,
        booking_terms=terms_out(
            booking.terms,
            [booking.evse] if booking.evse is not None else [],
            has_no_show_fee=Decimal(booking.quote.get("no_show_fee") or 0) > 0,
        ),
        booking_requests=_history_out(booking, newest),
        last_updated=booking.updated_at,
    )


def granted(booking: Booking) -> schemas.BookingOption:
    """Which EVSE it is. Of a pool only once it is settled, or when the partner asked for that one."""
    evse = booking.evse
    if evse is None or not _is_told(booking, evse):
        return schemas.BookingOption(evse_uid=NOT_ASSIGNED)
    return option_of([evse], evse_uid=evse.uid, parking_id=evse.uid)


def refusal_of(booking: Booking) -> str:
    """Why the newest ask was declined; empty when it was not."""
    newest = list(booking.requests.all())[-1:]
    return newest[0].reason if newest and newest[0].decision == BookingRequest.Decision.DECLINED else ""


def _is_told(booking: Booking, evse: Evse) -> bool:
    if len(booking.option.evses.all()) == 1 or booking.enforcement in SETTLED or booking.session_id:
        return True
    accepted = [r for r in booking.requests.all() if r.decision == BookingRequest.Decision.ACCEPTED]
    wishes = [wish for r in accepted if (wish := asked_evse_uid(r.received))]
    return bool(wishes) and wishes[-1].upper() == evse.uid.upper()


def asked_evse_uid(received: dict[str, object] | None) -> str:
    """The EVSE a request of a partner names, in any of the places where it may stand; empty when it names none."""
    told = _kept_ask(received) if received else None
    return (told.booking_option.evse_uid or "") if told and told.booking_option else ""


def _granted_period(booking: Booking) -> schemas.Timeslot:
    """Promised is what is guaranteed, the EVSE's own power what may come on top."""
    promised = booking.promised_power_w or None
    most = max(booking.evse.max_power_w, promised or 0) if booking.evse else promised
    return schemas.Timeslot(
        start_date_time=booking.starts_at,
        end_date_time=booking.ends_at,
        min_power=promised,
        max_power=most,
        green_energy_support=booking.depot.is_green,
    )


def _cancellation_out(booking: Booking) -> schemas.Cancellation | None:
    if booking.status != BookingStatus.CANCELLED:
        return None
    known = booking.cancel_reason in set(CanceledReason)
    side = Booking.Side(booking.cancelled_by) if booking.cancelled_by else Booking.Side.DEPOT
    return schemas.Cancellation(
        cancellation_reason=CanceledReason(booking.cancel_reason) if known else CanceledReason.UNKNOWN,
        who_canceled=CANCELLED_BY[side],
    )


def _plate_out(booking: Booking) -> list[schemas.AccessInformation]:
    if not booking.plate:
        return []
    return [schemas.AccessInformation(method=AccessMethod.LICENSE_PLATE, value=booking.plate)]


def _history_out(
    booking: Booking, newest: schemas.BookingRequest | None
) -> list[schemas.BookingRequestStatus]:
    """Every message of the partner as it came, completed where it had less than a BookingRequest has: by what its old
    names mean, then by the booking as it was in force when it came."""
    period, entries = booking.period, []
    asked = [r for r in booking.requests.all() if r.received is not None]
    first = next((r.asked["period"] for r in asked if "period" in r.asked), None)
    in_force = _period_of(first) if first else period
    for request in asked:
        told = newest.wire() if newest is not None and request is asked[-1] else _told(request)
        entries.append(
            schemas.BookingRequestStatus(
                request_status=DECISION[BookingRequest.Decision(request.decision)],
                booking_request=_completed(request.received or {}, told, booking, in_force),
                request_received=request.asked_at,
            )
        )
        if request.decision == BookingRequest.Decision.ACCEPTED and "period" in request.asked:
            in_force = _period_of(request.asked["period"])
    return entries


def _told(request: BookingRequest) -> dict[str, Any]:
    """What it asked for, its power as that was read when it came, by the partner's unit."""
    told = _kept_ask(request.received or {})
    if told is None:
        return {}
    if told.power_required is not None and (watts := request.asked.get("power_w")):
        told = told.model_copy(update={"power_required": ceil(watts / 1000)})
    return told.wire()


def _kept_ask(received: dict[str, Any]) -> schemas.BookingRequest | None:
    """Generously, as it was read when it came; None for what was kept under other rules than today's."""
    with wire_object.reading(strictly=False), suppress(UnreadableError):
        return reading.read_booking_request(received).value
    return None


# What a BookingRequest always has, and what stands in its place where a partner's has not: the booking as it was in force.
_COMPLETION: dict[str, Callable[[Booking, Period], Any]] = {
    "country_code": lambda booking, _: booking.customer_country,
    "party_id": lambda booking, _: booking.customer_party,
    "request_id": lambda booking, _: booking.request_id,
    "location_id": lambda booking, _: booking.depot.location_id,
    "booking_location_id": lambda booking, _: booking.option.code,
    "tokens": lambda booking, _: [_token_out(token).wire() for token in booking.tokens.all()],
    "period": lambda _, in_force: schemas.Period(
        start_date_time=in_force.starts_at, end_date_time=in_force.ends_at
    ).wire(),
    "authorization_reference": lambda booking, _: booking.authorization_reference or booking.request_id,
}
_OTHERWISE_NAMED = ("canceled", "access_information", "power_required")


def _completed(
    received: dict[str, Any], told: dict[str, Any], booking: Booking, in_force: Period
) -> dict[str, Any]:
    missing = {
        name: told.get(name) or known(booking, in_force)
        for name, known in _COMPLETION.items()
        if not received.get(name)
    }
    missing |= {name: told[name] for name in _OTHERWISE_NAMED if name in told and not received.get(name)}
    if isinstance(received.get("period"), dict):  # 1.0 named its times otherwise
        missing["period"] = {**told.get("period", {}), **received["period"]}
    return {name: value for name, value in {**received, **missing}.items() if value not in (None, [])}


def _period_of(asked: dict[str, str]) -> Period:
    return Period(read_time(asked["start"]), read_time(asked["end"]))


def _token_out(token: OurToken) -> schemas.BookingToken:
    return schemas.BookingToken(
        country_code=token.country_code,
        party_id=token.party_id,
        uid=token.uid,
        type=token_type_out(token.type),
        contract_id=token.contract_id or token.uid,
    )
