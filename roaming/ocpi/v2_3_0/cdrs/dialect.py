"""CDRs of 2.3.0, as the core asks for them (roaming/ocpi/modules/cdrs.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bookings.models import ChargeDetailRecord
from bookings.pricing.tariff_content import TariffContent
from roaming.mirror.session_values import ToldCdr
from roaming.models import Partner
from roaming.ocpi.style import Style
from roaming.ocpi.v2_3_0.cdrs.mapping import cdr_out, core_period
from roaming.ocpi.v2_3_0.cdrs.reading import read_cdr
from roaming.ocpi.v2_3_0.cdrs.received import cdr_in, tariffs_in
from roaming.ocpi.wire_object import Read


def url(partner: Partner) -> str:
    return partner.endpoint("cdrs", "RECEIVER").rstrip("/")


def write(cdr: ChargeDetailRecord, contents: Mapping[int, TariffContent], style: Style) -> dict[str, Any]:
    written = cdr_out(cdr, contents).wire()
    if cdr.is_of_reservation_alone and not style.knows_bookings:
        written["charging_periods"] = [core_period(period) for period in written["charging_periods"]]
    return written


def list_url(partner: Partner) -> str:
    return partner.endpoint("cdrs", "SENDER")


def read(raw: Any) -> Read[ToldCdr]:
    told = read_cdr(raw)
    return Read(cdr_in(told.value, tariffs_in(raw)), told.deviations)
