"""Versions and credentials (OCPI 2.3.0 version_information_endpoint and credentials)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from roaming.ocpi.field_types import CountryCode, HubPartyId, OpenName, PartyId, Token64, Url, one_of
from roaming.ocpi.v2_3_0.locations.schemas import BusinessDetails
from roaming.ocpi.wire_object import SentWhole, WireObject

# A hub lists every party it reaches; nobody has more than this, nor so many modules.
MOST_ROLES, MOST_ENDPOINTS = 1_000, 200


class Role(StrEnum):
    CPO = "CPO"
    EMSP = "EMSP"
    NAP = "NAP"
    NSP = "NSP"
    OTHER = "OTHER"
    SCSP = "SCSP"
    HUB = "HUB"


class InterfaceRole(StrEnum):
    SENDER = "SENDER"
    RECEIVER = "RECEIVER"


class CredentialsRole(SentWhole):
    """`HUB` is of 2.2.1; 2.3.0 names a hub by `hub_party_id`."""

    always_sent: ClassVar[frozenset[str]] = frozenset({"business_details"})

    role: Annotated[Role, one_of(Role, also={"MSP": "EMSP"}, unknown=Role.OTHER)]
    party_id: PartyId
    country_code: CountryCode
    business_details: BusinessDetails | None = None


class Credentials(WireObject):
    token: Token64
    url: Url
    hub_party_id: HubPartyId | None = None
    roles: list[CredentialsRole] = Field(min_length=1, max_length=MOST_ROLES)


class Endpoint(WireObject):
    identifier: OpenName
    role: Annotated[InterfaceRole, one_of(InterfaceRole)]
    url: Url


class VersionDetails(WireObject):
    version: OpenName
    endpoints: list[Endpoint] = Field(min_length=1, max_length=MOST_ENDPOINTS)
