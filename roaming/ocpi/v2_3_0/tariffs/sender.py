"""Tariffs, Sender: those by which a partner's customers would pay at our depots (OCPI 2.3.0 mod_tariffs, Sender Interface)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from bookings.models import TariffVersion
from roaming.ocpi.auth import Caller, caller_of, own_party
from roaming.ocpi.dialect import Dialect
from roaming.ocpi.paging import Page
from roaming.ocpi.routes import Routes
from roaming.ocpi.style import style_of
from roaming.ocpi.times import read_time
from roaming.seen_tariffs import seen_tariffs

routes = Routes()


@routes.get()
def tariffs(request: HttpRequest, dialect: Dialect) -> HttpResponse:
    """They are few: all are written, and those are left out that this version has no words for."""
    page = Page.of(request)
    written = [
        one for one in _written(caller_of(request), dialect) if _is_in(page, read_time(one["last_updated"]))
    ]
    return page.answer_list(written)


def _written(caller: Caller, dialect: Dialect) -> Iterator[dict[str, Any]]:
    operator = own_party(caller, "CPO")
    operators = None if operator is None else [operator.pk]
    seen = seen_tariffs([caller.partner], operator_ids=operators, now=timezone.now())[caller.partner.pk]
    style = style_of(caller.partner, dialect.VERSION)
    rows = TariffVersion.objects.filter(pk__in=seen).select_related("tariff__operator")
    for version in rows.order_by("tariff__created_at", "tariff"):
        body = dialect.tariffs.write(version, seen[version.pk].content, style)
        if body is not None:
            yield body


def _is_in(page: Page, last_updated: Any) -> bool:
    return (page.date_from is None or last_updated >= page.date_from) and (
        page.date_to is None or last_updated < page.date_to
    )
