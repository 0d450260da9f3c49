"""The shell's links (depots.navigation), with the numbers only bookings know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from django.db.models import Count
from django.http import HttpRequest

from bookings.models import BookingRequest
from depots import navigation
from depots.models import Depot, User
from depots.navigation import Nav


def nav(request: HttpRequest) -> dict[str, Any]:
    """Context processor: `nav` for base.html, or nothing for a stranger, and where nobody has asked yet who it is."""
    return {"nav": nav_of(request)} if isinstance(getattr(request, "user", None), User) else {}


def nav_of(request: HttpRequest) -> Nav:
    """The links of somebody signed in, made once a request: a view may need what base.html shows."""
    found: Nav | None = request.__dict__.get("nav")
    if found is None:
        found = request.__dict__["nav"] = replace(navigation.nav(request)["nav"], waiting=_waiting)
    return found


def waiting_requests(depot_ids: Iterable[int]) -> dict[int, int]:
    """How many asks wait for each depot's decision; every depot asked about is in the answer."""
    depot_ids = list(depot_ids)
    found = (
        BookingRequest.objects.for_depot()
        .filter(booking__depot__in=depot_ids, booking__depot__is_mirror=False)
        .values_list("booking__depot")
        .annotate(number=Count("pk"))
        .order_by()
    )
    return dict.fromkeys(depot_ids, 0) | dict(found)


def _waiting(depots: list[Depot]) -> dict[int, int]:
    return waiting_requests(depot.pk for depot in depots)
