"""Hub client info, Receiver: a hub tells which of the parties behind it can be reached (OCPI 2.3.0 mod_hub_client_info).

A configuration module: no routing headers. To partners that are no hub there is nothing at these addresses.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from roaming import deviations
from roaming.hubs.clients import find_client, hub_party, keep_client
from roaming.models import Partner
from roaming.ocpi.auth import caller_of
from roaming.ocpi.dialect import Dialect
from roaming.ocpi.envelope import Code, RefusalError, ok, read_object
from roaming.ocpi.routes import Routes
from roaming.ocpi.wire_object import UnreadableError

routes = Routes()


@routes.get("/{country_code}/{party_id}")
def show(request: HttpRequest, dialect: Dialect, country_code: str, party_id: str) -> HttpResponse:
    found = find_client(_hub(request), (country_code, party_id))
    if found is None:
        raise RefusalError(Code.CLIENT_ERROR, "You have told of no such party.", http=404)
    return ok(found.raw)


@routes.put("/{country_code}/{party_id}")
def receive(request: HttpRequest, dialect: Dialect, country_code: str, party_id: str) -> HttpResponse:
    hub, body = _hub(request), read_object(request)
    read = dialect.hub_clients.read(body)
    if read.value.country_code != country_code.upper():
        raise UnreadableError("country_code", "is not the one in the path")
    if read.value.party_id != party_id.upper():
        raise UnreadableError("party_id", "is not the one in the path")
    is_new = keep_client(hub, read.value, body, now=timezone.now())
    deviations.count(hub, read.deviations)
    return ok(http=201 if is_new else 200)


def _hub(request: HttpRequest) -> Partner:
    partner = caller_of(request).partner
    if hub_party(partner) is None:
        raise RefusalError(Code.CLIENT_ERROR, "There is nothing at this address.", http=404)
    return partner
