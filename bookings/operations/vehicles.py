"""The vehicles of a fleet, as its dispatchers keep them. Bookings made before keep the plate and tokens they have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from django.db import transaction

from bookings.core.constraints import violation_raises
from bookings.errors import ChangedMeanwhile, PlateInUse
from bookings.models import Vehicle
from bookings.operations import tokens
from bookings.rules.content_version import version_of
from depots.imports.writing import assign
from depots.models import Organisation


@dataclass(frozen=True, kw_only=True)
class VehicleFacts:
    """All that is kept of a vehicle; for units and names see the model."""

    plate: str
    vehicle_type: str
    connector_standards: list[str]
    max_power_w: int | None = None
    charge_curve: list[list[int]] = field(default_factory=list)
    battery_wh: int | None = None
    length_cm: int | None = None
    width_cm: int | None = None
    height_cm: int | None = None
    weight_kg: int | None = None
    needs_drive_through: bool = False
    needs_refrigeration: bool = False
    carries_dangerous_goods: bool = False
    inlet_side: str = ""
    model_name: str = ""


def add_vehicle(*, fleet: Organisation, facts: VehicleFacts) -> Vehicle:
    """Raises PlateInUse."""
    with _one_plate(fleet, facts), transaction.atomic():
        vehicle = Vehicle(fleet=fleet)
        write(vehicle, facts)
    return vehicle


def change_vehicle(*, vehicle_id: int, facts: VehicleFacts, seen_version: int) -> Vehicle:
    """Raises ChangedMeanwhile when it is another than was seen (of `version_of`), or PlateInUse."""
    fleet = Organisation.objects.get(vehicles=vehicle_id)
    with _one_plate(fleet, facts), transaction.atomic():
        vehicle = _lock_unchanged(vehicle_id, seen_version)
        write(vehicle, facts)
    return vehicle


def set_retired(*, vehicle_id: int, is_retired: bool, seen_version: int) -> Vehicle:
    """Book nothing more for it, or again; what is booked stands. Raises ChangedMeanwhile."""
    with transaction.atomic():
        vehicle = _lock_unchanged(vehicle_id, seen_version)
        vehicle.is_retired = is_retired
        vehicle.save(update_fields=["is_retired"])
        _tell_of_tokens(vehicle)
    return vehicle


def write(vehicle: Vehicle, facts: VehicleFacts, *, is_retired: bool | None = None) -> bool:
    """The writing itself, of a new vehicle or one that its caller has locked; whether anything is different now."""
    columns = asdict(facts) | ({} if is_retired is None else {"is_retired": is_retired})
    is_new, was_retired = vehicle.pk is None, vehicle.is_retired
    changed = assign(vehicle, columns)
    if is_new:
        vehicle.save()
    elif changed:
        vehicle.save(update_fields=[*columns, "plate_key"])
    if not is_new and vehicle.is_retired != was_retired:
        _tell_of_tokens(vehicle)
    return changed or is_new


def _tell_of_tokens(vehicle: Vehicle) -> None:
    """In a retired vehicle they charge nowhere."""
    if token_ids := list(vehicle.tokens.values_list("pk", flat=True)):
        tokens.tell_changed(token_ids)


@contextmanager
def _one_plate(fleet: Organisation, facts: VehicleFacts) -> Iterator[None]:
    taken = PlateInUse(f"{fleet} has a vehicle {facts.plate} already.")
    with violation_raises({"vehicle_plate_once": taken}):
        yield


def _lock_unchanged(vehicle_id: int, seen_version: int) -> Vehicle:
    vehicle = Vehicle.objects.select_for_update(no_key=True, of=("self",)).get(pk=vehicle_id)
    if version_of(vehicle) != seen_version:
        raise ChangedMeanwhile(f"{vehicle} was changed since this page was shown.")
    return vehicle
