"""ClientInfo (OCPI 2.3.0 mod_hub_client_info; the same in 2.2.1)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from roaming.ocpi.field_types import CountryCode, PartyId, one_of
from roaming.ocpi.times import Moment
from roaming.ocpi.v2_3_0.credentials.schemas import Role
from roaming.ocpi.wire_object import WireObject


class ConnectionStatus(StrEnum):
    CONNECTED = "CONNECTED"
    OFFLINE = "OFFLINE"
    PLANNED = "PLANNED"
    SUSPENDED = "SUSPENDED"


class ClientInfo(WireObject):
    party_id: PartyId
    country_code: CountryCode
    role: Annotated[Role, one_of(Role, also={"MSP": "EMSP"}, unknown=Role.OTHER)]
    status: Annotated[ConnectionStatus, one_of(ConnectionStatus)]
    last_updated: Moment
