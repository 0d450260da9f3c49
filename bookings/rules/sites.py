"""A depot of ours and its EVSEs as far as they are configured: immutable values (bookings/rules/configuration.py)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo

from depots import opening
from depots.models import Depot, Evse, OpeningHours
from depots.periods import Period


@dataclass(frozen=True)
class Site:
    """A depot of ours as far as time is concerned; no hours at all means always open."""

    pk: int
    operator_id: int
    time_zone: str
    charging_when_closed: bool
    hours: tuple[OpeningHours, ...]
    is_mirror: bool = False

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def is_open(self, period: Period) -> bool:
        return opening.is_open(self.hours, self.zone, period, charging_when_closed=self.charging_when_closed)

    def open_spans(self, within: Period) -> list[Period]:
        return opening.open_spans(self.hours, self.zone, within)


@dataclass(frozen=True)
class Bay:
    """An EVSE as far as it is configured, not withdrawn; see depots.models.Evse for the units."""

    pk: int
    depot: Site
    uid: str
    max_power_w: int
    plugs: frozenset[str]
    vehicle_types: frozenset[str]
    max_vehicle_length_cm: int | None
    max_vehicle_width_cm: int | None
    max_vehicle_height_cm: int | None
    max_vehicle_weight_kg: int | None
    drive_through: bool
    dangerous_goods_allowed: bool
    refrigeration_outlet: bool
    takes_trailers: bool | None = None
    inlet_sides: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.uid

    @property
    def depot_id(self) -> int:
        return self.depot.pk


def site_of(depot: Depot) -> Site:
    return Site(
        pk=depot.pk,
        operator_id=depot.operator_id,
        time_zone=depot.time_zone,
        charging_when_closed=depot.charging_when_closed,
        hours=tuple(depot.opening_hours.all()),
        is_mirror=depot.is_mirror,
    )


def bay_of(evse: Evse, site: Site) -> Bay:
    return Bay(
        pk=evse.pk,
        depot=site,
        uid=evse.uid,
        max_power_w=evse.max_power_w,
        plugs=frozenset(evse.plugs),
        vehicle_types=frozenset(evse.vehicle_types),
        max_vehicle_length_cm=evse.max_vehicle_length_cm,
        max_vehicle_width_cm=evse.max_vehicle_width_cm,
        max_vehicle_height_cm=evse.max_vehicle_height_cm,
        max_vehicle_weight_kg=evse.max_vehicle_weight_kg,
        drive_through=evse.drive_through,
        dangerous_goods_allowed=evse.dangerous_goods_allowed,
        refrigeration_outlet=evse.refrigeration_outlet,
        takes_trailers=evse.takes_trailers,
        inlet_sides=frozenset(evse.inlet_sides),
    )
