"""A vehicle of the fleet's by its plate, whatever its capitals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from bookings.errors import VehicleUnknown
from bookings.models import Vehicle
from depots import round_trips
from depots.models import Organisation
from depots.name_keys import name_key
from depots.rows import columns, instance


@dataclass(frozen=True)
class AskedByPlate:
    """A vehicle that is being looked up: there with whatever is read next."""

    fleet: Organisation
    plate: str
    answer: round_trips.Answer

    def found(self) -> Vehicle:
        """Raises VehicleUnknown."""
        return _only(self.answer.rows, self.fleet, self.plate)


def ask_for_plate(fleet: Organisation, plate: str) -> AskedByPlate:
    return AskedByPlate(fleet, plate, round_trips.ask(_by_plate(), [fleet.pk, name_key(plate)]))


def vehicle_called(fleet: Organisation, plate: str) -> Vehicle:
    """The same at once. Raises VehicleUnknown."""
    return _only(round_trips.rows(_by_plate(), [fleet.pk, name_key(plate)]), fleet, plate)


def _only(rows: Sequence[tuple[Any, ...]], fleet: Organisation, plate: str) -> Vehicle:
    if not rows:
        raise VehicleUnknown(f"{fleet} has no vehicle {plate}.")
    return instance(Vehicle, rows[0])


@cache
def _by_plate() -> round_trips.Prepared:
    return round_trips.Prepared(
        f"SELECT {columns(Vehicle, 'v')} FROM bookings_vehicle v"  # noqa: S608 - made of names of ours
        " WHERE v.fleet_id = %s AND v.plate_key = %s AND NOT v.is_retired"
    )
