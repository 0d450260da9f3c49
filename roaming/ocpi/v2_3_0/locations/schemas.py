"""Locations, EVSEs, connectors and parking places (OCPI 2.3.0 mod_locations, Object description)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from roaming.ocpi.field_types import (
    CountryCode,
    Flag,
    Id36,
    Id48,
    Latitude,
    Longitude,
    Number,
    OpenName,
    PartyId,
    Text4,
    Text10,
    Text12,
    Text16,
    Text45,
    Text100,
    Text255,
    Url,
    WallTime,
    Weekday,
    Whole,
    one_of,
)
from roaming.ocpi.times import Moment
from roaming.ocpi.v2_3_0.bookings.schemas import ConnectorFormat, EvsePosition, PowerType
from roaming.ocpi.wire_object import SentWhole, WireObject


class EvseStatus(StrEnum):
    AVAILABLE = "AVAILABLE"
    BLOCKED = "BLOCKED"
    CHARGING = "CHARGING"
    INOPERATIVE = "INOPERATIVE"
    OUTOFORDER = "OUTOFORDER"
    PLANNED = "PLANNED"
    REMOVED = "REMOVED"
    RESERVED = "RESERVED"
    UNKNOWN = "UNKNOWN"


class BusinessDetails(WireObject):
    name: Text100
    website: Url | None = None


class GeoLocation(WireObject):
    """Decimal degrees as text, as OCPI has them."""

    latitude: Latitude
    longitude: Longitude


class RegularHours(WireObject):
    """Weekday 1 is Monday, times are local `HH:MM`. A partner's end before its begin is on the next day."""

    weekday: Weekday
    period_begin: WallTime
    period_end: WallTime


class Hours(SentWhole):
    """Older editions had one of the two; without either nothing is known."""

    always_sent: ClassVar[frozenset[str]] = frozenset({"twentyfourseven"})

    twentyfourseven: Flag | None = None
    regular_hours: list[RegularHours] = Field(default_factory=list)


class Parking(SentWhole):
    """A parking place. Lengths cm, weight kg."""

    always_sent: ClassVar[frozenset[str]] = frozenset(
        {"vehicle_types", "restricted_to_type", "reservation_required"}
    )

    id: Id36
    physical_reference: Text12 | None = None
    vehicle_types: list[OpenName] = Field(default_factory=list)
    max_vehicle_weight: Number | None = None
    max_vehicle_height: Number | None = None
    max_vehicle_length: Number | None = None
    max_vehicle_width: Number | None = None
    parking_space_length: Number | None = None
    parking_space_width: Number | None = None
    dangerous_goods_allowed: Flag | None = None
    drive_through: Flag | None = None
    restricted_to_type: Flag | None = None
    reservation_required: Flag | None = None
    refrigeration_outlet: Flag | None = None


class EvseParking(WireObject):
    parking_id: Id36
    evse_position: Annotated[EvsePosition | None, one_of(EvsePosition)] = None


class Connector(WireObject):
    """Volt, ampere, watt."""

    id: Id36
    standard: OpenName
    format: Annotated[ConnectorFormat, one_of(ConnectorFormat)]
    power_type: Annotated[PowerType, one_of(PowerType)]
    max_voltage: Whole
    max_amperage: Whole
    max_electric_power: Whole | None = None
    tariff_ids: list[Id36] = Field(default_factory=list)
    last_updated: Moment


class Evse(WireObject):
    uid: Id36
    evse_id: Id48 | None = None
    status: Annotated[EvseStatus, one_of(EvseStatus, unknown=EvseStatus.UNKNOWN)]
    capabilities: list[OpenName] = Field(default_factory=list)
    connectors: list[Connector]
    floor_level: Text4 | None = None
    physical_reference: Text16 | None = None
    parking: list[EvseParking] = Field(default_factory=list)
    last_updated: Moment


class Location(SentWhole):
    """`time_zone` of a partner is one we know, or none (time_zones.py)."""

    keep_empty: ClassVar[frozenset[str]] = frozenset({"evses"})
    always_sent: ClassVar[frozenset[str]] = frozenset(
        {"publish", "address", "city", "country", "coordinates", "time_zone"}
    )

    country_code: CountryCode
    party_id: PartyId
    id: Id36
    publish: Flag | None = None
    name: Text255 | None = None
    address: Text255 = ""
    city: Text45 = ""
    postal_code: Text10 | None = None
    country: Text4 = ""
    coordinates: GeoLocation | None = None
    evses: list[Evse] = Field(default_factory=list)
    parking_places: list[Parking] = Field(default_factory=list)
    operator: BusinessDetails | None = None
    time_zone: Text255 | None = None
    opening_times: Hours | None = None
    charging_when_closed: Flag | None = None
    last_updated: Moment
