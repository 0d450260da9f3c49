"""/arrivals: what a gate or camera at a depot sees come."""

from __future__ import annotations

import json
from typing import Self

from django.http import HttpRequest, HttpResponse
from ninja import Router
from pydantic import Field, model_validator

from bookings import operations
from bookings.api.authentication import caller_of
from bookings.api.booking_objects import AT_HAND
from bookings.api.booking_requests import TokenUid
from bookings.api.depot_objects import run_depot
from bookings.api.fields import Body, Name, Plate
from bookings.api.problems import ApiResponse, Invalid
from bookings.api.schemas import BookingObject
from bookings.models import Booking
from bookings.notifications.booking_object import booking_object

router = Router()


class Arrival(Body):
    depot: Name
    plate: Plate | None = Field(None, description="the vehicle's or its trailer's; letters and digits count")
    token: TokenUid | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.plate is None) == (self.token is None):
            raise Invalid([("plate", "Give plate or token.")])
        return self


@router.post("", response=BookingObject)
def arrived(request: HttpRequest, body: Arrival) -> HttpResponse:
    """The booking that the truck has come for: `evse` is where it goes. At a depot that the organisation runs."""
    caller = caller_of(request)
    depot = run_depot(caller.organisation, body.depot)
    found = operations.truck_arrived(
        depot=depot, plate=body.plate or "", token=body.token or "", actor=caller.depot_actor, now=caller.now
    )
    booking = Booking.objects.select_related(*AT_HAND).prefetch_related("tokens").get(pk=found.pk)
    told = booking_object(booking, is_fleet=booking.fleet_id == caller.organisation.pk)
    return ApiResponse(json.dumps(told, ensure_ascii=False))
