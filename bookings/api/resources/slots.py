"""/slots: what can be booked, one item an option, each of which can be posted to /bookings or /holds with a vehicle."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from bookings.api.authentication import caller_of
from bookings.api.depot_objects import bookable_depot
from bookings.api.fields import watts
from bookings.api.named_vehicles import vehicle_called
from bookings.api.problems import ApiResponse
from bookings.api.schemas import Slots
from bookings.api.slot_search import Found, SlotQuestion, SlotsQuery
from bookings.errors import BookingError, PowerUnavailable
from bookings.rules.quotes import brief
from depots.periods import utc_text

router = Router()


@router.get("", response=Slots)
def slots(request: HttpRequest, query: Query[SlotsQuery]) -> HttpResponse:
    """At a depot, around a place or along a route: for a period, or the first of a length in a window. `refused` says why other
    options there offer nothing."""
    caller = caller_of(request)
    fleet = caller.organisation
    question = SlotQuestion(
        query,
        fleet,
        vehicle_called(fleet, query.vehicle) if query.vehicle is not None else None,
        bookable_depot(fleet, query.depot, now=caller.now) if query.depot is not None else None,
        caller.now,
    )
    least_w = watts(query.min_power_kw)
    items, refused = [], []
    for one in question.found():
        refusal = one.offer.refusal or _too_weak(one, least_w)
        if refusal is None:
            items.append(_item(one, caller.now))
        else:
            refused.append(_refused(one, refusal))
    return ApiResponse(json.dumps({"items": items, "refused": refused, "next": None}, ensure_ascii=False))


def _item(one: Found, now: datetime) -> dict[str, Any]:
    offer = one.offer
    most_w = offer.most_w if offer.most_w is not None else offer.power_w
    told_at = offer.option.calendar_at if offer.is_hint else None
    return {
        "depot": offer.option.depot.code,
        "option": offer.option.code,
        "evse": offer.evse.uid if offer.evse is not None else None,
        "starts_at": utc_text(offer.period.starts_at),
        "ends_at": utc_text(offer.period.ends_at),
        "promised_power_kw": offer.power_w / 1000,
        "max_power_kw": most_w / 1000,
        "price": brief(offer.quote.to_json()) if offer.quote is not None else None,
        "distance_km": round(one.distance_km, 1) if one.distance_km is not None else None,
        "calendar_age_s": max(0, int((now - told_at).total_seconds())) if told_at is not None else None,
        **({"note": offer.undecided} if offer.undecided else {}),
    }


def _refused(one: Found, refusal: BookingError) -> dict[str, Any]:
    option = one.offer.option
    return {"depot": option.depot.code, "option": option.code, "code": refusal.code, "detail": str(refusal)}


def _too_weak(one: Found, least_w: int | None) -> BookingError | None:
    """At a partner's depot, whose calendar may say that what must be possible is not."""
    most_w = one.offer.most_w
    if not one.offer.is_hint or least_w is None or most_w is None or most_w >= least_w:
        return None
    return PowerUnavailable(f"At most {most_w / 1000:g} kW can be asked for there then.", available_w=most_w)
