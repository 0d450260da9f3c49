"""Credentials between our words and those of OCPI 2.3.0."""

from __future__ import annotations

from typing import Any

from roaming.ocpi.party_credentials import PartyCredentials, PartyRole
from roaming.ocpi.v2_3_0.credentials import reading
from roaming.ocpi.v2_3_0.credentials.schemas import Credentials, CredentialsRole, Role
from roaming.ocpi.v2_3_0.locations.schemas import BusinessDetails
from roaming.ocpi.wire_object import Read


def write_credentials(ours: PartyCredentials) -> dict[str, Any]:
    roles = [
        CredentialsRole(
            role=Role(role["role"]),
            country_code=role["country_code"],
            party_id=role["party_id"],
            business_details=BusinessDetails(name=role["name"], website=role.get("website") or None),
        )
        for role in ours.roles
    ]
    hub = ours.hub_party_id or None
    return Credentials(token=ours.token, url=ours.versions_url, hub_party_id=hub, roles=roles).wire()


def read_credentials(raw: Any) -> Read[PartyCredentials]:
    """Raises UnreadableError."""
    read = reading.read_credentials(raw)
    theirs = read.value
    roles = [_role_in(role) for role in theirs.roles]
    hub = (theirs.hub_party_id or "").upper()
    return Read(PartyCredentials(theirs.token, theirs.url, roles, hub), read.deviations)


def _role_in(role: CredentialsRole) -> PartyRole:
    return {
        "role": role.role.value,
        "country_code": role.country_code.upper(),
        "party_id": role.party_id.upper(),
        "name": role.business_details.name if role.business_details else "",
    }
