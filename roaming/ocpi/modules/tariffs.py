"""Tariffs: of our depots for partners, and of partners' depots for our fleets."""

from __future__ import annotations

from typing import Any, Protocol

from bookings.models import TariffVersion
from bookings.pricing.tariff_content import TariffContent
from roaming.mirror.values import ToldTariff
from roaming.models import Partner
from roaming.ocpi.style import Style
from roaming.ocpi.wire_object import Read


class Tariffs(Protocol):
    def url(self, partner: Partner, owner: tuple[str, str], code: str, /) -> str:
        """Where a partner takes a tariff of a party of ours; empty when it takes none."""

    def write(self, version: TariffVersion, content: TariffContent, style: Style, /) -> dict[str, Any] | None:
        """A version of a tariff, with its operator at hand; None where it cannot be said in this version."""

    def list_url(self, partner: Partner, /) -> str:
        """Where a partner's Sender lists its tariffs; empty when it offers none."""

    def read(self, raw: Any, /) -> Read[ToldTariff]:
        """Raises UnreadableError."""
