"""Locations, Sender: the depots a partner may book at (OCPI 2.3.0 mod_locations, Sender Interface)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from depots.models import Depot
from roaming import access, published
from roaming.ocpi.auth import caller_of, own_party
from roaming.ocpi.dialect import Dialect
from roaming.ocpi.envelope import Code, RefusalError, ok
from roaming.ocpi.paging import Page
from roaming.ocpi.routes import Routes
from roaming.ocpi.style import style_of

routes = Routes()


@routes.get()
def locations(request: HttpRequest, dialect: Dialect) -> HttpResponse:
    partner = caller_of(request).partner
    now, page, style = timezone.now(), Page.of(request), style_of(partner, dialect.VERSION)
    rows = page.changed_in(_depots(request, dialect), F("changed_at"))

    def write(depots: Sequence[Depot]) -> Sequence[dict[str, Any]]:
        shown = published.depots(partner, depots, now=now)
        return [dialect.locations.write(depot, style) for depot in shown]

    return page.answer(rows, write)


@routes.get("/{location_id}")
def location(request: HttpRequest, dialect: Dialect, location_id: str) -> HttpResponse:
    return ok(_location(request, dialect, location_id))


@routes.get("/{location_id}/{evse_uid}")
def evse(request: HttpRequest, dialect: Dialect, location_id: str, evse_uid: str) -> HttpResponse:
    return ok(_evse(request, dialect, location_id, evse_uid))


@routes.get("/{location_id}/{evse_uid}/{connector_id}")
def connector(
    request: HttpRequest, dialect: Dialect, location_id: str, evse_uid: str, connector_id: str
) -> HttpResponse:
    for plug in _evse(request, dialect, location_id, evse_uid)["connectors"]:
        if plug["id"].upper() == connector_id.upper():
            return ok(plug)
    raise _unknown("connector")


def _depots(request: HttpRequest, dialect: Dialect) -> QuerySet[Depot]:
    caller = caller_of(request)
    rows = access.depots(caller.partner, operator=own_party(caller, "CPO"), now=timezone.now())
    return dialect.locations.shown(rows, style_of(caller.partner, dialect.VERSION))


def _location(request: HttpRequest, dialect: Dialect, location_id: str) -> dict[str, Any]:
    found = _depots(request, dialect).filter(location_id__iexact=location_id).first()
    if found is None:
        raise _unknown("location")
    partner = caller_of(request).partner
    shown = published.depots(partner, [found], now=timezone.now())
    return dialect.locations.write(shown[0], style_of(partner, dialect.VERSION))


def _evse(request: HttpRequest, dialect: Dialect, location_id: str, evse_uid: str) -> dict[str, Any]:
    for place in _location(request, dialect, location_id)["evses"]:
        if place["uid"].upper() == evse_uid.upper():
            found: dict[str, Any] = place
            return found
    raise _unknown("EVSE")


def _unknown(what: str) -> RefusalError:
    return RefusalError(Code.UNKNOWN_LOCATION, f"There is no such {what} for you.", http=404)
