"""A partner's quirks: what is done differently for it. Kept in `Partner.switches`; absent means the default."""

from __future__ import annotations

from typing import Any

from roaming.models import Partner

DEFAULTS: dict[str, Any] = {
    # The module's name in our version details: "both", "Booking" or "bookings".
    "booking_identifiers": "both",
    # The Authorization header carries the token as it is instead of base64.
    "raw_token": False,
    # In which unit the partner gives the power of timeslots: "W", "kW" or "auto" (all below 5,000 means kW).
    "timeslot_power_unit": "auto",
    # What stands in the path of a booking we send: its "id", or the "request_id".
    "booking_path_id": "id",
    # The partner is a hub: it speaks for parties that are not among its roles.
    "hub_party_id": "",
}


def switch(partner: Partner, name: str) -> Any:
    """The setting of one quirk. Raises KeyError for a name that is none."""
    return partner.switches.get(name, DEFAULTS[name])
