"""What an event or an ask changed, in words: the same in a timeline, a queue of asks and a refusal."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bookings.models import Booking
from bookings.models.fleet import shown_again, shown_to_others
from bookings.rules.charging_duration import EnergyAsked, in_words

NAMES = {
    "period": "Time",
    "option": "Offer",
    "evse": "EVSE",
    "power_w": "Power",
    "energy": "To charge",
    "vehicle": "Vehicle",
    "trailer": "Trailer",
    "tokens": "Tokens",
    "reference": "Reference",
    "price": "Price",
}


def words(detail: dict[str, Any], booking: Booking) -> str:
    """`Time 11:00–12:00 instead of 10:00–11:00; EVSE …`, only of what differs."""
    before, after = detail.get("before"), detail.get("after")
    if not isinstance(after, dict):
        return ""
    before = before if isinstance(before, dict) else {}
    parts = []
    for name, label in NAMES.items():
        if name not in after or after[name] == before.get(name) or after[name] in (None, [], ""):
            continue
        now, was = _shown(name, after[name], booking), _shown(name, before.get(name), booking)
        parts.append(f"{label} {now}" + (f" instead of {was}" if was else ""))
    return "; ".join(parts)


def _shown(name: str, value: Any, booking: Booking) -> str:
    if not value:
        return ""
    if name == "period":
        return _span(value, booking)
    if name == "tokens":
        return ", ".join(_ending(token) for token in value)
    if name == "power_w":
        return f"{value / 1000:g} kW"
    if name == "energy":
        return in_words(EnergyAsked(**value))
    if name == "price":
        return f"{value['total']} {value['currency']}"
    return str(value)


def _ending(token: Any) -> str:
    if isinstance(token, dict):
        return shown_to_others(str(token.get("uid", "")), str(token.get("type", "")))
    return shown_again(str(token))


def _span(period: Any, booking: Booking) -> str:
    if not isinstance(period, dict):
        return ""
    zone = booking.depot.zone
    try:
        first, last = (datetime.fromisoformat(period[end]).astimezone(zone) for end in ("start", "end"))
    except (KeyError, ValueError):
        return ""
    return f"{first:%a %-d %b %H:%M}–{last:%H:%M}"
