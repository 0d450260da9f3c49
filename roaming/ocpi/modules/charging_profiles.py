"""ChargingProfiles: what limits the power of a session, set by whoever's customer charges."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from bookings.models import PartnerCommand
from roaming.commands.told import ToldActiveProfile, ToldResponse, ToldResult
from roaming.models import Partner, ReceivedCommand
from roaming.ocpi.wire_object import Read

Method = Literal["PUT", "DELETE", "GET"]


class ChargingProfiles(Protocol):
    # We are the CPO

    def write_result(self, received: ReceivedCommand, /) -> dict[str, Any]:
        """What is POSTed to the asker once the result of a LIMIT, LIFT_LIMIT or SHOW_LIMIT is decided."""

    def active_url(self, partner: Partner, session_id: str, /) -> str:
        """Where a partner is told what a session of its customer may take; empty when it takes that nowhere."""

    def write_active(
        self, limits: Sequence[tuple[int, int]], at: datetime, lasts: timedelta, /
    ) -> dict[str, Any]:
        """`limits` are [(seconds from `at`, watts)…]."""

    # We are the eMSP

    def url(self, partner: Partner, session_id: str, /) -> str:
        """Where a partner takes limits of a session; empty when it takes none."""

    def call(self, partner: Partner, command: PartnerCommand, now: datetime, /) -> tuple[Method, str, Any]:
        """Method, URL and body (None for none) of a LIMIT, LIFT_LIMIT or SHOW_LIMIT; an empty URL where it takes none."""

    def read_response(self, raw: Any, /) -> ToldResponse:
        """Raises UnreadableError."""

    def read_result(self, raw: Any, kind: str, /) -> Read[ToldResult]:
        """As it comes to the address that a command of this kind named, bare or in an envelope. Raises UnreadableError."""

    def read_active(self, raw: Any, /) -> Read[ToldActiveProfile]:
        """Raises UnreadableError."""
