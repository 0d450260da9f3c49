"""A vehicle file into the database: the vehicles of one fleet with their drivers' tokens, all of it or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from django.db import connection, transaction

from bookings.imports.csv_documents import vehicle_document
from bookings.imports.schemas import (
    TokenRow,
    TrailerRow,
    VehicleFile,
    VehicleRow,
    lost_zero_faults,
    vehicle_faults,
)
from bookings.models import Token, Trailer, Vehicle
from bookings.operations import tokens, trailers, vehicles
from bookings.operations.tokens import TokenFacts
from bookings.operations.trailers import TrailerFacts
from bookings.operations.vehicles import VehicleFacts
from bookings.rules.charge_curve import read_curve
from bookings.rules.vehicle_library import model_called
from depots.imports.documents import Document, FileRefusedError, read_json, read_text
from depots.imports.schemas import watts
from depots.models import Organisation
from depots.name_keys import name_key
from depots.token_numbers import normalise


@dataclass(frozen=True)
class ImportedVehicle:
    """What became of one vehicle: "created", "updated" or "unchanged"."""

    plate: str
    outcome: str
    tokens: list[str]


def import_vehicles(path: Path, *, fleet: Organisation) -> list[ImportedVehicle]:
    """Create or update what the file lists. Raises FileRefusedError naming line and field; nothing is changed then."""
    if fleet.is_partner:
        raise FileRefusedError(f"{fleet} is a partner network and keeps its vehicles itself.")
    text = read_text(path)
    document = vehicle_document(text) if path.suffix.lower() == ".csv" else read_json(text)
    return write_vehicle_file(document, fleet=fleet)


def write_vehicle_file(document: Document, *, fleet: Organisation) -> list[ImportedVehicle]:
    """See `import_vehicles`; for a document that is read already."""
    file = document.read_as(VehicleFile)
    document.refuse(vehicle_faults(file))
    if document.is_text:
        document.refuse(lost_zero_faults(file))
    with transaction.atomic():
        written = write_vehicles(file.vehicles, fleet=fleet)
        _write_trailers(fleet, file.trailers)
    return written


def write_vehicles(
    rows: Sequence[VehicleRow], *, fleet: Organisation, keeps_tokens: bool = False
) -> list[ImportedVehicle]:
    """The same of rows without faults (`vehicle_faults`). `keeps_tokens`: theirs are not looked at, and stay."""
    with transaction.atomic():
        _queue_imports(fleet)
        known = {v.plate_key: v for v in _locked(fleet)}
        cards = {} if keeps_tokens else _cards(fleet)
        return [_write(fleet, known.get(name_key(row.plate)), row, cards) for row in rows]


def _cards(fleet: Organisation) -> dict[tuple[str, str], Token]:
    rows = Token.objects.filter(fleet=fleet).select_related("vehicle")
    return {(normalise(t.uid, t.type), t.type): t for t in rows}


def _queue_imports(fleet: Organisation) -> None:
    """One import at a time for a fleet: two that bring the same plate would meet in a unique index."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"import_vehicles {fleet.pk}"]
        )


def _locked(fleet: Organisation) -> Sequence[Vehicle]:
    return list(Vehicle.objects.filter(fleet=fleet).order_by("pk").select_for_update(no_key=True))


def _write(
    fleet: Organisation, vehicle: Vehicle | None, row: VehicleRow, known: dict[tuple[str, str], Token]
) -> ImportedVehicle:
    is_new = vehicle is None
    vehicle = vehicle or Vehicle(fleet=fleet, plate=row.plate)
    changed = vehicles.write(vehicle, _facts(vehicle.plate, row), is_retired=row.retired)
    changed |= _write_tokens(vehicle, row.tokens, known)
    outcome = "created" if is_new else "updated" if changed else "unchanged"
    return ImportedVehicle(vehicle.plate, outcome, [token.uid for token in row.tokens])


def _facts(plate: str, row: VehicleRow) -> VehicleFacts:
    """A vehicle that is known keeps the spelling of its plate. What the row does not give is as its model settles it."""
    told = VehicleFacts(
        plate=plate,
        vehicle_type=row.vehicle_type,
        length_cm=row.length_cm,
        width_cm=row.width_cm,
        height_cm=row.height_cm,
        weight_kg=row.weight_kg,
        battery_wh=watts(row.battery_kwh) if row.battery_kwh is not None else None,
        max_power_w=watts(row.max_power_kw) if row.max_power_kw is not None else None,
        charge_curve=read_curve(row.charge_curve),
        connector_standards=list(row.connector_standards),
        carries_dangerous_goods=row.carries_dangerous_goods,
        needs_refrigeration=row.needs_refrigeration,
        needs_drive_through=row.needs_drive_through,
        inlet_side=row.inlet_side,
    )
    model = model_called(row.model) if row.model else None
    if model is None:
        return told
    settled = {name: value for name, value in model.facts().items() if name not in _given(row)}
    return replace(told, **settled)


def _given(row: VehicleRow) -> set[str]:
    """The columns that a row names itself."""
    named = {"battery_kwh": "battery_wh", "max_power_kw": "max_power_w"}
    return {named.get(name, name) for name in row.model_fields_set}


def _write_trailers(fleet: Organisation, rows: Sequence[TrailerRow]) -> None:
    """A trailer that is known keeps the spelling of its plate; one that is not listed stays."""
    if not rows:
        return
    locked = Trailer.objects.filter(fleet=fleet).order_by("pk").select_for_update(no_key=True)
    known = {trailer.plate_key: trailer for trailer in locked}
    for row in rows:
        trailer = known.get(name_key(row.plate)) or Trailer(fleet=fleet, plate=row.plate)
        facts = row.model_dump(exclude={"retired", "plate"})
        trailers.write_trailer(trailer, TrailerFacts(plate=trailer.plate, **facts), is_retired=row.retired)


def _write_tokens(vehicle: Vehicle, rows: Sequence[TokenRow], known: dict[tuple[str, str], Token]) -> bool:
    """Give the vehicle the tokens the file lists, also one that another vehicle had; those it no longer lists stay
    the fleet's, without a vehicle."""
    changed = False
    listed = {(normalise(row.uid, row.type), row.type) for row in rows}
    for key, token in known.items():
        if token.vehicle_id == vehicle.pk and key not in listed:
            tokens.release(token)
            changed = True
    for row in rows:
        token = known.get((normalise(row.uid, row.type), row.type)) or Token(fleet=vehicle.fleet, uid=row.uid)
        facts = TokenFacts(
            uid=token.uid,
            type=row.type,
            contract_id=row.contract_id,
            label=row.label,
            group_name=row.group,
            is_read_either_way=row.either_byte_order,
            vehicle=vehicle,
        )
        changed |= tokens.write(token, facts, is_blocked=row.blocked)
    return changed
