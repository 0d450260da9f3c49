"""Locations of 2.2.1: no parking places, closed lists of names (2.2.1 mod_locations)."""

from __future__ import annotations

from typing import Any

from roaming.ocpi.style import Style

# Fields of 2.3.0, by object.
ADDED_TO_LOCATION = frozenset({"parking_places", "help_phone"})
ADDED_TO_EVSE = frozenset({"parking", "accepted_service_providers"})
ADDED_TO_CONNECTOR = frozenset({"capabilities"})
CONNECTORS = frozenset(
    {
        "CHADEMO", "CHAOJI", *(f"DOMESTIC_{letter}" for letter in "ABCDEFGHIJKLMNO"), "GBT_AC", "GBT_DC",
        "IEC_60309_2_single_16", "IEC_60309_2_three_16", "IEC_60309_2_three_32", "IEC_60309_2_three_64",
        "IEC_62196_T1", "IEC_62196_T1_COMBO", "IEC_62196_T2", "IEC_62196_T2_COMBO", "IEC_62196_T3A", "IEC_62196_T3C",
        "NEMA_5_20", "NEMA_6_30", "NEMA_6_50", "NEMA_10_30", "NEMA_10_50", "NEMA_14_30", "NEMA_14_50",
        "PANTOGRAPH_BOTTOM_UP", "PANTOGRAPH_TOP_DOWN", "TESLA_R", "TESLA_S",
    }
)  # fmt: skip
CAPABILITIES = frozenset(
    {
        "CHARGING_PROFILE_CAPABLE", "CHARGING_PREFERENCES_CAPABLE", "CHIP_CARD_SUPPORT", "CONTACTLESS_CARD_SUPPORT",
        "CREDIT_CARD_PAYABLE", "DEBIT_CARD_PAYABLE", "PED_TERMINAL", "REMOTE_START_STOP_CAPABLE", "RESERVABLE",
        "RFID_READER", "START_SESSION_CONNECTOR_REQUIRED", "TOKEN_GROUP_CAPABLE", "UNLOCK_CAPABLE",
    }
)  # fmt: skip
PARKING_RESTRICTIONS = frozenset({"EV_ONLY", "PLUGGED", "DISABLED", "CUSTOMERS", "MOTORCYCLES"})
LONGEST_ADDRESS, LONGEST_STATE = 45, 20


def location_out(location: dict[str, Any], style: Style) -> dict[str, Any]:
    """A Location of 2.3.0. A connector that has no name here is shown as what it is or not at all, never as another."""
    told = dict(location) if style.shows_extensions else _without(location, ADDED_TO_LOCATION)
    told["address"] = told["address"][:LONGEST_ADDRESS]
    if "state" in told:
        told["state"] = told["state"][:LONGEST_STATE]
    evses = [_evse_out(evse, style) for evse in location["evses"]]
    return {**told, "evses": [evse for evse in evses if evse["connectors"]]}


def _evse_out(evse: dict[str, Any], style: Style) -> dict[str, Any]:
    told = dict(evse) if style.shows_extensions else _without(evse, ADDED_TO_EVSE)
    told["connectors"] = [
        connector if style.shows_extensions else _without(connector, ADDED_TO_CONNECTOR)
        for connector in evse["connectors"]
        if style.shows_unlisted_connectors or connector["standard"] in CONNECTORS
    ]
    for name, known in (("capabilities", CAPABILITIES), ("parking_restrictions", PARKING_RESTRICTIONS)):
        if name in told:
            told[name] = [value for value in told[name] if value in known]
    return {name: value for name, value in told.items() if value != [] or name == "connectors"}


def _without(told: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name not in names}
