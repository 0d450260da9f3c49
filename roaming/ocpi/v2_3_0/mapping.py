"""Between our words and those of OCPI 2.3.0: tables and pure functions, without queries.

What is related to an object (EVSEs of an option, tokens and requests of a booking) must have been fetched with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from bookings.models import Booking, BookingOption, BookingRequest, BookingStatus, Enforcement
from bookings.models import BookingToken as OurToken
from bookings.rules.entitlement import TokenName
from bookings.rules.fit import Needs
from bookings.rules.terms import Terms
from bookings.search.availability import Timeslot as FreeSlot
from depots.cards import card_number
from depots.models import Connector, Depot, Evse, OpeningHours, Organisation
from depots.periods import Period
from roaming.ocpi.v2_3_0 import schemas
from roaming.ocpi.v2_3_0.schemas import (
    AccessMethod,
    CanceledReason,
    CancelledBy,
    EvseStatus,
    ReservationRequestStatus,
    ReservationStatus,
)
from roaming.ocpi.wire import NOT_ASSIGNED, read_time

# None: never sent.
STATUS: dict[BookingStatus, ReservationStatus | None] = {
    BookingStatus.HELD: None,
    BookingStatus.EXPIRED: None,
    BookingStatus.REQUESTED: ReservationStatus.PENDING,
    BookingStatus.CONFIRMED: ReservationStatus.RESERVED,
    BookingStatus.CHARGING: ReservationStatus.FULFILLED,
    BookingStatus.COMPLETED: ReservationStatus.FULFILLED,
    BookingStatus.DECLINED: ReservationStatus.REJECTED,
    BookingStatus.CANCELLED: ReservationStatus.CANCELED,
    BookingStatus.NO_SHOW: ReservationStatus.NO_SHOW,
    BookingStatus.FAILED: ReservationStatus.FAILED,
}
# A partner's word for a booking at its depot. None: it says nothing we could follow. FULFILLED comes when the session
# starts, and nothing comes when it ends.
OUR_STATUS: dict[ReservationStatus, BookingStatus | None] = {
    ReservationStatus.PENDING: BookingStatus.REQUESTED,
    ReservationStatus.RESERVED: BookingStatus.CONFIRMED,
    ReservationStatus.FULFILLED: BookingStatus.CHARGING,
    ReservationStatus.REJECTED: BookingStatus.DECLINED,
    ReservationStatus.CANCELED: BookingStatus.CANCELLED,
    ReservationStatus.NO_SHOW: BookingStatus.NO_SHOW,
    ReservationStatus.FAILED: BookingStatus.FAILED,
    ReservationStatus.UNKNOWN: None,
}
FINAL = frozenset(
    {
        ReservationStatus.CANCELED,
        ReservationStatus.FAILED,
        ReservationStatus.NO_SHOW,
        ReservationStatus.FULFILLED,
        ReservationStatus.REJECTED,
    }
)
DECISION: dict[BookingRequest.Decision, ReservationRequestStatus] = {
    BookingRequest.Decision.PENDING: ReservationRequestStatus.PENDING,
    BookingRequest.Decision.ACCEPTED: ReservationRequestStatus.ACCEPTED,
    BookingRequest.Decision.DECLINED: ReservationRequestStatus.DECLINED,
    BookingRequest.Decision.FAILED: ReservationRequestStatus.FAILED,
}
OUR_DECISION: dict[ReservationRequestStatus, BookingRequest.Decision] = {w: d for d, w in DECISION.items()}
CANCELLED_BY: dict[Booking.Side, CancelledBy] = {
    Booking.Side.FLEET: CancelledBy.EMSP,
    Booking.Side.DEPOT: CancelledBy.CPO,
}
OUR_SIDE: dict[CancelledBy, Booking.Side] = {who: side for side, who in CANCELLED_BY.items()}
EVSE_STATUS: dict[Evse.Status, EvseStatus] = {
    Evse.Status.AVAILABLE: EvseStatus.AVAILABLE,
    Evse.Status.OCCUPIED: EvseStatus.BLOCKED,
    Evse.Status.CHARGING: EvseStatus.CHARGING,
    Evse.Status.RESERVED: EvseStatus.RESERVED,
    Evse.Status.UNAVAILABLE: EvseStatus.INOPERATIVE,
    Evse.Status.FAULTED: EvseStatus.OUTOFORDER,
    Evse.Status.UNKNOWN: EvseStatus.UNKNOWN,
}
# Where the charger says nothing better, a booked slot that is about to start shows.
RESERVABLE = frozenset({Evse.Status.AVAILABLE, Evse.Status.RESERVED, Evse.Status.UNKNOWN})
# From here on the EVSE of a pooled offer is settled and may be told.
SETTLED = frozenset({Enforcement.ARMED, Enforcement.AT_RISK, Enforcement.SOFT, Enforcement.USED})
RESERVED_BEFORE = timedelta(minutes=10)
ALL_DAY = 24 * 60


# Bookings


def booking_out(booking: Booking) -> schemas.Booking:
    """The contract as it stands. Raises ValueError for a booking that never goes on a wire."""
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
        period=_granted_period(booking),
        reservation_status=status,
        canceled=_cancellation_out(booking),
        access_information=_plate_out(booking),
        authorization_reference=booking.authorization_reference or booking.request_id,
        booking_terms=terms_out(
            booking.terms, has_no_show_fee=Decimal(booking.quote.get("no_show_fee") or 0) > 0
        ),
        booking_requests=_history_out(booking),
        last_updated=booking.updated_at,
    )


def granted(booking: Booking) -> schemas.BookingOption:
    """Which EVSE it is. Of a pool only once it is settled, or when the partner asked for that one."""
    evse = booking.evse
    if evse is None or not _is_told(booking, evse):
        return schemas.BookingOption(evse_uid=NOT_ASSIGNED)
    return _option_of([evse], evse_uid=evse.uid, parking_id=evse.uid)


def refusal_of(booking: Booking) -> str:
    """Why the newest ask was declined; empty when it was not."""
    newest = list(booking.requests.all())[-1:]
    return newest[0].reason if newest and newest[0].decision == BookingRequest.Decision.DECLINED else ""


def terms_out(terms: Terms, *, has_no_show_fee: bool = False) -> schemas.BookingTerms:
    return schemas.BookingTerms(
        rfid_auth_required=True,
        token_groups_supported=False,
        remote_auth_supported=False,
        supported_access_methods=[AccessMethod.TOKEN],
        change_until_minutes=terms.change_until_min,
        cancel_until_minutes=terms.cancel_until_min,
        change_not_allowed=False,
        early_start_allowed=terms.early_start_min > 0,
        early_start_time=terms.early_start_min,
        noshow_timeout=terms.no_show_min,
        noshow_fee=has_no_show_fee,
        late_stop_allowed=terms.late_stop_min > 0,
        late_stop_time=terms.late_stop_min,
        overlapping_bookings_allowed=terms.overlapping_tokens,
        min_booking_duration=terms.min_duration_min,
        max_booking_duration=terms.max_duration_min,
    )


def _is_told(booking: Booking, evse: Evse) -> bool:
    if len(booking.option.evses.all()) == 1 or booking.enforcement in SETTLED or booking.session_id:
        return True
    accepted = [r for r in booking.requests.all() if r.decision == BookingRequest.Decision.ACCEPTED]
    wishes = [wish for r in accepted if (wish := asked_evse_uid(r.received))]
    return bool(wishes) and wishes[-1].upper() == evse.uid.upper()


def asked_evse_uid(received: dict[str, object] | None) -> str:
    """The EVSE a request of a partner names, in any of the places where it may stand; empty when it names none."""
    if not received:
        return ""
    try:
        option = schemas.read_booking_request(received).value.booking_option
    except schemas.UnreadableError:
        return ""
    return (option.evse_uid or "") if option else ""


def _granted_period(booking: Booking) -> schemas.Timeslot:
    """Promised is what is guaranteed, the EVSE's own power what may come on top."""
    promised = booking.promised_power_w or None
    most = max(booking.evse.max_power_w, promised or 0) if booking.evse else promised
    return schemas.Timeslot(
        start_date_time=booking.starts_at, end_date_time=booking.ends_at, min_power=promised, max_power=most
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


def _history_out(booking: Booking) -> list[schemas.BookingRequestStatus]:
    """Every message of the partner as it came, completed where it had less than a BookingRequest has: by what its old
    names mean, then by the booking as it was in force when it came."""
    period, entries = booking.period, []
    asked = [r for r in booking.requests.all() if r.received is not None]
    first = next((r.asked["period"] for r in asked if "period" in r.asked), None)
    in_force = _period_of(first) if first else period
    for request in asked:
        entries.append(
            schemas.BookingRequestStatus(
                request_status=DECISION[BookingRequest.Decision(request.decision)],
                booking_request=_completed(request.received or {}, booking, in_force),
                request_received=request.asked_at,
            )
        )
        if request.decision == BookingRequest.Decision.ACCEPTED and "period" in request.asked:
            in_force = _period_of(request.asked["period"])
    return entries


def _completed(received: dict[str, Any], booking: Booking, in_force: Period) -> dict[str, Any]:
    try:
        told = schemas.read_booking_request(received).value.wire()
    except schemas.UnreadableError:  # kept under other rules than today's
        told = {}
    known: dict[str, Any] = {
        "country_code": booking.customer_country,
        "party_id": booking.customer_party,
        "request_id": booking.request_id,
        "location_id": booking.depot.location_id,
        "booking_location_id": booking.option.code,
        "tokens": [_token_out(token).wire() for token in booking.tokens.all()],
        "period": schemas.Period(start_date_time=in_force.starts_at, end_date_time=in_force.ends_at).wire(),
        "authorization_reference": booking.authorization_reference or booking.request_id,
        **{name: told[name] for name in ("canceled", "access_information", "power_required") if name in told},
    }
    missing = {name: told.get(name) or value for name, value in known.items() if not received.get(name)}
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
        type=token.type,
        contract_id=token.contract_id or token.uid,
    )


# What a partner asks


def period_in(period: schemas.Period) -> Period:
    """Raises UnreadableError when it does not end after it starts."""
    if period.end_date_time <= period.start_date_time:
        raise schemas.UnreadableError("period.end_date_time", "must be after start_date_time")
    return Period(period.start_date_time, period.end_date_time)


def tokens_in(tokens: Iterable[schemas.BookingToken]) -> list[TokenName]:
    """Each once: a token named twice opens no second charger."""
    names = {
        (t.country_code.upper(), t.party_id.upper(), card_number(t.uid), t.type): TokenName(
            uid=t.uid,
            type=str(t.type),
            country_code=t.country_code,
            party_id=t.party_id,
            contract_id=t.contract_id,
        )
        for t in tokens
    }
    return list(names.values())


def needs_in(option: schemas.BookingOption | None) -> Needs:
    """What the vehicle needs. In a request the maximum sizes are the vehicle's own."""
    if option is None:
        return Needs()
    return Needs(
        vehicle_types=frozenset(name.upper() for name in option.vehicle_types),
        connector_standards=frozenset(name.upper() for name in option.connector_types),
        length_cm=_whole(option.max_vehicle_length),
        width_cm=_whole(option.max_vehicle_width),
        height_cm=_whole(option.max_vehicle_height),
        weight_kg=_whole(option.max_vehicle_weight),
        dangerous_goods=bool(option.dangerous_goods_allowed),
        refrigeration=bool(option.refrigeration_outlet),
        drive_through=bool(option.drive_through),
    )


def power_in(request: schemas.BookingRequest) -> int | None:
    """kW on the wire, watts here."""
    return request.power_required * 1000 if request.power_required else None


def plate_in(request: schemas.BookingRequest) -> str:
    plates = [
        a.value for a in request.access_information if a.method == AccessMethod.LICENSE_PLATE and a.value
    ]
    return plates[0][:20] if plates else ""


def _whole(number: float | None) -> int | None:
    return None if number is None else int(-(-number // 1))


# Offers


def booking_location_out(
    option: BookingOption,
    terms: Terms,
    slots: Sequence[FreeSlot],
    *,
    within: Period,
    has_no_show_fee: bool = False,
) -> schemas.BookingLocation:
    """An offer with its calendar; without free time, or withdrawn, it has none (`slots` empty)."""
    operator = option.depot.operator
    calendar = calendar_out(option, terms, slots, within=within)
    return schemas.BookingLocation(
        country_code=operator.country_code.upper(),
        party_id=operator.cpo_party_id.upper(),
        id=option.code,
        location_id=option.depot.location_id,
        booking_option=offered(option),
        policy=schemas.Policy(reservation_required=False),
        booking_terms=terms_out(terms, has_no_show_fee=has_no_show_fee),
        calendars=[calendar] if calendar else [],
        last_updated=option.updated_at,
    )


def calendar_out(
    option: BookingOption, terms: Terms, slots: Sequence[FreeSlot], *, within: Period
) -> schemas.Calendar | None:
    """One calendar over the whole horizon, so that no timeslot is cut at midnight. None when nothing is free."""
    if not slots:
        return None
    return schemas.Calendar(
        id=calendar_id(option),
        begin_from=within.starts_at,
        end_before=within.ends_at,
        timeslot_increment=terms.slot_step_min,
        available_timeslots=[_timeslot_out(slot) for slot in slots],
        last_updated=option.updated_at,
    )


def calendar_id(option: BookingOption) -> str:
    """Unique among all calendars of ours, as some partners keep them without their BookingLocation."""
    return f"CAL-{option.pk}"


def calendar_span(option: BookingOption, terms: Terms, *, now: datetime) -> Period:
    """From the depot's midnight before now to the one after the horizon: the same all day long."""
    zone = option.depot.zone
    first = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    last = (now + timedelta(days=terms.horizon_days)).astimezone(zone).date() + timedelta(days=1)
    return Period(first, datetime(last.year, last.month, last.day, tzinfo=zone)).in_utc()


def offered(option: BookingOption) -> schemas.BookingOption:
    """One EVSE by its name; of several what holds for all, and every plug that one of them has."""
    evses = list(option.evses.all())
    if len(evses) == 1:
        return _option_of(evses, evse_uid=evses[0].uid, parking_id=evses[0].uid)
    return _option_of(evses)


def _option_of(
    evses: Sequence[Evse], *, evse_uid: str | None = None, parking_id: str | None = None
) -> schemas.BookingOption:
    connectors = [connector for evse in evses for connector in evse.connectors.all()]
    return schemas.BookingOption(
        evse_uid=evse_uid,
        parking_id=parking_id,
        vehicle_types=_common_types(evses),
        connector_format=_distinct(c.format for c in connectors),
        connector_types=_distinct(c.standard for c in connectors),
        power_types=_distinct(c.power_type for c in connectors),
        max_vehicle_weight=_least(e.max_vehicle_weight_kg for e in evses),
        max_vehicle_height=_least(e.max_vehicle_height_cm for e in evses),
        max_vehicle_length=_least(e.max_vehicle_length_cm for e in evses),
        max_vehicle_width=_least(e.max_vehicle_width_cm for e in evses),
        dangerous_goods_allowed=_all(e.dangerous_goods_allowed for e in evses),
        drive_through=_all(e.drive_through for e in evses),
        refrigeration_outlet=_all(e.refrigeration_outlet for e in evses),
    )


def _timeslot_out(slot: FreeSlot) -> schemas.Timeslot:
    return schemas.Timeslot(
        start_date_time=slot.period.starts_at,
        end_date_time=slot.period.ends_at,
        min_power=slot.min_power_w,
        max_power=slot.max_power_w,
    )


def _common_types(evses: Sequence[Evse]) -> list[str]:
    """Types every EVSE takes; one without types takes all."""
    limited = [set(evse.vehicle_types) for evse in evses if evse.vehicle_types]
    return sorted(set.intersection(*limited)) if limited else []


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _least(limits: Iterable[int | None]) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _all(flags: Iterable[bool]) -> bool | None:
    known = list(flags)
    return all(known) if known else None


# Places


def location_out(
    depot: Depot, evses: Sequence[Evse], *, reserved: Collection[int] = (), is_public: bool = True
) -> schemas.Location:
    """A depot with its EVSEs and bays. `reserved` names the EVSEs (by key) whose booked slot is about to start."""
    shown = [evse_out(evse, is_reserved=evse.pk in reserved) for evse in evses]
    newest = max([depot.updated_at, *(evse.last_updated for evse in shown)])
    return schemas.Location(
        country_code=depot.operator.country_code.upper(),
        party_id=depot.operator.cpo_party_id.upper(),
        id=depot.location_id,
        publish=is_public,
        name=depot.name,
        address=depot.address,
        city=depot.city,
        postal_code=depot.postal_code or None,
        country=depot.country,
        coordinates=schemas.GeoLocation(
            latitude=_degrees(depot.latitude), longitude=_degrees(depot.longitude)
        ),
        evses=shown,
        parking_places=[parking_out(evse) for evse in evses],
        operator=business_details_out(depot.operator),
        time_zone=depot.time_zone,
        opening_times=hours_out(list(depot.opening_hours.all())),
        charging_when_closed=depot.charging_when_closed,
        last_updated=newest,
    )


def evse_out(evse: Evse, *, is_reserved: bool = False) -> schemas.Evse:
    changed_at = max(evse.updated_at, evse.status_received_at or evse.updated_at)
    return schemas.Evse(
        uid=evse.uid,
        status=_evse_status(evse, is_reserved=is_reserved),
        capabilities=["RFID_READER"],
        connectors=[connector_out(connector, changed_at) for connector in evse.connectors.all()],
        parking=[schemas.EvseParking(parking_id=evse.uid)],
        last_updated=changed_at,
    )


def _evse_status(evse: Evse, *, is_reserved: bool) -> EvseStatus:
    if evse.is_withdrawn:
        return EvseStatus.REMOVED
    if is_reserved and evse.status in RESERVABLE:
        return EvseStatus.RESERVED
    return EVSE_STATUS[Evse.Status(evse.status)]


def connector_out(connector: Connector, changed_at: datetime) -> schemas.Connector:
    return schemas.Connector(
        id=str(connector.number),
        standard=connector.standard,
        format=connector.format,
        power_type=connector.power_type,
        max_voltage=connector.max_voltage_v,
        max_amperage=connector.max_amperage_a,
        max_electric_power=connector.max_power_w,
        last_updated=changed_at,
    )


def parking_out(evse: Evse) -> schemas.Parking:
    """Every EVSE has a bay of its own, named like it."""
    return schemas.Parking(
        id=evse.uid,
        vehicle_types=list(evse.vehicle_types) or [str(name) for name in schemas.VehicleType],
        max_vehicle_weight=evse.max_vehicle_weight_kg,
        max_vehicle_height=evse.max_vehicle_height_cm,
        max_vehicle_length=evse.max_vehicle_length_cm,
        max_vehicle_width=evse.max_vehicle_width_cm,
        dangerous_goods_allowed=evse.dangerous_goods_allowed,
        drive_through=evse.drive_through,
        restricted_to_type=bool(evse.vehicle_types),
        reservation_required=False,
        refrigeration_outlet=evse.refrigeration_outlet,
    )


def hours_out(hours: Sequence[OpeningHours]) -> schemas.Hours:
    """Every day round the clock is `twentyfourseven`; the midnight that ends a day goes out as 23:59."""
    whole_days = {h.weekday for h in hours if h.from_minute == 0 and h.to_minute == ALL_DAY}
    if not hours or len(whole_days) == 7:
        return schemas.Hours(twentyfourseven=True)
    return schemas.Hours(
        twentyfourseven=False,
        regular_hours=[
            schemas.RegularHours(
                weekday=h.weekday, period_begin=_wall(h.from_minute), period_end=_wall(h.to_minute)
            )
            for h in hours
        ],
    )


def minutes_in(wall: str) -> int:
    """`HH:MM` as minutes of the day; 23:59 and 24:00 are the midnight that ends it. Raises ValueError."""
    hour, _, minute = wall.strip()[:5].partition(":")
    minutes = int(hour) * 60 + int(minute)
    if not 0 <= minutes <= ALL_DAY or int(minute) > 59:
        raise ValueError(f"{wall!r} is no time of day")
    return ALL_DAY if minutes == ALL_DAY - 1 else minutes


def business_details_out(organisation: Organisation) -> schemas.BusinessDetails:
    return schemas.BusinessDetails(name=organisation.name, website=organisation.website or None)


def is_about_to_start(booking: Booking, *, now: datetime) -> bool:
    """Does its EVSE show RESERVED: from the early start (or 10 minutes before) until it is used or over."""
    before = booking.terms.early_start or RESERVED_BEFORE
    return booking.status == BookingStatus.CONFIRMED and booking.starts_at - before <= now < booking.ends_at


def _wall(minute: int) -> str:
    minute = min(minute, ALL_DAY - 1)
    return f"{minute // 60:02}:{minute % 60:02}"


def _degrees(value: object) -> str:
    return f"{value:.6f}" if value is not None else "0.000000"
