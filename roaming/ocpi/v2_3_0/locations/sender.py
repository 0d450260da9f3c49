"""Locations, Sender: the depots a partner may book at (OCPI 2.3.0 mod_locations, Sender Interface)."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from depots.models import Depot
from roaming import access, published
from roaming.ocpi.auth import caller_of, own_party
from roaming.ocpi.dialect import Dialect
from roaming.ocpi.envelope import Code, RefusalError, ok
from roaming.ocpi.paging import Page
from roaming.ocpi.routes import Routes
from roaming.ocpi.v2_3_0.locations import schemas
from roaming.ocpi.v2_3_0.locations.mapping import location_out
from roaming.ocpi.wire_object import WireObject

routes = Routes()


@routes.get()
def locations(request: HttpRequest, dialect: Dialect) -> HttpResponse:
    now, caller, page = timezone.now(), caller_of(request), Page.of(request)
    rows = access.depots(caller.partner, operator=own_party(caller, "CPO"), now=now)
    rows = page.changed_in(rows, F("changed_at"))

    def write(depots: Sequence[Depot]) -> Sequence[WireObject]:
        return [location_out(depot) for depot in published.depots(depots, now=now)]

    return page.answer(rows, write)


@routes.get("/{location_id}")
def location(request: HttpRequest, dialect: Dialect, location_id: str) -> HttpResponse:
    return ok(_location(request, location_id))


@routes.get("/{location_id}/{evse_uid}")
def evse(request: HttpRequest, dialect: Dialect, location_id: str, evse_uid: str) -> HttpResponse:
    return ok(_evse(request, location_id, evse_uid))


@routes.get("/{location_id}/{evse_uid}/{connector_id}")
def connector(
    request: HttpRequest, dialect: Dialect, location_id: str, evse_uid: str, connector_id: str
) -> HttpResponse:
    for plug in _evse(request, location_id, evse_uid).connectors:
        if plug.id.upper() == connector_id.upper():
            return ok(plug)
    raise _unknown("connector")


def _location(request: HttpRequest, location_id: str) -> schemas.Location:
    now, caller = timezone.now(), caller_of(request)
    rows = access.depots(caller.partner, operator=own_party(caller, "CPO"), now=now)
    found = rows.filter(location_id__iexact=location_id).first()
    if found is None:
        raise _unknown("location")
    return location_out(published.depots([found], now=now)[0])


def _evse(request: HttpRequest, location_id: str, evse_uid: str) -> schemas.Evse:
    for place in _location(request, location_id).evses:
        if place.uid.upper() == evse_uid.upper():
            return place
    raise _unknown("EVSE")


def _unknown(what: str) -> RefusalError:
    return RefusalError(Code.UNKNOWN_LOCATION, f"There is no such {what} for you.", http=404)
