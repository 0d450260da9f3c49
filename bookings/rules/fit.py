"""Does this vehicle fit that EVSE? Bay, plug and what the load needs."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from bookings.models import Trailer, Vehicle
from bookings.rules.configuration import Bay
from depots.models import Evse
from depots.standards import PLUGS, SIDES, VEHICLE_TYPES

# Plugs that carry more than the others, by their OCPI names.
STRONG_PLUGS = frozenset({"MCS"})

# (word, unit, how much of ours is one of it, the need, the bay's limit)
_MEASURES = (
    ("long", "m", 100, "length_cm", "max_vehicle_length_cm"),
    ("wide", "m", 100, "width_cm", "max_vehicle_width_cm"),
    ("high", "m", 100, "height_cm", "max_vehicle_height_cm"),
    ("heavy", "t", 1000, "weight_kg", "max_vehicle_weight_kg"),
)
# (the need, what the bay has for it, what is said where it has not)
_OUTFIT = (
    ("dangerous_goods", "dangerous_goods_allowed", "dangerous goods are not allowed in the bay"),
    ("refrigeration", "refrigeration_outlet", "the bay has no outlet for refrigeration"),
    ("drive_through", "drive_through", "the bay is not drive-through"),
)
# What a vehicle of a kind is called with a trailer on it; heavy ones are all the same.
_WITH_TRAILER = {"PERSONAL_VEHICLE": "PERSONAL_VEHICLE_WITH_TRAILER", "VAN": "PERSONAL_VEHICLE_WITH_TRAILER"}
_TRUCK_WITH_TRAILER = "TRUCK_WITH_TRAILER"


@dataclass(frozen=True)
class Needs:
    """What must fit, in cm and kg; None or empty asks for nothing. Plugs and types by their OCPI names. `trailer`: it brings one;
    `inlet_side` is where its inlet is, of depots.standards.SIDES."""

    vehicle_types: frozenset[str] = frozenset()
    connector_standards: frozenset[str] = frozenset()
    length_cm: int | None = None
    width_cm: int | None = None
    height_cm: int | None = None
    weight_kg: int | None = None
    dangerous_goods: bool = False
    refrigeration: bool = False
    drive_through: bool = False
    trailer: bool = False
    inlet_side: str = ""
    max_power_w: int | None = None

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Needs:
        known = {field.name for field in fields(cls)}
        named: dict[str, Any] = {
            name: frozenset(value) if isinstance(value, list) else value
            for name, value in stored.items()
            if name in known
        }
        return cls(**named)

    def to_json(self) -> dict[str, Any]:
        """Only what asks for something."""
        asked = {field.name: getattr(self, field.name) for field in fields(self)}
        return {n: sorted(v) if isinstance(v, frozenset) else v for n, v in asked.items() if v}

    @property
    def named_types(self) -> frozenset[str]:
        """What others are told that comes: with a trailer the kinds that have one."""
        return frozenset(filter(has_trailer, self.vehicle_types)) if self.trailer else self.vehicle_types

    @classmethod
    def of(cls, vehicle: Vehicle | None, trailer: Trailer | None = None) -> Needs:
        """Of a vehicle, or of the combination that it makes with a trailer."""
        if vehicle is None:
            return cls() if trailer is None else cls().with_trailer(trailer)
        alone = cls(
            vehicle_types=frozenset([vehicle.vehicle_type] if vehicle.vehicle_type else []),
            connector_standards=frozenset(vehicle.connector_standards),
            length_cm=vehicle.length_cm,
            width_cm=vehicle.width_cm,
            height_cm=vehicle.height_cm,
            weight_kg=vehicle.weight_kg,
            dangerous_goods=vehicle.carries_dangerous_goods,
            refrigeration=vehicle.needs_refrigeration,
            drive_through=vehicle.needs_drive_through,
            inlet_side=vehicle.inlet_side,
            max_power_w=vehicle.max_power_w,
        )
        return alone if trailer is None else alone.with_trailer(trailer)

    def with_trailer(self, trailer: Trailer) -> Needs:
        """Lengths and weights add up, as far as they are known; of widths and heights the larger counts. A bay for the vehicle's
        own kind will do, where it does not say that it takes no trailers."""
        named = {_WITH_TRAILER.get(kind, _TRUCK_WITH_TRAILER) for kind in self.vehicle_types}
        return replace(
            self,
            vehicle_types=self.vehicle_types | named,
            length_cm=_sum(self.length_cm, trailer.adds_length_cm),
            width_cm=_larger(self.width_cm, trailer.width_cm),
            height_cm=_larger(self.height_cm, trailer.height_cm),
            weight_kg=_sum(self.weight_kg, trailer.weight_kg),
            dangerous_goods=self.dangerous_goods or trailer.carries_dangerous_goods,
            refrigeration=self.refrigeration or trailer.needs_refrigeration,
            drive_through=self.drive_through or trailer.needs_drive_through,
            trailer=True,
        )


def has_trailer(vehicle_type: str) -> bool:
    """Whether vehicles of an OCPI VehicleType have trailers."""
    return vehicle_type.endswith("_WITH_TRAILER")


def types_taken(evse: Evse | Bay) -> list[str]:
    """The kinds of vehicle a bay is for, as others are told; none means all."""
    named = list(evse.vehicle_types)
    if evse.takes_trailers is None:
        return named
    if not evse.takes_trailers:
        return [name for name in named or VEHICLE_TYPES if not has_trailer(name)]
    is_for_trucks = bool({"SEMI_TRACTOR", "RIGID"} & set(named))
    return [*named, _TRUCK_WITH_TRAILER] if is_for_trucks and _TRUCK_WITH_TRAILER not in named else named


def misfits(needs: Needs, evse: Evse | Bay) -> list[str]:
    """Why it does not fit, each a phrase for people; empty when it fits. A measure nobody gave rules nothing out."""
    return [*_bay_misfits(needs, evse), *_outfit_misfits(needs, evse)]


def sentence(reasons: list[str]) -> str:
    """The reasons as one sentence for a dispatcher."""
    text = "; ".join(reasons)
    return f"{text[:1].upper()}{text[1:]}."


def tightness(needs: Needs, evse: Evse | Bay) -> tuple[int, ...]:
    """How well an EVSE that fits suits the vehicle, best smallest, to sort by: its strongest plug first, then enough power,
    then what is wasted on it. So a truck with MCS gets the MCS bays, and others leave them to it."""
    return (
        _plug_missed(needs, evse),
        max(0, (needs.max_power_w or 0) - evse.max_power_w),
        *leftover(needs, evse),
    )


def leftover(needs: Needs, evse: Evse | Bay) -> tuple[int, ...]:
    """How much of the EVSE is wasted on the vehicle, smallest best: what few have is spared for those who need it."""
    return (
        int(bool(STRONG_PLUGS & evse.plugs) and not STRONG_PLUGS & needs.connector_standards),
        int(evse.refrigeration_outlet and not needs.refrigeration),
        int(evse.dangerous_goods_allowed and not needs.dangerous_goods),
        int(evse.drive_through and not needs.drive_through),
        max(0, evse.max_power_w - (needs.max_power_w or evse.max_power_w)),
        (evse.max_vehicle_length_cm or 0) - (needs.length_cm or 0),
    )


def _plug_missed(needs: Needs, evse: Evse | Bay) -> int:
    """1 where the vehicle has a strong plug and the EVSE has only a weaker one for it."""
    wanted = STRONG_PLUGS & needs.connector_standards
    plugs = evse.plugs
    return int(bool(wanted and plugs) and not wanted & plugs)


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None and other is None else (one or 0) + (other or 0)


def _larger(one: int | None, other: int | None) -> int | None:
    return max((each for each in (one, other) if each is not None), default=None)


def _bay_misfits(needs: Needs, evse: Evse | Bay) -> list[str]:
    found = []
    for word, unit, per, need, limit in _MEASURES:
        needed, most = getattr(needs, need), getattr(evse, limit)
        if needed is not None and most is not None and needed > most:
            found.append(
                f"{(needed - most) / per:.2f} {unit} too {word}: {needed / per:.2f} {unit}, "
                f"the bay takes {most / per:.2f} {unit}"
            )
    return found


def _outfit_misfits(needs: Needs, evse: Evse | Bay) -> list[str]:
    found = []
    if needs.vehicle_types and evse.vehicle_types and not needs.vehicle_types & set(evse.vehicle_types):
        found.append("the bay is not for this kind of vehicle")
    if needs.connector_standards and (plugs := evse.plugs) and not needs.connector_standards & plugs:
        names = " or ".join(sorted(PLUGS[name].label if name in PLUGS else name for name in plugs))
        found.append(f"no plug that fits the vehicle: there is {names}")
    if needs.trailer and evse.takes_trailers is False:
        found.append("the bay takes no trailers")
    if needs.inlet_side and evse.inlet_sides and needs.inlet_side not in evse.inlet_sides:
        found.append(f"the cable does not reach an inlet {SIDES[needs.inlet_side]}")
    return found + [
        why for need, outfit, why in _OUTFIT if getattr(needs, need) and not getattr(evse, outfit)
    ]
