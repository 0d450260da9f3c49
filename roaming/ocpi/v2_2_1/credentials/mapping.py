"""Credentials of OCPI 2.2.1: a hub is a role, where 2.3.0 has a field."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from roaming.ocpi.party_credentials import PartyCredentials
from roaming.ocpi.v2_3_0.credentials import mapping as newest
from roaming.ocpi.wire_object import Read

HUB = "HUB"


def write_credentials(ours: PartyCredentials) -> dict[str, Any]:
    hub = ours.hub_party_id
    told = newest.write_credentials(replace(ours, hub_party_id=""))
    if hub:
        business_details = told["roles"][0]["business_details"]
        told["roles"].append(
            {
                "role": HUB,
                "country_code": hub[:2],
                "party_id": hub[2:],
                "business_details": business_details,
            }
        )
    return told


def read_credentials(raw: Any) -> Read[PartyCredentials]:
    """Raises UnreadableError."""
    read = newest.read_credentials(raw)
    hubs = [role["country_code"] + role["party_id"] for role in read.value.roles if role["role"] == HUB]
    return Read(replace(read.value, hub_party_id="".join(hubs[:1])), read.deviations)
