"""Tariffs of 2.3.0, as the core asks for them (roaming/ocpi/modules/tariffs.py)."""

from __future__ import annotations

from typing import Any

from bookings.models import TariffVersion
from bookings.pricing.tariff_content import TariffContent
from roaming.models import Partner
from roaming.ocpi.client import joined
from roaming.ocpi.style import Style
from roaming.ocpi.v2_3_0.tariffs.mapping import tariff_out
from roaming.ocpi.v2_3_0.tariffs.reading import read_tariff as read

__all__ = ["list_url", "read", "url", "write"]


def url(partner: Partner, owner: tuple[str, str], code: str) -> str:
    base = partner.endpoint("tariffs", "RECEIVER")
    return joined(base, *owner, code) if base else ""


def list_url(partner: Partner) -> str:
    return partner.endpoint("tariffs", "SENDER")


def write(version: TariffVersion, content: TariffContent, style: Style) -> dict[str, Any] | None:
    return tariff_out(version, content).wire()
