"""CDRs of 2.2.1, as the core asks for them (roaming/ocpi/modules/cdrs.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bookings.models import ChargeDetailRecord
from bookings.pricing.tariff_content import TariffContent
from roaming.ocpi.style import Style
from roaming.ocpi.v2_2_1.cdrs.mapping import cdr_out
from roaming.ocpi.v2_3_0.cdrs import mapping as newest


def write(cdr: ChargeDetailRecord, contents: Mapping[int, TariffContent], style: Style) -> dict[str, Any]:
    return cdr_out(newest.cdr_out(cdr, contents).wire(), style)
