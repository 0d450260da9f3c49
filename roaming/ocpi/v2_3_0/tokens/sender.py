"""Tokens, Sender: a partner reads what our fleets identify with, and asks whether one may charge (OCPI 2.3.0 mod_tokens, Sender
Interface)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from bookings.models import Token
from roaming import deviations, published_tokens
from roaming.ocpi.auth import caller_of, own_party
from roaming.ocpi.dialect import Dialect
from roaming.ocpi.envelope import Code, RefusalError, ok, read_object
from roaming.ocpi.paging import Page
from roaming.ocpi.routes import Routes
from roaming.ocpi.v2_3_0.bookings.schemas import TokenType
from roaming.published_tokens import TokenPlace, TokenUnknown

routes = Routes()


@routes.get()
def tokens(request: HttpRequest, dialect: Dialect) -> HttpResponse:
    caller, page = caller_of(request), Page.of(request)
    rows = published_tokens.tokens(caller.partner, fleet=own_party(caller, "EMSP"))

    def write(found: Sequence[Token]) -> Sequence[dict[str, Any]]:
        return [dialect.tokens.write(one) for one in published_tokens.published(caller.partner, found)]

    return page.answer(page.changed_in(rows, F("updated_at")), write)


@routes.post("/{token_uid}/authorize")
def authorize(request: HttpRequest, dialect: Dialect, token_uid: str) -> HttpResponse:
    """Real-time authorization. Without a body the partner does not say where."""
    caller = caller_of(request)
    try:
        answer = published_tokens.authorize(
            caller.partner,
            token_uid,
            kind_asked(request),
            _place(request, dialect),
            fleet=own_party(caller, "EMSP"),
            now=timezone.now(),
        )
    except TokenUnknown:
        raise RefusalError(Code.UNKNOWN_TOKEN, "There is no such token.", http=404) from None
    return ok(dialect.tokens.write_authorization(answer))


def kind_asked(request: HttpRequest) -> str:
    """The `type` of the query, a card's where none is given. Raises RefusalError."""
    kind = request.GET.get("type", TokenType.RFID.value).strip().upper()
    if kind not in TokenType.__members__:
        raise RefusalError(Code.INVALID, f"type: must be one of {', '.join(TokenType)}")
    return kind


def _place(request: HttpRequest, dialect: Dialect) -> TokenPlace | None:
    if not request.body.strip():
        return None
    body = read_object(request)
    if not body:
        return None
    read = dialect.tokens.read_place(body)
    deviations.count(caller_of(request).partner, read.deviations)
    return read.value
