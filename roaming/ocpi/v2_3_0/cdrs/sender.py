"""CDRs, Sender: what a partner is billed for (OCPI 2.3.0 mod_cdrs, Sender Interface; one by itself beyond it)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse

from bookings.models import ChargeDetailRecord
from bookings.rules.tariff_contents import contents
from roaming import access
from roaming.ocpi.auth import caller_of, own_party
from roaming.ocpi.dialect import Dialect
from roaming.ocpi.envelope import Code, RefusalError, ok
from roaming.ocpi.paging import Page
from roaming.ocpi.routes import Routes
from roaming.ocpi.style import style_of
from roaming.published_sessions import tariffs_of

routes = Routes()


@routes.get()
def cdrs(request: HttpRequest, dialect: Dialect) -> HttpResponse:
    page = Page.of(request)
    return page.answer(
        page.changed_in(_records(request), F("issued_at")), lambda found: _written(request, dialect, found)
    )


@routes.get("/{cdr_id}")
def cdr(request: HttpRequest, dialect: Dialect, cdr_id: str) -> HttpResponse:
    found = list(_records(request).filter(code__iexact=cdr_id)[:1])
    if not found:
        raise RefusalError(Code.CLIENT_ERROR, "There is no such CDR for you.", http=404)
    return ok(_written(request, dialect, found)[0])


def _records(request: HttpRequest) -> QuerySet[ChargeDetailRecord]:
    caller = caller_of(request)
    return access.cdrs(caller.partner, party=caller.from_party, operator=own_party(caller, "CPO"))


def _written(
    request: HttpRequest, dialect: Dialect, found: Collection[ChargeDetailRecord]
) -> list[dict[str, Any]]:
    style = style_of(caller_of(request).partner, dialect.VERSION)
    said = contents(tariffs_of(found))
    return [dialect.cdrs.write(each, said, style) for each in found]
