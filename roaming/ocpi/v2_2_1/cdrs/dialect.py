"""CDRs of 2.2.1, as the core asks for them (roaming/ocpi/modules/cdrs.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bookings.models import ChargeDetailRecord
from bookings.pricing.tariff_content import TariffContent
from roaming.mirror.session_values import ToldCdr
from roaming.ocpi.style import Style
from roaming.ocpi.v2_2_1.cdrs.mapping import cdr_out
from roaming.ocpi.v2_2_1.tariffs.prices import own_prices
from roaming.ocpi.v2_3_0.cdrs import dialect as newest
from roaming.ocpi.v2_3_0.cdrs.dialect import list_url, url
from roaming.ocpi.wire_object import Read

__all__ = ["list_url", "read", "url", "write"]


def write(cdr: ChargeDetailRecord, contents: Mapping[int, TariffContent], style: Style) -> dict[str, Any]:
    return cdr_out(newest.write(cdr, contents, style), style)


def read(raw: Any) -> Read[ToldCdr]:
    return own_prices(newest.read(raw))
