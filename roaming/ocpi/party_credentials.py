"""What two platforms give each other in a registration, whatever the version that carries it."""

from __future__ import annotations

from dataclasses import dataclass

Endpoint = dict[str, str]  # {"identifier", "role", "url"}, as Partner keeps it
PartyRole = dict[
    str, str
]  # {"role", "country_code", "party_id", "name"}, as Partner keeps it, and our "website"


@dataclass(frozen=True)
class PartyCredentials:
    """The token to call one side with, where its versions are, and the parties it speaks for. `hub_party_id` is country and
    party of a hub, glued; empty for who is none."""

    token: str
    versions_url: str
    roles: list[PartyRole]
    hub_party_id: str = ""
