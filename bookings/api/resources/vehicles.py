"""/vehicles: the fleet's, by their plates; with the fields of the vehicle file."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Query, Router
from pydantic import Field, model_validator

from bookings import operations
from bookings.api.authentication import Caller, caller_of
from bookings.api.fields import Body, Latitude, Longitude, Moment, Plate
from bookings.api.paging import Page, paged
from bookings.api.problems import ApiResponse, Invalid, single
from bookings.api.schemas import List, VehicleStateObject
from bookings.imports.schemas import VehicleFile, VehicleRow, vehicle_faults
from bookings.imports.vehicles import write_vehicles
from bookings.models import Token, Vehicle, VehicleState
from bookings.operations.vehicle_states import Told
from bookings.rules.charge_curve import curve_text
from bookings.rules.content_version import version_of
from bookings.rules.vehicle_library import model_called
from depots.name_keys import name_key
from depots.periods import utc_text

router = Router()


class VehicleObject(VehicleRow):
    retired: Literal[False] = False


class VehicleBody(VehicleRow):
    """Of a vehicle that is known what is left out becomes what it is by default, but for its tokens, which stay."""

    plate: Plate = Field(
        "", validate_default=False, description="the same as in the address, if it is said at all"
    )
    retired: Literal[False] = False


@router.get("", response=List[VehicleObject])
def vehicles(request: HttpRequest, query: Query[Page]) -> HttpResponse:
    rows = _vehicles_of(caller_of(request))
    return ApiResponse(json.dumps(paged(rows, query, ["plate_key", "pk"], _told), ensure_ascii=False))


@router.get("/{plate}", response=VehicleObject)
def vehicle(request: HttpRequest, plate: str) -> HttpResponse:
    return single(_told(_vehicle(caller_of(request), plate)))


@router.put("/{plate}", response={200: VehicleObject, 201: VehicleObject})
def put_vehicle(request: HttpRequest, plate: str, body: VehicleBody) -> HttpResponse:
    """Make it, or change it to this."""
    caller = caller_of(request)
    row = _row(plate, body)
    is_known = _vehicles_of(caller).filter(plate_key=plate).exists()
    write_vehicles([row], fleet=caller.organisation, keeps_tokens="tokens" not in body.model_fields_set)
    response = single(_told(_vehicle(caller, plate)), status=200 if is_known else 201)
    if not is_known:
        response["Location"] = f"/api/v1/vehicles/{quote(plate, safe='')}"
    return response


@router.delete("/{plate}", response={204: None})
def delete_vehicle(request: HttpRequest, plate: str) -> HttpResponse:
    """Nothing more is booked for it; what is booked stands."""
    found = _vehicle(caller_of(request), plate)
    operations.set_retired(vehicle_id=found.pk, is_retired=True, seen_version=version_of(found))
    return HttpResponse(status=204)


class State(Body):
    """What is left out is not known."""

    soc: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = Field(
        None, description="percent"
    )
    eta: Moment | None = Field(None, description="at the slot it drives to")
    latitude: Latitude | None = None
    longitude: Longitude | None = None

    @model_validator(mode="after")
    def _is_a_place(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            missing = "latitude" if self.latitude is None else "longitude"
            raise Invalid([(missing, "goes with the other one")])
        return self


@router.get("/{plate}/state", response=VehicleStateObject)
def state(request: HttpRequest, plate: str) -> HttpResponse:
    """What was told of it last."""
    found = _vehicle(caller_of(request), plate)
    return single(_told_state(get_object_or_404(VehicleState, vehicle=found), found))


@router.put("/{plate}/state", response={200: VehicleStateObject, 201: VehicleStateObject})
def put_state(request: HttpRequest, plate: str, body: State) -> HttpResponse:
    """What telematics knows of it now. With an ETA after the start of its next slot that is treated as late."""
    caller = caller_of(request)
    found = _vehicle(caller, plate)
    soc = round(body.soc) if body.soc is not None else None
    told = Told(soc, body.eta, body.latitude, body.longitude)
    kept, is_new = operations.tell_vehicle_state(found, told, now=caller.now)
    response = single(_told_state(kept, found), status=201 if is_new else 200)
    if is_new:
        response["Location"] = f"/api/v1/vehicles/{quote(plate, safe='')}/state"
    return response


def _told_state(state: VehicleState, vehicle: Vehicle) -> dict[str, Any]:
    return {
        "plate": vehicle.plate,
        "soc": state.soc,
        "eta": utc_text(state.eta) if state.eta is not None else None,
        "latitude": state.latitude,
        "longitude": state.longitude,
        "told_at": utc_text(state.told_at),
    }


def _vehicles_of(caller: Caller) -> QuerySet[Vehicle]:
    rows = Vehicle.objects.filter(fleet=caller.organisation, is_retired=False)
    return rows.prefetch_related("tokens")


def _vehicle(caller: Caller, plate: str) -> Vehicle:
    return get_object_or_404(_vehicles_of(caller), plate_key=plate)


def _row(plate: str, body: VehicleBody) -> VehicleRow:
    """Raises Invalid."""
    named = body.plate or plate
    if not plate.isprintable() or not plate.strip() or len(plate) > 20 or name_key(named) != name_key(plate):
        raise Invalid([("plate", "is not the one of the address, which has 1 to 20 characters")])
    row = VehicleRow(**{**body.model_dump(exclude_unset=True), "plate": named})
    if faults := list(vehicle_faults(VehicleFile(vehicles=[row]))):
        raise Invalid([(".".join(map(str, path[2:])), text) for path, text in faults])
    return row


def _told(vehicle: Vehicle) -> dict[str, Any]:
    return {
        "plate": vehicle.plate,
        # In words of its fleet's own it is no model that this door takes.
        "model": vehicle.model_name if model_called(vehicle.model_name) else "",
        "inlet_side": vehicle.inlet_side,
        "vehicle_type": vehicle.vehicle_type,
        "length_cm": vehicle.length_cm,
        "width_cm": vehicle.width_cm,
        "height_cm": vehicle.height_cm,
        "weight_kg": vehicle.weight_kg,
        "battery_kwh": vehicle.battery_wh / 1000 if vehicle.battery_wh is not None else None,
        "max_power_kw": vehicle.max_power_w / 1000 if vehicle.max_power_w is not None else None,
        "charge_curve": curve_text(vehicle.charge_curve),
        "connector_standards": vehicle.connector_standards,
        "carries_dangerous_goods": vehicle.carries_dangerous_goods,
        "needs_refrigeration": vehicle.needs_refrigeration,
        "needs_drive_through": vehicle.needs_drive_through,
        "tokens": [_told_token(token) for token in vehicle.tokens.all()],
    }


def _told_token(token: Token) -> dict[str, Any]:
    return {
        "uid": token.uid,
        "type": token.type,
        "contract_id": token.contract_id,
        "label": token.label,
        "group": token.group_name,
        "either_byte_order": token.is_read_either_way,
        "blocked": token.is_blocked,
    }
