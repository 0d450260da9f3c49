"""Our fleets' bookings at partners' depots: what we ask, and what their answers mean. Tables and pure functions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any

from bookings.models import Booking, BookingRequest, BookingStatus, Vehicle
from bookings.operations import RemoteState
from depots.periods import Period
from roaming.ocpi.lenient import read
from roaming.ocpi.times import read_time, time_out
from roaming.ocpi.v2_3_0.bookings import reading, schemas
from roaming.ocpi.v2_3_0.bookings.schemas import (
    AccessMethod,
    CancelledBy,
    ReservationRequestStatus,
    ReservationStatus,
    TokenType,
)
from roaming.ocpi.v2_3_0.bookings.statuses import CANCELLED_BY, OUR_DECISION, OUR_SIDE, OUR_STATUS
from roaming.ocpi.wire import Notes, UnreadableError

Decision = BookingRequest.Decision
# Reasons an eMSP may give; any other is not ours to claim.
OUR_REASONS = {"TRAFFIC", "BROKEN_VEHICLE", "BLOCKED", "NO_CANCELED", "UNKNOWN"}
ANSWER_TO_CREATE = {
    ReservationStatus.RESERVED: Decision.ACCEPTED,
    ReservationStatus.FULFILLED: Decision.ACCEPTED,
    ReservationStatus.NO_SHOW: Decision.ACCEPTED,
    ReservationStatus.REJECTED: Decision.DECLINED,
    ReservationStatus.CANCELED: Decision.DECLINED,
    ReservationStatus.FAILED: Decision.FAILED,
}
OVER = {
    ReservationStatus.CANCELED,
    ReservationStatus.FAILED,
    ReservationStatus.NO_SHOW,
    ReservationStatus.FULFILLED,
    ReservationStatus.REJECTED,
}
# How far a booking has come, to tell which of two states of one second is the later.
PROGRESS = {ReservationStatus.UNKNOWN: 0, ReservationStatus.PENDING: 1, ReservationStatus.RESERVED: 2}
OVER_PROGRESS = 3


@dataclass(frozen=True)
class Posted:
    """An ask as it was sent, and when the entries of the partner's history were received that were there before it."""

    body: dict[str, Any]
    known: tuple[str, ...]
    is_answered: bool = False  # the booking to be read is the answer to this very message


def request_out(booking: Booking, request: BookingRequest, only_evse: str) -> schemas.BookingRequest:
    """One of our asks, always complete: a change repeats what stays, a cancellation what was booked last.

    `only_evse` is the uid of what is offered, empty for a pool. Raises ValueError for a fleet without an eMSP party id.
    """
    if not booking.customer_country or not booking.customer_party:
        raise ValueError(f"{booking.fleet} has no eMSP party id, which partners need to know who asks.")
    asked, depot = request.asked, booking.depot
    power_w = asked.get("power_w") or booking.promised_power_w
    body: dict[str, Any] = {
        "country_code": booking.customer_country,
        "party_id": booking.customer_party,
        "request_id": booking.request_id,
        "location_id": depot.location_id,
        "booking_location_id": booking.option.code,
        "booking_option": _needed(booking.vehicle, asked.get("evse") or only_evse),
        "tokens": _tokens(booking, asked),
        "access_information": _plate(booking),
        "period": _period(booking, asked),
        "authorization_reference": (booking.authorization_reference or booking.reference)[:36],
        "power_required": ceil(power_w / 1000) if power_w else None,
    }
    if request.kind == BookingRequest.Kind.CANCEL:
        reason = asked.get("reason", "")
        body["canceled"] = {
            "cancellation_reason": reason if reason in OUR_REASONS else "NO_CANCELED",
            "who_canceled": CANCELLED_BY[Booking.Side.FLEET],
        }
    # Ids of partners may be longer than OCPI allows, and go back as they came.
    return read(schemas.BookingRequest, {k: v for k, v in body.items() if v is not None}, Notes())


def state_in(
    theirs: schemas.Booking,
    booking: Booking,
    ask: BookingRequest | None,
    posted: Posted | None = None,
    *,
    reason: str = "",
) -> RemoteState:
    """What the partner says of a booking, in our words. `ask` is the one that waits for an answer, if any, and `posted`
    what was sent of it."""
    status = OUR_STATUS[theirs.reservation_status]
    if status == BookingStatus.REQUESTED and booking.status == BookingStatus.CONFIRMED:
        status = None  # a change is being looked at; the slot stays ours meanwhile
    is_granted = theirs.reservation_status in (ReservationStatus.RESERVED, ReservationStatus.FULFILLED)
    option = theirs.booking_option
    power = theirs.period.min_power or theirs.period.max_power
    cancelled = theirs.canceled
    ours = ask is not None and ask.kind == BookingRequest.Kind.CANCEL
    side = OUR_SIDE[cancelled.who_canceled if cancelled else CancelledBy.EMSP if ours else CancelledBy.CPO]
    return RemoteState(
        remote_status=theirs.reservation_status.value,
        status=status,
        remote_id=theirs.id,
        period=_period_in(theirs.period) if is_granted else None,
        evse_uid=option.evse_uid if option and option.evse_uid else None,
        power_w=int(power) if power and is_granted else None,
        decision=decision_in(theirs, ask, posted),
        reason=reason,
        cancelled_by=str(side.value) if status == BookingStatus.CANCELLED else "",
        cancel_reason=(cancelled.cancellation_reason.value if cancelled else "UNKNOWN")
        if status == BookingStatus.CANCELLED
        else "",
    )


def decision_in(
    theirs: schemas.Booking, ask: BookingRequest | None, posted: Posted | None = None
) -> Decision | None:
    """The answer to the ask that waits: as the partner's history has it, else as its status implies. None: not yet.

    An ask that was not sent is answered by nothing but the end of the booking; an answer is an entry that is newer than
    the ask and says the same.
    """
    if ask is None:
        return None
    is_first = ask.kind == BookingRequest.Kind.CREATE
    entry = _creation(theirs, ask) if is_first else _entry_of(theirs, posted)
    if entry is not None and entry != ReservationRequestStatus.PENDING:
        return OUR_DECISION[entry]
    if is_first:
        return ANSWER_TO_CREATE.get(theirs.reservation_status)
    if theirs.reservation_status in OVER:
        is_done = (
            ask.kind == BookingRequest.Kind.CANCEL and theirs.reservation_status == ReservationStatus.CANCELED
        )
        return Decision.ACCEPTED if is_done else Decision.DECLINED
    if posted is not None and not theirs.booking_requests and "period" in ask.asked:
        return Decision.ACCEPTED if _is_period(theirs.period, ask.asked["period"]) else None
    return None


def is_older(theirs: schemas.Booking, known: schemas.Booking) -> bool:
    """Is this a state from before the one we know? Of one second, the booking that has come less far is."""
    if theirs.last_updated != known.last_updated:
        return theirs.last_updated < known.last_updated
    return _progress(theirs) < _progress(known)


def _progress(booking: schemas.Booking) -> tuple[int, int]:
    undecided = sum(e.request_status == ReservationRequestStatus.PENDING for e in booking.booking_requests)
    return PROGRESS.get(booking.reservation_status, OVER_PROGRESS), len(
        booking.booking_requests
    ) * 2 - undecided


def received_at(theirs: schemas.Booking) -> list[str]:
    """When each entry of the partner's history was received: what tells them apart, in whatever order they come."""
    return [time_out(entry.request_received) for entry in theirs.booking_requests]


def _creation(theirs: schemas.Booking, ask: BookingRequest) -> ReservationRequestStatus | None:
    """What became of the first ask: of the newest entry that is no cancellation and about its period."""
    for entry in reversed(theirs.booking_requests):
        told = _request_in(entry.booking_request)
        if told is None or told.canceled is not None:
            continue
        if "period" not in ask.asked or (told.period and _is_period(told.period, ask.asked["period"])):
            return entry.request_status
    return None


def _entry_of(theirs: schemas.Booking, posted: Posted | None) -> ReservationRequestStatus | None:
    """What became of an ask that was posted; of its own answer the newest entry, whatever it repeats."""
    if posted is None:
        return None
    known = Counter(posted.known)
    new = []
    for entry in sorted(theirs.booking_requests, key=lambda e: e.request_received):
        stamp = time_out(entry.request_received)
        if known[stamp]:
            known[stamp] -= 1
        else:
            new.append(entry)
    same = [entry for entry in new if _says_the_same(entry.booking_request, posted.body)]
    found = same or (new if posted.is_answered else [])
    return found[-1].request_status if found else None


def _says_the_same(entry: dict[str, Any], body: dict[str, Any]) -> bool:
    """Whether an entry is what we posted, as far as it repeats it."""
    told, ours = _request_in(entry), _request_in(body)
    if told is None or ours is None or (told.canceled is None) != (ours.canceled is None):
        return False
    if told.canceled is not None:
        return True
    evse, wanted = (r.booking_option.evse_uid if r.booking_option else None for r in (told, ours))
    return (
        told.period in (None, ours.period)
        and evse in (None, wanted)
        and told.power_required in (None, ours.power_required)
        and (not told.tokens or _uids(told) == _uids(ours))
        and (not told.access_information or told.access_information == ours.access_information)
    )


def _uids(request: schemas.BookingRequest) -> set[str]:
    return {token.uid.upper() for token in request.tokens}


def _request_in(raw: dict[str, Any]) -> schemas.BookingRequest | None:
    try:
        return reading.read_booking_request(raw).value
    except UnreadableError:
        return None


def _is_period(told: schemas.Period | schemas.Timeslot, asked: dict[str, str]) -> bool:
    return (told.start_date_time, told.end_date_time) == (read_time(asked["start"]), read_time(asked["end"]))


def _period_in(slot: schemas.Timeslot) -> Period | None:
    if slot.start_date_time >= slot.end_date_time:
        return None
    return Period(slot.start_date_time, slot.end_date_time)


def _period(booking: Booking, asked: dict[str, Any]) -> dict[str, str]:
    span = asked.get("period")
    starts_at: datetime = read_time(span["start"]) if span else booking.starts_at
    ends_at: datetime = read_time(span["end"]) if span else booking.ends_at
    return {"start_date_time": time_out(starts_at), "end_date_time": time_out(ends_at)}


def _tokens(booking: Booking, asked: dict[str, Any]) -> list[dict[str, str]]:
    """At least one, always: without any, nobody could say later for whom a no-show is billed."""
    named = asked.get("tokens") or [
        {
            "uid": t.uid,
            "type": t.type,
            "contract_id": t.contract_id,
            "country_code": t.country_code,
            "party_id": t.party_id,
        }
        for t in booking.tokens.all()
    ]
    if not named:
        named = [{"uid": booking.reference, "type": TokenType.APP_USER.value}]
    return [
        {
            "country_code": token.get("country_code") or booking.customer_country,
            "party_id": token.get("party_id") or booking.customer_party,
            "uid": token["uid"],
            "type": token.get("type") or TokenType.RFID.value,
            "contract_id": token.get("contract_id") or token["uid"],
        }
        for token in named
    ]


def _needed(vehicle: Vehicle | None, evse_uid: str) -> dict[str, Any] | None:
    """The vehicle's needs; in a request the maximum sizes are its own."""
    needed: dict[str, Any] = {"evse_uid": evse_uid} if evse_uid else {}
    if vehicle is not None:
        needed |= {
            "vehicle_types": [vehicle.vehicle_type] if vehicle.vehicle_type else [],
            "connector_types": list(vehicle.connector_standards),
            "max_vehicle_length": vehicle.length_cm,
            "max_vehicle_width": vehicle.width_cm,
            "max_vehicle_height": vehicle.height_cm,
            "max_vehicle_weight": vehicle.weight_kg,
            "dangerous_goods_allowed": vehicle.carries_dangerous_goods or None,
            "drive_through": vehicle.needs_drive_through or None,
            "refrigeration_outlet": vehicle.needs_refrigeration or None,
        }
    return {k: v for k, v in needed.items() if v not in (None, [])} or None


def _plate(booking: Booking) -> list[dict[str, str]]:
    return [{"method": AccessMethod.LICENSE_PLATE.value, "value": booking.plate}] if booking.plate else []
