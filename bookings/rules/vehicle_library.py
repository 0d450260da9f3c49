"""Common electric trucks and buses by model, with where each figure stands: what a vehicle's form begins with.

The data are `vehicle_models.toml` beside this file. What no source tells is None; docs/users/dispatcher.md says so to people.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from depots.imports.schemas import watts
from depots.name_keys import name_key

_DATA = Path(__file__).with_name("vehicle_models.toml")


@dataclass(frozen=True)
class VehicleModel:
    """Energy in Wh, power in W, length in cm. `told` are the addresses of its sources."""

    name: str
    vehicle_type: str
    connector_standards: tuple[str, ...]
    told: tuple[str, ...]
    installed_wh: int | None = None
    usable_wh: int | None = None
    max_power_w: int | None = None
    length_cm: int | None = None
    charge_curve: tuple[tuple[int, int], ...] = ()

    @property
    def battery_wh(self) -> int | None:
        """What can be charged, as far as it was told; else what is installed."""
        return self.usable_wh or self.installed_wh

    def facts(self) -> dict[str, Any]:
        """The columns of a vehicle that it settles."""
        told = {
            "model_name": self.name,
            "vehicle_type": self.vehicle_type,
            "connector_standards": list(self.connector_standards),
            "battery_wh": self.battery_wh,
            "max_power_w": self.max_power_w,
            "length_cm": self.length_cm,
            "charge_curve": [list(point) for point in self.charge_curve],
        }
        return {name: value for name, value in told.items() if value not in (None, [])}


@cache
def models() -> tuple[VehicleModel, ...]:
    """All of them, in the order of their names."""
    rows = tomllib.loads(_DATA.read_text())["model"]
    return tuple(sorted(map(_model, rows), key=lambda one: one.name))


def model_called(name: str) -> VehicleModel | None:
    """By its name, in whatever capitals."""
    key = name_key(" ".join(name.split()))
    return next((one for one in models() if name_key(one.name) == key), None)


def _model(row: dict[str, Any]) -> VehicleModel:
    def thousands(name: str) -> int | None:
        return watts(row[name]) if name in row else None

    return VehicleModel(
        name=row["name"],
        vehicle_type=row["vehicle_type"],
        connector_standards=tuple(row["plugs"]),
        told=tuple(row["told"]),
        installed_wh=thousands("installed_kwh"),
        usable_wh=thousands("usable_kwh"),
        max_power_w=thousands("max_power_kw"),
        length_cm=row.get("length_cm"),
        charge_curve=tuple((percent, watts(kw)) for percent, kw in row.get("curve", ())),
    )
