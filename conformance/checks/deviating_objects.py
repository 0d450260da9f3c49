"""Objects as they are in the field: those of Bookings 1.0, and single spellings that the specification does not have (§4)."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

from conformance.wire import Json


def as_edition_1_0(body: Json, renamed: tuple[str, str]) -> Json:
    """Names and places of the earlier edition."""
    old = deepcopy(body)
    option = old.pop(renamed[0])
    old["evse_uid"] = option.pop("evse_uid")
    option["format"] = (option.pop("connector_format", None) or ["CABLE"])[0]
    old[renamed[1]] = [option] if renamed[1].endswith("s") else option
    terms = dict(old["booking_terms"])
    terms["RFID_auth_required"] = terms.pop("rfid_auth_required")
    old["booking_terms"] = [terms] if renamed[1].endswith("s") else terms
    for calendar in old.get("calendars") or []:
        for slot in calendar["available_timeslots"]:
            slot["start_from"], slot["end_before"] = slot.pop("start_date_time"), slot.pop("end_date_time")
    return old


def _position(offer: Json) -> None:
    offer["booking_option"]["evse_position"] = "LEFT"


def _formats(offer: Json) -> None:
    offer["booking_option"]["formats"] = offer["booking_option"].pop("connector_format")


def _top_level_evse(offer: Json) -> None:
    offer["evse_uid"] = offer["booking_option"].pop("evse_uid")


def _blank_keys(offer: Json) -> None:
    slot = offer["calendars"][0]["available_timeslots"][0]
    slot["start_date_time "] = slot.pop("start_date_time")


def _seconds_99(offer: Json) -> None:
    slot = offer["calendars"][0]["available_timeslots"][0]
    slot["end_date_time"] = slot["end_date_time"].replace(":00:00Z", ":59:99Z")


def _calendar_twice(offer: Json) -> None:
    offer["calendars"].append(deepcopy(offer["calendars"][0]))


def _no_timeslots(offer: Json) -> None:
    offer["calendars"][0]["available_timeslots"] = []


def _tariff_id(offer: Json) -> None:
    offer["tariff_id"] = "CHK-T1"


def _terms_list(offer: Json) -> None:
    offer["booking_terms"] = [offer["booking_terms"]]


def _kilowatts(offer: Json) -> None:
    offer["calendars"][0]["available_timeslots"][0]["max_power"] = 350


def _green_power(offer: Json) -> None:
    offer["calendars"][0]["available_timeslots"][0]["green_power_support"] = True


def _nulls(offer: Json) -> None:
    offer |= {"tariff_ids": None, "policy": None}


DEVIATIONS: dict[str, Callable[[Json], None]] = {
    "evse_position as a string": _position,
    "formats for connector_format": _formats,
    "evse_uid at the top": _top_level_evse,
    "a key with a blank": _blank_keys,
    "59:99 as an end": _seconds_99,
    "one calendar id twice": _calendar_twice,
    "no timeslots": _no_timeslots,
    "tariff_id for tariff_ids": _tariff_id,
    "booking_terms as a list": _terms_list,
    "powers in kW": _kilowatts,
    "green_power_support": _green_power,
    "null for absent": _nulls,
}
