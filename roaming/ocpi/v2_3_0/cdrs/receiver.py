"""CDRs, Receiver: partners post what our trucks are billed for at their depots (OCPI 2.3.0 mod_cdrs, Receiver Interface).

Where a record is kept, the answer to its POST says; the same one posted again is kept at the same place."""

from __future__ import annotations

from urllib.parse import quote

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from roaming.mirror import partner_cdrs
from roaming.mirror.kept_objects import CDR, find_kept
from roaming.ocpi.auth import Caller, caller_of, tells_of
from roaming.ocpi.client_owned import nothing_here
from roaming.ocpi.dialect import Dialect
from roaming.ocpi.envelope import Code, RefusalError, ok, read_object
from roaming.ocpi.routes import Routes
from roaming.ocpi.wire_object import UnreadableError

routes = Routes()


@routes.post()
def receive(request: HttpRequest, dialect: Dialect) -> HttpResponse:
    caller, raw = caller_of(request), read_object(request)
    read = dialect.cdrs.read(raw)
    told = read.value
    _check_party(caller, told.country_code, told.party_id)
    with transaction.atomic():
        adopted = partner_cdrs.adopt_cdr(caller.partner, read, raw, now=timezone.now())
    kept_at = [quote(part.upper(), safe="") for part in (told.country_code, told.party_id)]
    path = "/".join([*kept_at, quote(told.id, safe="")])
    url = f"{settings.BERTH_BASE_URL}/ocpi/emsp/{dialect.VERSION}/cdrs/{path}"
    return ok(http=201 if adopted.is_new else 200, headers={"Location": url})


@routes.get("/{country_code}/{party_id}/{cdr_id}")
def kept(
    request: HttpRequest, dialect: Dialect, country_code: str, party_id: str, cdr_id: str
) -> HttpResponse:
    caller = caller_of(request)
    if not tells_of(caller, country_code, party_id, "CPO"):
        raise nothing_here("CPO")
    found = find_kept(caller.partner, CDR, (country_code, party_id), cdr_id)
    if found is None:
        raise RefusalError(Code.CLIENT_ERROR, "There is no such CDR here.", http=404)
    return ok(found.raw)


def _check_party(caller: Caller, country_code: str, party_id: str) -> None:
    if not tells_of(caller, country_code, party_id, "CPO"):
        raise UnreadableError("party_id", "is not one of your CPO parties")
