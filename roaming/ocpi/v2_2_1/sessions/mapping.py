"""Sessions of 2.2.1: its price, its kinds of tokens, and no word for bookings (2.2.1 mod_sessions)."""

from __future__ import annotations

from typing import Any

from roaming.ocpi.style import Style
from roaming.ocpi.v2_2_1.tariffs.prices import price_out
from roaming.ocpi.v2_2_1.tokens.token_types import as_2_2_1
from roaming.ocpi.v2_3_0.cdrs.mapping import core_period


def session_out(session: dict[str, Any], style: Style) -> dict[str, Any]:
    """A Session of 2.3.0."""
    told = {**session, "cdr_token": as_2_2_1(session["cdr_token"])}
    if "total_cost" in session:
        told["total_cost"] = price_out(session["total_cost"])
    if not style.shows_extensions:
        told["charging_periods"] = [core_period(period) for period in session.get("charging_periods", [])]
    return told
