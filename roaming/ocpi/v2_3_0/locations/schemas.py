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
    Text25,
    Text45,
    Text64,
    Text100,
    Text255,
    Text512,
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


class DisplayText(WireObject):
    language: OpenName
    text: Text512


class Image(WireObject):
    url: Url
    thumbnail: Url | None = None
    category: OpenName
    type: OpenName
    width: Whole | None = None
    height: Whole | None = None


class EnergySource(WireObject):
    source: OpenName
    percentage: Number


class EnvironmentalImpact(WireObject):
    """Grams a kWh."""

    category: OpenName
    amount: Number


class EnergyMix(WireObject):
    is_green_energy: Flag
    energy_sources: list[EnergySource] = Field(default_factory=list)
    environ_impact: list[EnvironmentalImpact] = Field(default_factory=list)
    supplier_name: Text64 | None = None
    energy_product_name: Text64 | None = None


class PublishTokenType(WireObject):
    """Whose customers may be shown a location that is not for everybody; one of the fields at least."""

    uid: Id36 | None = None
    type: OpenName | None = None
    visual_number: Text64 | None = None
    issuer: Text64 | None = None
    group_id: Id36 | None = None


class StatusSchedule(WireObject):
    """What an EVSE's status will be for a time."""

    period_begin: Moment
    period_end: Moment | None = None
    status: Annotated[EvseStatus, one_of(EvseStatus, unknown=EvseStatus.UNKNOWN)]


class RegularHours(WireObject):
    """Weekday 1 is Monday, times are local `HH:MM`. A partner's end before its begin is on the next day."""

    weekday: Weekday
    period_begin: WallTime
    period_end: WallTime


class ExceptionalPeriod(WireObject):
    period_begin: Moment
    period_end: Moment


class Hours(SentWhole):
    """Older editions had one of the two; without either nothing is known."""

    always_sent: ClassVar[frozenset[str]] = frozenset({"twentyfourseven"})

    twentyfourseven: Flag | None = None
    regular_hours: list[RegularHours] = Field(default_factory=list)
    exceptional_openings: list[ExceptionalPeriod] = Field(default_factory=list)
    exceptional_closings: list[ExceptionalPeriod] = Field(default_factory=list)


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
    direction: OpenName | None = None
    restricted_to_type: Flag | None = None
    reservation_required: Flag | None = None
    time_limit: Number | None = None
    roofed: Flag | None = None
    lighting: Flag | None = None
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
    capabilities: list[OpenName] = Field(default_factory=list)
    last_updated: Moment


class Evse(WireObject):
    uid: Id36
    evse_id: Id48 | None = None
    status: Annotated[EvseStatus, one_of(EvseStatus, unknown=EvseStatus.UNKNOWN)]
    status_schedule: list[StatusSchedule] = Field(default_factory=list)
    capabilities: list[OpenName] = Field(default_factory=list)
    connectors: list[Connector]
    floor_level: Text4 | None = None
    physical_reference: Text16 | None = None
    parking_restrictions: list[OpenName] = Field(default_factory=list)
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
    publish_allowed_to: list[PublishTokenType] = Field(default_factory=list)
    name: Text255 | None = None
    address: Text255 = ""
    city: Text45 = ""
    postal_code: Text10 | None = None
    state: Text45 | None = None
    country: Text4 = ""
    coordinates: GeoLocation | None = None
    evses: list[Evse] = Field(default_factory=list)
    parking_places: list[Parking] = Field(default_factory=list)
    directions: list[DisplayText] = Field(default_factory=list)
    operator: BusinessDetails | None = None
    facilities: list[OpenName] = Field(default_factory=list)
    time_zone: Text255 | None = None
    opening_times: Hours | None = None
    charging_when_closed: Flag | None = None
    images: list[Image] = Field(default_factory=list)
    energy_mix: EnergyMix | None = None
    help_phone: Text25 | None = None
    last_updated: Moment
