"""Charge detail records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from bookings.models import ChargeDetailRecord
from bookings.pricing.tariff_content import TariffContent
from roaming.ocpi.style import Style


class Cdrs(Protocol):
    def write(
        self, cdr: ChargeDetailRecord, contents: Mapping[int, TariffContent], style: Style, /
    ) -> dict[str, Any]:
        """A record as `bookings.billing.cdr_lookup.with_all` reads it; `contents` of its versions of tariffs by id."""
