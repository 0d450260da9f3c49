"""Commands, Sender: where partners tell what their chargers answered to commands of ours (OCPI 2.3.0 mod_commands)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from roaming import deviations
from roaming.commands import sent
from roaming.ocpi.auth import caller_of
from roaming.ocpi.dialect import Dialect
from roaming.ocpi.envelope import Code, RefusalError, ok, read_json
from roaming.ocpi.routes import Routes
from roaming.ocpi.v2_3_0.commands.mapping import NAME, told_result
from roaming.ocpi.v2_3_0.commands.reading import read_result

routes = Routes()


@routes.post("/{name}/{key}")
def result(request: HttpRequest, dialect: Dialect, name: str, key: str) -> HttpResponse:
    """Whoever knows the address was given it; what comes too late is taken, and changes nothing."""
    partner = caller_of(request).partner
    command = sent.find(partner, key)
    if command is None or NAME.get(command.kind) != name.upper():
        raise RefusalError(Code.CLIENT_ERROR, "There is no such command of ours.", http=404)
    read = read_result(read_json(request))
    deviations.count(partner, read.deviations)
    sent.take_result(command, told_result(read.value), now=timezone.now())
    return ok()
