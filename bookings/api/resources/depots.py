"""/depots: where the organisation may book, with what stands there and on which terms."""

from __future__ import annotations

import json

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from bookings.api.authentication import caller_of
from bookings.api.depot_objects import bookable_depot, depot_objects, depots_open_to
from bookings.api.paging import Page, page_of
from bookings.api.problems import ApiResponse, Invalid, single
from bookings.api.schemas import DepotObject, List
from bookings.api.slot_search import MOST_RADIUS_KM, circle_around

router = Router()


class DepotsPage(Page):
    near: str | None = Field(None, max_length=60, description="latitude,longitude")
    radius_km: float = Field(50.0, gt=0, le=MOST_RADIUS_KM)


@router.get("", response=List[DepotObject])
def depots(request: HttpRequest, query: Query[DepotsPage]) -> HttpResponse:
    """Everywhere, or around a place."""
    caller = caller_of(request)
    if "radius_km" in query.model_fields_set and query.near is None:
        raise Invalid([("radius_km", "goes with near.")])
    near = circle_around(query.near, query.radius_km) if query.near is not None else None
    rows = depots_open_to(caller.organisation, near=near, now=caller.now)
    shown, following = page_of(rows, query, lambda depot: depot.code)
    told = depot_objects(shown, caller.organisation, now=caller.now)
    return ApiResponse(json.dumps({"items": told, "next": following}, ensure_ascii=False))


@router.get("/{depot_id}", response=DepotObject)
def depot(request: HttpRequest, depot_id: str) -> HttpResponse:
    caller = caller_of(request)
    found = bookable_depot(caller.organisation, depot_id, now=caller.now)
    [told] = depot_objects([found], caller.organisation, now=caller.now)
    return single(told)
