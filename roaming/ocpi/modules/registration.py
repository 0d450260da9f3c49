"""Versions and credentials."""

from __future__ import annotations

from typing import Any, Protocol

from roaming.models import Partner
from roaming.ocpi.party_credentials import Endpoint, PartyCredentials
from roaming.ocpi.wire_object import Read


class Registration(Protocol):
    def endpoints(self, partner: Partner, /) -> list[Endpoint]:
        """What is offered to a partner in this version."""

    def write_endpoints(self, partner: Partner, /) -> dict[str, Any]:
        """The version details with them."""

    def read_endpoints(self, raw: Any, /) -> list[Endpoint]:
        """A partner's version details; what cannot be read is left out."""

    def write_credentials(self, ours: PartyCredentials, /) -> dict[str, Any]: ...

    def read_credentials(self, raw: Any, /) -> Read[PartyCredentials]: ...
