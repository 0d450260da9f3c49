"""Charging sessions."""

from __future__ import annotations

from typing import Any, Protocol

from roaming.mirror.session_values import ToldSession
from roaming.models import Partner
from roaming.ocpi.style import Style
from roaming.ocpi.wire_object import Read
from roaming.published_sessions import PublishedSession


class Sessions(Protocol):
    # At our depots, of a partner's customers

    def url(self, partner: Partner, session: PublishedSession, /) -> str:
        """Where a partner takes this session; empty when it takes none."""

    def write(self, session: PublishedSession, style: Style, /) -> dict[str, Any]: ...

    # At a partner's depots, of our fleets

    def list_url(self, partner: Partner, /) -> str:
        """Where a partner's Sender lists them; empty when it has no such list."""

    def read(self, raw: Any, /) -> Read[ToldSession]: ...
