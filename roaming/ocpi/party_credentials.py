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

    @property
    def roles_with_hub(self) -> list[PartyRole]:
        """As 2.2.1 names them: who says it is a hub has a role for that."""
        hub, named = self.hub_party_id, any(role["role"] == "HUB" for role in self.roles)
        if not hub or named:
            return self.roles
        return [*self.roles, {"role": "HUB", "country_code": hub[:2], "party_id": hub[2:], "name": ""}]
