"""Bookings 1.0, for partners that a person has pinned to it: objects of 1.1 under the names and in the shapes of before.

Functions from JSON to JSON; what 1.0 has no room for is left out. Reading is generous enough for both (reading.py).
"""

from __future__ import annotations

from typing import Any

BESIDE_THE_OPTION = ("evse_uid", "connector_id", "parking_id")
NOT_IN_TERMS = frozenset({"min_booking_duration", "max_booking_duration"})
SPACES = {
    "min_parking_space_length": "parking_space_length",
    "min_parking_space_width": "parking_space_width",
}
NOT_IN_OPTION = frozenset(
    {*BESIDE_THE_OPTION, "connector_format", "connector_types", "power_types", "evse_position"}
)
PLATE = "LICENSE_PLATE"


def booking_out(booking: dict[str, Any]) -> dict[str, Any]:
    told = _with_option(booking, BESIDE_THE_OPTION)
    told = _renamed(told, {"tariff_ids": "tariff_id", "access_information": "access_methods"})
    if "access_methods" in told:
        told["access_methods"] = [
            _renamed(one, {"method": "location_access"}) for one in told["access_methods"]
        ]
    told["period"] = _timeslot_out(told["period"])
    told["booking_terms"] = _terms_out(told["booking_terms"])
    return told


def booking_location_out(offer: dict[str, Any]) -> dict[str, Any]:
    """With lists of the one option and the one set of terms there are."""
    told = _with_option(offer, BESIDE_THE_OPTION[:2])
    option, terms = told.pop("bookable_parking_option", None), told.pop("booking_terms", None)
    told = _renamed(told, {"tariff_ids": "tariff_id", "policy": "bookable"})
    told["bookable_parking_options"] = [option] if option else []
    told["booking_terms"] = [_terms_out(terms)] if terms else []
    told["calendars"] = [_calendar_out(calendar) for calendar in told["calendars"]]
    return told


def booking_request_out(request: dict[str, Any]) -> dict[str, Any]:
    """A plate goes as a token of its own kind: there was no other place for it."""
    told = _with_option(request, BESIDE_THE_OPTION[:2])
    told.pop("booking_location_id", None)
    plates = [one["value"] for one in told.pop("access_information", []) if one["method"] == PLATE]
    owner = {"country_code": told["country_code"], "party_id": told["party_id"]}
    told["tokens"] = [
        *told.get("tokens", []),
        *({**owner, "uid": plate, "type": PLATE, "contract_id": plate} for plate in plates),
    ]
    told["period"] = _timeslot_out(told["period"])
    return told


def _with_option(told: dict[str, Any], beside: tuple[str, ...]) -> dict[str, Any]:
    """The option under its old name, with what stood beside it there."""
    rest = {name: value for name, value in told.items() if name != "booking_option"}
    option = told.get("booking_option")
    if option is None:
        return rest
    rest |= {name: option[name] for name in beside if name in option}
    return {**rest, "bookable_parking_option": _option_out(option)}


def _option_out(option: dict[str, Any]) -> dict[str, Any]:
    told = {SPACES.get(name, name): value for name, value in option.items() if name not in NOT_IN_OPTION}
    told["format"] = option.get("connector_format", ["CABLE"])[0]
    told["restricted_to_type"] = bool(option.get("vehicle_types"))
    if option.get("evse_position"):
        told["evse_position"] = option["evse_position"][0]
    return told


def _terms_out(terms: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in terms.items() if name not in NOT_IN_TERMS}
    return _renamed(kept, {"rfid_auth_required": "RFID_auth_required"})


def _calendar_out(calendar: dict[str, Any]) -> dict[str, Any]:
    told = _renamed(calendar, {"timeslot_increment": "step_size"})
    told["available_timeslots"] = [_timeslot_out(slot) for slot in told["available_timeslots"]]
    return told


def _timeslot_out(slot: dict[str, Any]) -> dict[str, Any]:
    return _renamed(slot, {"start_date_time": "start_from", "end_date_time": "end_before"})


def _renamed(told: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in told.items()}
