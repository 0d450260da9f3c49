"""What a hub tells of the parties it connects (hubclientinfo)."""

from __future__ import annotations

from typing import Any, Protocol

from roaming.hubs.clients import ToldClient
from roaming.ocpi.wire_object import Read


class HubClients(Protocol):
    def read(self, raw: Any, /) -> Read[ToldClient]: ...
