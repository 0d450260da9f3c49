"""Tokens of 2.3.0, as the core asks for them (roaming/ocpi/modules/tokens.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from roaming.mirror.values import ToldAuthorization, ToldToken
from roaming.models import Partner
from roaming.ocpi.client import joined
from roaming.ocpi.v2_3_0.bookings.token_types import token_type_out
from roaming.ocpi.v2_3_0.tokens import mapping, reading
from roaming.ocpi.wire_object import Read, UnreadableError
from roaming.published_tokens import AskedOwner, PublishedToken, TokenPlace


def write(published: PublishedToken) -> dict[str, Any]:
    return mapping.token_out(published).wire()


def write_authorization(answer: AskedOwner) -> dict[str, Any]:
    return mapping.authorization_out(answer).wire()


def url(partner: Partner, published: PublishedToken) -> str:
    base, fleet = partner.endpoint("tokens", "RECEIVER"), published.token.fleet
    if not base:
        return ""
    named = joined(base, fleet.country_code.upper(), fleet.emsp_party_id.upper(), published.token.uid)
    return f"{named}?type={token_type_out(published.token.type)}"


def list_url(partner: Partner) -> str:
    return partner.endpoint("tokens", "SENDER")


def authorize_url(partner: Partner, uid: str, kind: str) -> str:
    base = list_url(partner)
    return f"{joined(base, uid, 'authorize')}?type={token_type_out(kind)}" if base else ""


def write_place(place: TokenPlace) -> dict[str, Any]:
    return mapping.schemas.LocationReferences(
        location_id=place.location_id, evse_uids=list(place.evse_uids)
    ).wire()


def read_place(raw: Any) -> Read[TokenPlace]:
    read = reading.read_place(raw)
    return Read(TokenPlace(read.value.location_id, tuple(read.value.evse_uids)), read.deviations)


def read(raw: Any) -> Read[ToldToken]:
    read = reading.read_token(raw)
    return Read(mapping.token_in(read.value), read.deviations)


def read_all(raws: Sequence[Any]) -> list[Read[ToldToken] | UnreadableError]:
    return mapping.tokens_in(raws)


def read_authorization(raw: Any) -> Read[ToldAuthorization]:
    read = reading.read_authorization(raw)
    return Read(mapping.authorization_in(read.value), read.deviations)
