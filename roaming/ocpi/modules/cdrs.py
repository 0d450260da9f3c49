"""Charge detail records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from bookings.models import ChargeDetailRecord
from bookings.pricing.tariff_content import TariffContent
from roaming.mirror.session_values import ToldCdr
from roaming.models import Partner
from roaming.ocpi.style import Style
from roaming.ocpi.wire_object import Read


class Cdrs(Protocol):
    # Of our depots

    def url(self, partner: Partner, /) -> str:
        """Where a partner takes records; empty when it takes none."""

    def write(
        self, cdr: ChargeDetailRecord, contents: Mapping[int, TariffContent], style: Style, /
    ) -> dict[str, Any]:
        """A record as `bookings.billing.cdr_lookup.with_all` reads it; `contents` of its versions of tariffs by id."""

    # Of a partner's depots

    def list_url(self, partner: Partner, /) -> str:
        """Where a partner's Sender lists them; empty when it has no such list."""

    def read(self, raw: Any, /) -> Read[ToldCdr]: ...
