"""Tariffs of 2.2.1, as the core asks for them (roaming/ocpi/modules/tariffs.py)."""

from __future__ import annotations

from typing import Any

from bookings.models import TariffVersion
from bookings.pricing.tariff_content import TariffContent
from roaming.ocpi.style import Style
from roaming.ocpi.v2_2_1.tariffs.mapping import tariff_out
from roaming.ocpi.v2_3_0.tariffs import mapping as newest
from roaming.ocpi.v2_3_0.tariffs.dialect import list_url, read, url

__all__ = ["list_url", "read", "url", "write"]


def write(version: TariffVersion, content: TariffContent, style: Style) -> dict[str, Any] | None:
    return tariff_out(newest.tariff_out(version, content).wire(), style)
