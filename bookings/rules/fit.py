"""Does this vehicle fit that EVSE? Bay, plug and what the load needs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from bookings.models import Vehicle
from bookings.rules.configuration import Bay
from depots.models import Evse

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


@dataclass(frozen=True)
class Needs:
    """What must fit, in cm and kg; None or empty asks for nothing. Plugs and types by their OCPI names."""

    vehicle_types: frozenset[str] = frozenset()
    connector_standards: frozenset[str] = frozenset()
    length_cm: int | None = None
    width_cm: int | None = None
    height_cm: int | None = None
    weight_kg: int | None = None
    dangerous_goods: bool = False
    refrigeration: bool = False
    drive_through: bool = False
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

    @classmethod
    def of(cls, vehicle: Vehicle | None) -> Needs:
        if vehicle is None:
            return cls()
        return cls(
            vehicle_types=frozenset([vehicle.vehicle_type] if vehicle.vehicle_type else []),
            connector_standards=frozenset(vehicle.connector_standards),
            length_cm=vehicle.length_cm,
            width_cm=vehicle.width_cm,
            height_cm=vehicle.height_cm,
            weight_kg=vehicle.weight_kg,
            dangerous_goods=vehicle.carries_dangerous_goods,
            refrigeration=vehicle.needs_refrigeration,
            drive_through=vehicle.needs_drive_through,
            max_power_w=vehicle.max_power_w,
        )


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


def _bay_misfits(needs: Needs, evse: Evse | Bay) -> list[str]:
    found = []
    for word, unit, per, need, limit in _MEASURES:
        needed, most = getattr(needs, need), getattr(evse, limit)
        if needed is not None and most is not None and needed > most:
            found.append(f"too {word}: {needed / per:.2f} {unit}, the bay takes {most / per:.2f} {unit}")
    return found


def _outfit_misfits(needs: Needs, evse: Evse | Bay) -> list[str]:
    found = []
    if needs.vehicle_types and evse.vehicle_types and not needs.vehicle_types & set(evse.vehicle_types):
        found.append("the bay is not for this kind of vehicle")
    if needs.connector_standards and (plugs := evse.plugs) and not needs.connector_standards & plugs:
        found.append("no plug that fits the vehicle")
    return found + [
        why for need, outfit, why in _OUTFIT if getattr(needs, need) and not getattr(evse, outfit)
    ]
