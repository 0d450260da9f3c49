"""Commands: what partners have our chargers do, and we theirs."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from bookings.models import PartnerCommand
from roaming.commands.told import ToldResponse, ToldResult
from roaming.models import Partner, ReceivedCommand


class Commands(Protocol):
    # We are the CPO

    def write_result(self, received: ReceivedCommand, /) -> dict[str, Any]:
        """What is POSTed to the asker of a command whose result is decided."""

    # We are the eMSP

    def url(self, partner: Partner, kind: str, /) -> str:
        """Where a partner takes commands of a kind (PartnerCommand.Kind); empty when it takes none."""

    def write(self, command: PartnerCommand, now: datetime, /) -> dict[str, Any]: ...

    def read_response(self, raw: Any, /) -> ToldResponse:
        """Raises UnreadableError."""

    def read_result(self, raw: Any, /) -> ToldResult:
        """As it comes to the address that a command named, bare or in an envelope. Raises UnreadableError."""
