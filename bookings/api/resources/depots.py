"""/depots: where the organisation may book, with what stands there and on which terms."""

from __future__ import annotations

import json
from typing import Annotated

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from bookings import operations
from bookings.api.authentication import caller_of
from bookings.api.depot_objects import bookable_depot, depot_objects, depots_open_to, run_depot
from bookings.api.fields import Body, Moment
from bookings.api.paging import Page, page_of
from bookings.api.problems import ApiResponse, Invalid, single
from bookings.api.schemas import DepotObject, LimitObject, List
from bookings.api.slot_search import MOST_RADIUS_KM, circle_around
from bookings.operations.limit_power import MOST_W
from depots.periods import Period, utc_text

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


class Limit(Body):
    kw: Annotated[float, Field(ge=0, le=MOST_W / 1000, allow_inf_nan=False)]
    until: Moment


@router.post("/{depot_id}/limit", response=LimitObject)
def limit(request: HttpRequest, depot_id: str, body: Limit) -> HttpResponse:
    """What a site controller allows a depot of the organisation's own, from now on, in place of what it told before; of limits of
    several the lowest holds."""
    caller = caller_of(request)
    found = run_depot(caller.organisation, depot_id)
    if body.until <= caller.now:
        raise Invalid([("until", "is over already")])
    made = operations.limit_depot(
        depot=found, watts=round(body.kw * 1000), period=Period(caller.now, body.until), replaces=True,
        actor=caller.depot_actor, now=caller.now,
    )  # fmt: skip
    told = {
        "depot": found.code,
        "kw": made.watts / 1000,
        "from": utc_text(made.starts_at),
        "until": utc_text(made.ends_at),
    }
    return ApiResponse(json.dumps(told, ensure_ascii=False))


@router.delete("/{depot_id}/limit", response={204: None})
def lift(request: HttpRequest, depot_id: str) -> HttpResponse:
    """All of the connection's power again: no limit from outside holds, or is to come."""
    caller = caller_of(request)
    operations.lift_limits(depot=run_depot(caller.organisation, depot_id), now=caller.now)
    return HttpResponse(status=204)


@router.get("/{depot_id}", response=DepotObject)
def depot(request: HttpRequest, depot_id: str) -> HttpResponse:
    caller = caller_of(request)
    found = bookable_depot(caller.organisation, depot_id, now=caller.now)
    [told] = depot_objects([found], caller.organisation, now=caller.now)
    return single(told)
