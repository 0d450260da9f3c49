"""Tokens and their authorization (OCPI 2.3.0 mod_tokens)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from roaming.ocpi.field_types import CountryCode, Flag, Id36, PartyId, Text64, Text512, TokenId, one_of
from roaming.ocpi.times import Moment
from roaming.ocpi.v2_3_0.bookings.schemas import TokenType
from roaming.ocpi.wire_object import WireObject


class WhitelistType(StrEnum):
    ALWAYS = "ALWAYS"
    ALLOWED = "ALLOWED"
    ALLOWED_OFFLINE = "ALLOWED_OFFLINE"
    NEVER = "NEVER"


class AllowedType(StrEnum):
    ALLOWED = "ALLOWED"
    BLOCKED = "BLOCKED"
    EXPIRED = "EXPIRED"
    NO_CREDIT = "NO_CREDIT"
    NOT_ALLOWED = "NOT_ALLOWED"


class Token(WireObject):
    country_code: CountryCode
    party_id: PartyId
    uid: TokenId
    type: Annotated[TokenType, one_of(TokenType, unknown=TokenType.OTHER)]
    contract_id: TokenId
    visual_number: Text64 | None = None
    issuer: Text64
    group_id: TokenId | None = None
    valid: Flag
    whitelist: Annotated[WhitelistType, one_of(WhitelistType)]
    last_updated: Moment


class LocationReferences(WireObject):
    location_id: Id36
    evse_uids: list[Id36] = Field(default_factory=list)


class DisplayText(WireObject):
    language: Annotated[str, Field(max_length=2)]
    text: Text512


class AuthorizationInfo(WireObject):
    allowed: Annotated[AllowedType, one_of(AllowedType)]
    token: Token | None = None
    location: LocationReferences | None = None
    authorization_reference: Id36 | None = None
    info: DisplayText | None = None
