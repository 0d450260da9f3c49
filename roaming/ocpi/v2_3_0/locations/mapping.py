"""Depots as Locations: tables and pure functions, without queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from bookings.rules.fit import types_taken
from depots.capabilities import keeps_reservations, reads_contracts, starts_remotely, why_not
from depots.models import ChargerCommand, Connector, Evse, OpeningHours, Organisation
from depots.periods import Period
from depots.standards import OWN_FACILITIES
from roaming.mirror.values import ToldBay, ToldConnector, ToldDescription, ToldEvse, ToldHours, ToldPlace
from roaming.ocpi.v2_3_0.bookings.schemas import EvsePosition, VehicleType
from roaming.ocpi.v2_3_0.locations import schemas
from roaming.ocpi.v2_3_0.locations.schemas import EvseStatus
from roaming.published import PublishedDepot

Action = ChargerCommand.Action
EVSE_STATUS: dict[Evse.Status, EvseStatus] = {
    Evse.Status.AVAILABLE: EvseStatus.AVAILABLE,
    Evse.Status.OCCUPIED: EvseStatus.BLOCKED,
    Evse.Status.CHARGING: EvseStatus.CHARGING,
    Evse.Status.RESERVED: EvseStatus.RESERVED,
    Evse.Status.UNAVAILABLE: EvseStatus.INOPERATIVE,
    Evse.Status.FAULTED: EvseStatus.OUTOFORDER,
    Evse.Status.UNKNOWN: EvseStatus.UNKNOWN,
}
OUR_EVSE_STATUS: dict[EvseStatus, Evse.Status] = {told: ours for ours, told in EVSE_STATUS.items()}
# Where the charger says nothing better, a booked slot that is about to start shows.
RESERVABLE = frozenset({Evse.Status.AVAILABLE, Evse.Status.RESERVED, Evse.Status.UNKNOWN})
ALL_DAY = 24 * 60


def location_out(published: PublishedDepot, *, may_unlock: bool = False) -> schemas.Location:
    """A depot with its EVSEs and bays, for a partner that may have plugs unlocked or not."""
    depot, evses = published.depot, list(published.depot.evses.all())
    shown = [evse_out(evse, published, may_unlock) for evse in evses]
    newest = max([depot.updated_at, *(evse.last_updated for evse in shown)])
    return schemas.Location(
        country_code=depot.operator.country_code.upper(),
        party_id=depot.operator.cpo_party_id.upper(),
        id=depot.location_id,
        publish=published.is_public,
        publish_allowed_to=_allowed_to(published),
        name=depot.name,
        address=depot.address,
        city=depot.city,
        postal_code=depot.postal_code or None,
        state=depot.state or None,
        country=depot.country,
        coordinates=schemas.GeoLocation(
            latitude=_degrees(depot.latitude), longitude=_degrees(depot.longitude)
        ),
        evses=shown,
        parking_places=[parking_out(evse, published) for evse in evses],
        directions=[schemas.DisplayText(**told) for told in depot.directions],
        operator=business_details_out(depot.operator),
        facilities=[name for name in depot.facilities if name not in OWN_FACILITIES],
        time_zone=depot.time_zone,
        opening_times=hours_out(list(depot.opening_hours.all())),
        charging_when_closed=depot.charging_when_closed,
        images=[schemas.Image(**told) for told in depot.images],
        energy_mix=schemas.EnergyMix(**depot.energy_mix) if depot.energy_mix else None,
        help_phone=depot.help_phone or None,
        last_updated=newest,
    )


def _allowed_to(published: PublishedDepot) -> list[schemas.PublishTokenType]:
    """Of a depot that is not for everybody: the customers of who gets it."""
    if published.is_public or not published.guest:
        return []
    return [schemas.PublishTokenType(issuer=published.guest[:64])]


def evse_out(evse: Evse, published: PublishedDepot, may_unlock: bool) -> schemas.Evse:
    closures = published.closures.get(evse.pk, ())
    changed_at = max(
        evse.updated_at,
        evse.status_received_at or evse.updated_at,
        *(closure.created_at for closure in closures),
    )
    return schemas.Evse(
        uid=evse.uid,
        evse_id=evse.public_id or None,
        status=_evse_status(evse, published),
        status_schedule=[
            schemas.StatusSchedule(
                period_begin=closure.starts_at, period_end=closure.ends_at, status=EvseStatus.INOPERATIVE
            )
            for closure in closures
        ],
        capabilities=_capabilities(evse, may_unlock),
        connectors=[connector_out(c, evse, published, changed_at) for c in evse.connectors.all()],
        floor_level=evse.floor_level or None,
        physical_reference=evse.physical_reference or None,
        parking_restrictions=evse.parking_restrictions,
        parking=[_bay_of(evse)],
        last_updated=changed_at,
    )


def _evse_status(evse: Evse, published: PublishedDepot) -> EvseStatus:
    if evse.is_withdrawn:
        return EvseStatus.REMOVED
    if evse.status in RESERVABLE and published.is_closed(evse.pk):
        return EvseStatus.INOPERATIVE
    if evse.status in RESERVABLE and evse.pk in published.reserved:
        return EvseStatus.RESERVED
    if evse.is_kept:
        return EvseStatus.RESERVED
    return EVSE_STATUS[Evse.Status(evse.status)]


def _capabilities(evse: Evse, may_unlock: bool) -> list[str]:
    """What its charger can, as told and as measured, and this partner may have it do. RESERVABLE is about reserving at once, not
    about bookings.

    TOKEN_GROUP_CAPABLE is never told: tokens of a group open a booking alike (BookingTerms.token_groups_supported), but
    whoever charges without one ends it by the token that began it. Nor is CHARGING_PREFERENCES_CAPABLE: they change nothing.
    """
    charger = evse.charger
    if charger is None:
        return ["RFID_READER"]
    able = {
        "RFID_READER": True,
        "CHARGING_PROFILE_CAPABLE": not why_not(charger, Action.SET_CHARGING_PROFILE),
        "REMOTE_START_STOP_CAPABLE": starts_remotely(charger),
        "RESERVABLE": keeps_reservations(charger),
        "UNLOCK_CAPABLE": may_unlock and not why_not(charger, Action.UNLOCK, {"evse": evse.number}),
    }
    return [name for name, is_able in able.items() if is_able]


def _bay_of(evse: Evse) -> schemas.EvseParking:
    if not evse.bay_position:
        return schemas.EvseParking(parking_id=evse.uid)
    return schemas.EvseParking(parking_id=evse.uid, evse_position=EvsePosition(evse.bay_position))


def connector_out(
    connector: Connector, evse: Evse, published: PublishedDepot, changed_at: datetime
) -> schemas.Connector:
    code, charger = published.tariff_codes.get(evse.pk), evse.charger
    return schemas.Connector(
        id=str(connector.number),
        standard=connector.standard,
        format=connector.format,
        power_type=connector.power_type,
        max_voltage=connector.max_voltage_v,
        max_amperage=connector.max_amperage_a,
        max_electric_power=connector.max_power_w,
        tariff_ids=[code] if code else [],
        capabilities=["ISO_15118_2_PLUG_AND_CHARGE"] if charger and reads_contracts(charger) else [],
        last_updated=changed_at,
    )


def parking_out(evse: Evse, published: PublishedDepot) -> schemas.Parking:
    """Every EVSE has a bay of its own, named like it."""
    return schemas.Parking(
        id=evse.uid,
        physical_reference=evse.physical_reference[:12] or None,
        vehicle_types=types_taken(evse) or [str(name) for name in VehicleType],
        max_vehicle_weight=evse.max_vehicle_weight_kg,
        max_vehicle_height=evse.max_vehicle_height_cm,
        max_vehicle_length=evse.max_vehicle_length_cm,
        max_vehicle_width=evse.max_vehicle_width_cm,
        parking_space_length=evse.bay_length_cm,
        parking_space_width=evse.bay_width_cm,
        dangerous_goods_allowed=evse.dangerous_goods_allowed,
        direction=evse.bay_direction or None,
        drive_through=evse.drive_through,
        restricted_to_type=bool(types_taken(evse)),
        reservation_required=not published.takes_walk_ins,
        roofed=evse.is_roofed or None,
        lighting=evse.is_lit or None,
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


def _wall(minute: int) -> str:
    minute = min(minute, ALL_DAY - 1)
    return f"{minute // 60:02}:{minute % 60:02}"


def _degrees(value: object) -> str:
    return f"{value:.6f}" if value is not None else "0.000000"


def place_in(told: schemas.Location, *, is_partial: bool) -> ToldPlace:
    position = told.coordinates
    bays = {place.id.upper(): place for place in told.parking_places}
    return ToldPlace(
        country_code=told.country_code,
        party_id=told.party_id,
        location_id=told.id,
        name=told.name or "",
        address=told.address,
        city=told.city,
        postal_code=told.postal_code or "",
        country=told.country,
        position=(Decimal(position.latitude), Decimal(position.longitude)) if position else None,
        time_zone=told.time_zone,
        charging_when_closed=told.charging_when_closed is not False,
        hours=_hours_in(told.opening_times),
        evses=tuple(_evse_in(evse, bays) for evse in told.evses),
        description=_description_in(told),
        last_updated=told.last_updated,
        is_partial=is_partial,
        exceptions=_exceptions_in(told.opening_times),
    )


def _description_in(told: schemas.Location) -> ToldDescription:
    return ToldDescription(
        state=told.state or "",
        help_phone=told.help_phone or "",
        directions=tuple({"language": one.language, "text": one.text} for one in told.directions),
        facilities=tuple(told.facilities),
        images=tuple(image.wire() for image in told.images),
        energy_mix=told.energy_mix.wire() if told.energy_mix else None,
    )


def _hours_in(told: schemas.Hours | None) -> tuple[ToldHours, ...]:
    """For people to read: what can be booked says the calendar, on exceptional days too."""
    if told is None or told.twentyfourseven:
        return ()
    return tuple({stretch for hours in told.regular_hours for stretch in _stretches(hours)})


def _exceptions_in(told: schemas.Hours | None) -> tuple[tuple[Period, bool], ...]:
    """Those that end before they begin say nothing."""
    if told is None:
        return ()
    both = ((told.exceptional_openings, True), (told.exceptional_closings, False))
    return tuple(
        (Period(one.period_begin, one.period_end), is_open)
        for listed, is_open in both
        for one in listed
        if one.period_begin < one.period_end
    )


def _stretches(hours: schemas.RegularHours) -> Iterable[ToldHours]:
    """Hours that may end on the next day: 08:00-02:00 is two stretches.

    An end that is no later than the begin is the next day's, so 00:00-00:00 is all day.
    """
    first, last = minutes_in(hours.period_begin), minutes_in(hours.period_end)
    if first == ALL_DAY:
        first = 0
    if first < last:
        yield ToldHours(hours.weekday, first, last)
        return
    yield ToldHours(hours.weekday, first, ALL_DAY)
    if last > 0:
        yield ToldHours(hours.weekday % 7 + 1, 0, last)


def _evse_in(told: schemas.Evse, bays: Mapping[str, schemas.Parking]) -> ToldEvse:
    own = [
        (bays[p.parking_id.upper()], p.evse_position) for p in told.parking if p.parking_id.upper() in bays
    ]
    return ToldEvse(
        uid=told.uid,
        public_id=told.evse_id or "",
        floor_level=told.floor_level or "",
        physical_reference=told.physical_reference or "",
        status=OUR_EVSE_STATUS.get(told.status, Evse.Status.UNAVAILABLE),
        is_removed=told.status == EvseStatus.REMOVED,
        connectors=tuple(_connector_in(connector) for connector in told.connectors),
        bay=_bay_in(*own[0]) if own else None,
        last_updated=told.last_updated,
        is_reservable="RESERVABLE" in told.capabilities,
        planned=tuple(
            (one.period_begin, one.period_end, OUR_EVSE_STATUS.get(one.status, Evse.Status.UNAVAILABLE))
            for one in told.status_schedule
        ),
    )


def _connector_in(told: schemas.Connector) -> ToldConnector:
    phases = 3 if told.power_type == "AC_3_PHASE" else 1
    return ToldConnector(
        standard=told.standard,
        format=told.format.value,
        power_type=told.power_type.value,
        max_voltage_v=told.max_voltage,
        max_amperage_a=told.max_amperage,
        max_power_w=told.max_electric_power or told.max_voltage * told.max_amperage * phases,
        tariff_codes=tuple(told.tariff_ids),
    )


def _bay_in(place: schemas.Parking, position: EvsePosition | None) -> ToldBay:
    return ToldBay(
        vehicle_types=tuple(place.vehicle_types),
        max_length_cm=place.max_vehicle_length,
        max_width_cm=place.max_vehicle_width,
        max_height_cm=place.max_vehicle_height,
        max_weight_kg=place.max_vehicle_weight,
        drive_through=place.drive_through,
        dangerous_goods_allowed=place.dangerous_goods_allowed,
        refrigeration_outlet=place.refrigeration_outlet,
        length_cm=place.parking_space_length,
        width_cm=place.parking_space_width,
        direction=place.direction,
        position=position.value if position else None,
    )
