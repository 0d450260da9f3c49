"""Tokens, Receiver: partners push what their drivers identify with (OCPI 2.3.0 mod_tokens, Receiver Interface).

A token is named by its owner, uid and type; the type stands in the query.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from roaming.mirror import network_tokens
from roaming.mirror.network_tokens import HeldToken
from roaming.mirror.values import ToldToken
from roaming.ocpi.auth import caller_of
from roaming.ocpi.client_owned import METHODS, Asked, ClientOwned, answer, strict_address
from roaming.ocpi.dialect import Dialect
from roaming.ocpi.routes import Routes
from roaming.ocpi.v2_3_0.tokens import reading
from roaming.ocpi.v2_3_0.tokens.sender import kind_asked
from roaming.ocpi.wire_object import Read, UnreadableError

routes = Routes()


class NetworkTokens(ClientOwned[ToldToken]):
    """Tokens of one type. There is no DELETE: one becomes invalid."""

    kind = "token"
    role = "EMSP"
    shape = reading.TOKEN
    identity = ("uid", "type", "country_code", "party_id")

    def __init__(self, type_: str) -> None:
        self._type = type_

    def find(self, asked: Asked, *, lock: bool) -> HeldToken | None:
        address = asked.address
        return network_tokens.find(asked.partner, address.owner, address.id, self._type, lock=lock)

    def read(self, asked: Asked, raw: dict[str, Any]) -> Read[ToldToken]:
        read = asked.dialect.tokens.read(raw)
        if read.value.type != self._type:
            raise UnreadableError("type", "is not the one in the query")
        return read

    def names(self, told: ToldToken) -> tuple[str, ...]:
        return (told.uid,)

    def adopt(self, asked: Asked, read: Read[ToldToken], raw: dict[str, Any]) -> bool:
        return network_tokens.adopt(asked.partner, read, raw, now=asked.now)


@routes.operation(METHODS, "/{path:rest}")
def receive(request: HttpRequest, dialect: Dialect, rest: str) -> HttpResponse:
    caller, module = caller_of(request), NetworkTokens(kind_asked(request))
    address = strict_address(caller, module, [part for part in rest.split("/") if part])
    return answer(request, module, Asked(caller.partner, dialect, address, timezone.now()))
