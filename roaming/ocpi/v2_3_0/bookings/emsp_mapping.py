"""Our fleets' bookings at partners' depots: what we ask, and what partners tell. Tables and pure functions.

What a partner says becomes the mirror's own values; what they mean for us is decided there (mirror/request_answers.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from math import ceil
from typing import Any

from bookings.models import Booking, BookingRequest
from bookings.rules.fit import Needs
from bookings.rules.terms import WalkIn
from depots.models import Connector
from depots.periods import Period
from roaming.mirror.values import (
    NEVER_MIN,
    ToldBay,
    ToldBooking,
    ToldConnector,
    ToldEntry,
    ToldOffer,
    ToldRequest,
    ToldSlot,
)
from roaming.ocpi.lenient import read
from roaming.ocpi.times import read_time, time_out
from roaming.ocpi.v2_3_0.bookings import reading, schemas
from roaming.ocpi.v2_3_0.bookings.schemas import AccessMethod, TokenType
from roaming.ocpi.v2_3_0.bookings.statuses import CANCELLED_BY, OUR_DECISION, OUR_SIDE, OUR_STATUS
from roaming.ocpi.v2_3_0.bookings.token_types import token_type_out
from roaming.ocpi.wire_object import Notes, UnreadableError

# Of one offer, for who has not booked.
MOST_PLACES = 10_000
# Reasons an eMSP may give; any other is not ours to claim.
OUR_REASONS = {"TRAFFIC", "BROKEN_VEHICLE", "BLOCKED", "NO_CANCELED", "UNKNOWN"}


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
        "booking_option": _needed(booking, asked.get("evse") or only_evse),
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


# By which fields of a booking's own terms ours are told; what is not told is as the offer has it.
TOLD_BY = {
    "change_until_min": {"change_until_minutes", "change_not_allowed"},
    "cancel_until_min": {"cancel_until_minutes"},
    "early_start_min": {"early_start_allowed", "early_start_time"},
    "late_stop_min": {"late_stop_allowed", "late_stop_time"},
    "no_show_min": {"noshow_timeout"},
}


def booking_in(told: schemas.Booking, terms_told: Collection[str] = ()) -> ToldBooking:
    """`terms_told` are the fields of its terms that were there (reading.terms_told)."""
    option, cancelled = told.booking_option, told.canceled
    power = told.period.min_power or told.period.max_power
    return ToldBooking(
        id=told.id,
        request_id=told.request_id,
        country_code=told.country_code,
        party_id=told.party_id,
        told_status=told.reservation_status.value,
        status=OUR_STATUS[told.reservation_status],
        span=(told.period.start_date_time, told.period.end_date_time),
        power_w=int(power) if power else None,
        evse_uid=(option.evse_uid or None) if option else None,
        cancelled_by=OUR_SIDE[cancelled.who_canceled] if cancelled else None,
        cancel_reason=cancelled.cancellation_reason.value if cancelled else "UNKNOWN",
        history=tuple(_entry_in(entry) for entry in told.booking_requests),
        last_updated=told.last_updated,
        terms={
            name: value
            for name, value in _terms_in(told.booking_terms).items()
            if not TOLD_BY.get(name, set()).isdisjoint(terms_told)
        },
    )


def request_in(raw: dict[str, Any]) -> ToldRequest | None:
    """What a message of ours says, as we sent it or as a partner's history has it; None for one that cannot be read."""
    try:
        told = reading.read_booking_request(raw).value
    except UnreadableError:
        return None
    period = told.period
    return ToldRequest(
        is_cancellation=told.canceled is not None,
        span=(period.start_date_time, period.end_date_time) if period else None,
        evse_uid=told.booking_option.evse_uid if told.booking_option else None,
        power_kw=told.power_required,
        token_uids=frozenset(token.uid.upper() for token in told.tokens),
        access=tuple((a.method.value, a.value) for a in told.access_information),
    )


def offer_in(told: schemas.BookingLocation) -> ToldOffer:
    option = told.booking_option or schemas.BookingOption()
    return ToldOffer(
        country_code=told.country_code,
        party_id=told.party_id,
        code=told.id,
        location_id=told.location_id,
        is_removed=told.is_removed,
        evse_uid=option.evse_uid or "",
        bay=_bay_in(option),
        connectors=_connectors_in(option),
        terms=(_terms_in(told.booking_terms) if told.booking_terms else {}) | _policy_in(told.policy),
        slots=tuple(_slots_in(told.calendars)),
        last_updated=told.last_updated,
        tariff_codes=tuple(told.tariff_ids),
        ad_hoc_places=_places_in(told.policy),
    )


def _places_in(policy: schemas.Policy | None) -> int | None:
    """Other numbers count no places."""
    told = policy.ad_hoc if policy is not None else None
    return int(told) if told is not None and 0 <= told <= MOST_PLACES else None


def _entry_in(entry: schemas.BookingRequestStatus) -> ToldEntry:
    return ToldEntry(
        OUR_DECISION[entry.request_status], entry.request_received, request_in(entry.booking_request)
    )


def _bay_in(option: schemas.BookingOption) -> ToldBay:
    return ToldBay(
        vehicle_types=tuple(option.vehicle_types) or None,
        max_length_cm=option.max_vehicle_length,
        max_width_cm=option.max_vehicle_width,
        max_height_cm=option.max_vehicle_height,
        max_weight_kg=option.max_vehicle_weight,
        drive_through=option.drive_through,
        dangerous_goods_allowed=option.dangerous_goods_allowed,
        refrigeration_outlet=option.refrigeration_outlet,
        length_cm=option.min_parking_space_length,
        width_cm=option.min_parking_space_width,
        position=option.evse_position[0].value if len(option.evse_position) == 1 else None,
    )


def _connectors_in(option: schemas.BookingOption) -> tuple[ToldConnector, ...]:
    """A plug of each standard; which format and current belong to which is not told."""
    plug = option.connector_format[0].value if option.connector_format else str(Connector.Format.CABLE)
    power_type = option.power_types[0].value if option.power_types else "DC"
    return tuple(ToldConnector(name, plug, power_type) for name in dict.fromkeys(option.connector_types))


def _terms_in(terms: schemas.BookingTerms) -> dict[str, Any]:
    """Minutes as told; a grace that is not allowed is none."""
    has_early_start = terms.early_start_allowed is not False
    return {
        "change_until_min": NEVER_MIN if terms.change_not_allowed else terms.change_until_minutes or 0,
        "cancel_until_min": terms.cancel_until_minutes or 0,
        "early_start_min": (terms.early_start_time or 0) if has_early_start else 0,
        "late_stop_min": (terms.late_stop_time or 0) if terms.late_stop_allowed else 0,
        "no_show_min": terms.noshow_timeout,
        "overlapping_tokens": terms.overlapping_bookings_allowed is not False,
        "min_duration_min": terms.min_booking_duration or 0,
        "max_duration_min": terms.max_booking_duration or 0,
    }


def _policy_in(policy: schemas.Policy | None) -> dict[str, Any]:
    """Who charges there without a booking: nobody of ours, or everybody who is known."""
    if policy is None:
        return {"walk_in": None}
    return {"walk_in": WalkIn.OWN if policy.reservation_required else WalkIn.KNOWN}


def _slots_in(calendars: Iterable[schemas.Calendar]) -> Iterable[ToldSlot]:
    for calendar in calendars:
        for slot in calendar.available_timeslots:
            yield ToldSlot(
                calendar_id=calendar.id,
                period=Period(slot.start_date_time, slot.end_date_time),
                step_min=calendar.timeslot_increment,
                min_power_w=int(slot.min_power) if slot.min_power else None,
                max_power_w=int(slot.max_power) if slot.max_power else None,
            )


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
            "type": token_type_out(token.get("type") or TokenType.RFID.value),
            "contract_id": token.get("contract_id") or token["uid"],
        }
        for token in named
    ]


def _needed(booking: Booking, evse_uid: str) -> dict[str, Any] | None:
    """What the vehicle needs, with the trailer it brings; in a request the maximum sizes are its own."""
    needs = Needs.of(booking.vehicle, booking.trailer)
    needed = {
        "evse_uid": evse_uid,
        "vehicle_types": sorted(needs.named_types),
        "connector_types": sorted(needs.connector_standards),
        "max_vehicle_length": needs.length_cm,
        "max_vehicle_width": needs.width_cm,
        "max_vehicle_height": needs.height_cm,
        "max_vehicle_weight": needs.weight_kg,
        "dangerous_goods_allowed": needs.dangerous_goods or None,
        "drive_through": needs.drive_through or None,
        "refrigeration_outlet": needs.refrigeration or None,
    }
    return {k: v for k, v in needed.items() if v not in (None, [], "")} or None


def _plate(booking: Booking) -> list[dict[str, str]]:
    return [{"method": AccessMethod.LICENSE_PLATE.value, "value": booking.plate}] if booking.plate else []
