"""CDRs of 2.2.1: its prices, its tariffs, and no word for bookings (2.2.1 mod_cdrs)."""

from __future__ import annotations

from typing import Any

from roaming.ocpi.style import Style
from roaming.ocpi.v2_2_1.tariffs.mapping import tariff_out
from roaming.ocpi.v2_2_1.tariffs.prices import price_out
from roaming.ocpi.v2_2_1.tokens.token_types import as_2_2_1

COSTS = (
    "total_cost",
    "total_fixed_cost",
    "total_energy_cost",
    "total_time_cost",
    "total_parking_cost",
    "total_reservation_cost",
)
# Dimensions of Bookings, and what they are to who knows none of them.
RESERVED = {"RESERVATION_EXPIRES": "RESERVATION_TIME", "RESERVATION_OVERTIME": "RESERVATION_TIME"}


def cdr_out(cdr: dict[str, Any], style: Style) -> dict[str, Any]:
    """A CDR of 2.3.0. Its total is never another; what it is made of may be told with less."""
    told = {**cdr, "cdr_token": as_2_2_1(cdr["cdr_token"])}
    told |= {name: price_out(cdr[name]) for name in COSTS if name in cdr}
    tariffs = [written for one in cdr.get("tariffs", []) if (written := tariff_out(one, style))]
    told.pop("tariffs", None)
    if tariffs:
        told["tariffs"] = tariffs
    if not style.shows_extensions:
        told.pop("booking_id", None)
        told["charging_periods"] = [period_out(period) for period in cdr["charging_periods"]]
    return told


def period_out(period: dict[str, Any]) -> dict[str, Any]:
    dimensions = [
        {**dimension, "type": RESERVED.get(dimension["type"], dimension["type"])}
        for dimension in period["dimensions"]
    ]
    return {**period, "dimensions": dimensions}
