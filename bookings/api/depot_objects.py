"""A depot as the API sends it: where it is, what can be booked there by who asks, and how its EVSEs are."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.http import Http404
from django.shortcuts import get_object_or_404

from bookings.models import BookingOption
from bookings.search.bookable import bookable_depots, bookable_options, terms_by_option
from depots.geography import Circle
from depots.models import Depot, Evse, Organisation


def bookable_depot(fleet: Organisation, code: str, *, now: datetime) -> Depot:
    """One that is open to the fleet, whatever its capitals. Raises Http404."""
    found = Depot.objects.filter(code__iexact=code).first()
    there = bookable_depots(fleet, depot=found, now=now) if found is not None else []
    if not there:
        raise Http404
    return there[0]


def run_depot(operator: Organisation, code: str) -> Depot:
    """One of the organisation's own, whatever its capitals. Raises Http404."""
    return get_object_or_404(Depot, code__iexact=code, operator=operator, is_mirror=False, is_withdrawn=False)


def depots_open_to(fleet: Organisation, *, near: Circle | None, now: datetime) -> list[Depot]:
    """In the order of their ids; the last word on what is near is the circle's."""
    rows = bookable_depots(fleet, near=near, now=now)
    within = [d for d in rows if near is None or near.contains(d.latitude, d.longitude)]
    return sorted(within, key=lambda depot: depot.code)


def depot_objects(depots: Collection[Depot], fleet: Organisation, *, now: datetime) -> list[dict[str, Any]]:
    """Constant number of queries."""
    options = list(
        bookable_options(fleet, now=now).filter(depot__in=[d.pk for d in depots]).order_by("code", "pk")
    )
    terms = terms_by_option(options, fleet, now=now)
    by_depot: dict[int, list[BookingOption]] = {}
    for option in options:
        by_depot.setdefault(option.depot_id, []).append(option)
    return [
        {
            "id": depot.code,
            "name": depot.name,
            "operator": depot.operator.name,
            **_place(depot),
            "options": [
                {
                    "id": option.code,
                    "evses": [evse.uid for evse in option.evses.all()],
                    "terms": terms[option.pk].to_json(),
                }
                for option in by_depot.get(depot.pk, ())
            ],
            "evses": _evses(by_depot.get(depot.pk, ())),
        }
        for depot in depots
    ]


def _place(depot: Depot) -> dict[str, Any]:
    return {
        "address": depot.address,
        "city": depot.city,
        "postal_code": depot.postal_code,
        "country": depot.country,
        "latitude": float(depot.latitude) if depot.latitude is not None else None,
        "longitude": float(depot.longitude) if depot.longitude is not None else None,
        "time_zone": depot.time_zone,
    }


def _evses(options: Collection[BookingOption]) -> list[dict[str, Any]]:
    """Each once, in the order of their ids."""
    found = {evse.pk: evse for option in options for evse in option.evses.all()}
    return [_evse(evse) for evse in sorted(found.values(), key=lambda evse: evse.uid)]


def _evse(evse: Evse) -> dict[str, Any]:
    """The fields of the depot file; `state` is as its charger or its network told it last."""
    plug = next(iter(evse.connectors.all()), None)
    return {
        "uid": evse.uid,
        "number": evse.number,
        "max_power_kw": evse.max_power_w / 1000,
        "connector_standard": plug.standard if plug is not None else None,
        "format": plug.format if plug is not None else None,
        "vehicle_types": evse.vehicle_types,
        "drive_through": evse.drive_through,
        "dangerous_goods_allowed": evse.dangerous_goods_allowed,
        "refrigeration_outlet": evse.refrigeration_outlet,
        "max_vehicle_length_cm": evse.max_vehicle_length_cm,
        "max_vehicle_height_cm": evse.max_vehicle_height_cm,
        "max_vehicle_width_cm": evse.max_vehicle_width_cm,
        "max_vehicle_weight_kg": evse.max_vehicle_weight_kg,
        "state": evse.status,
    }
