"""CDRs of 2.2.1: its prices, its tariffs, and no word for bookings (2.2.1 mod_cdrs)."""

from __future__ import annotations

from typing import Any

from roaming.ocpi.style import Style
from roaming.ocpi.v2_2_1.locations.mapping import LONGEST_ADDRESS
from roaming.ocpi.v2_2_1.tariffs.mapping import tariff_out
from roaming.ocpi.v2_2_1.tariffs.prices import price_out
from roaming.ocpi.v2_2_1.tokens.token_types import as_2_2_1
from roaming.ocpi.v2_3_0.cdrs.mapping import core_period

COSTS = (
    "total_cost",
    "total_fixed_cost",
    "total_energy_cost",
    "total_time_cost",
    "total_parking_cost",
    "total_reservation_cost",
)
LONGEST_PLAIN = 512


def cdr_out(cdr: dict[str, Any], style: Style) -> dict[str, Any]:
    """A CDR of 2.3.0. Its total is never another; what it is made of may be told with less."""
    told = {**cdr, "cdr_token": as_2_2_1(cdr["cdr_token"])}
    told["cdr_location"] = _location_out(cdr["cdr_location"])
    told |= {name: price_out(cdr[name]) for name in COSTS if name in cdr}
    if "signed_data" in cdr:
        values = [_signed_out(value) for value in cdr["signed_data"]["signed_values"]]
        told["signed_data"] = {**cdr["signed_data"], "signed_values": values}
    tariffs = [written for one in cdr.get("tariffs", []) if (written := tariff_out(one, style))]
    told.pop("tariffs", None)
    if tariffs:
        told["tariffs"] = tariffs
    if not style.shows_extensions:
        told.pop("booking_id", None)
        told["charging_periods"] = [core_period(period) for period in cdr["charging_periods"]]
    return told


def _location_out(location: dict[str, Any]) -> dict[str, Any]:
    return {**location, "address": location["address"][:LONGEST_ADDRESS]}


def _signed_out(value: dict[str, Any]) -> dict[str, Any]:
    """A part of what is readable would prove nothing."""
    return {**value, "plain_data": value["plain_data"] if len(value["plain_data"]) <= LONGEST_PLAIN else ""}
