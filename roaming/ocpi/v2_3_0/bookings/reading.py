"""What partners really send of Bookings, brought into the shape of Bookings 1.1.

First the names and shapes: keys with blanks, fields of Bookings 1.0, single values for lists. Then the models, which
forgive spellings and leave out what is broken (lenient.py). Every forgiven thing is named in `Read.deviations`. What
stays wrong raises UnreadableError.
"""

from __future__ import annotations

import re
from datetime import timedelta
from math import ceil
from typing import Any

from roaming.ocpi.shapes import Shape, or_none, read_shaped, shaped_as
from roaming.ocpi.times import read_time
from roaming.ocpi.v2_3_0.bookings.other_models import check_model
from roaming.ocpi.v2_3_0.bookings.schemas import Booking, BookingLocation, BookingRequest, Calendar, Timeslot
from roaming.ocpi.wire_object import Notes, Read

_SECONDS_OVER_59 = re.compile(r":59:([6-9]\d)", re.ASCII)
KW_BELOW = 5000  # no truck is offered less than 5 kW, no megawatt slot is told as more than 4,999 kW
# Watts between which a slot for heavy vehicles lies; what does not is most likely told in another unit than it is read in.
LEAST_PLAUSIBLE_W, MOST_PLAUSIBLE_W = 10_000, 4_000_000
LIGHT_VEHICLES = {"MOTORCYCLE", "PERSONAL_VEHICLE", "PERSONAL_VEHICLE_WITH_TRAILER", "VAN", "DISABLED"}
OPTION = Shape(
    "booking_option",
    renamed={
        "formats": "connector_format",
        "format": "connector_format",
        "connector_formats": "connector_format",
        "parking_space_length": "min_parking_space_length",
        "parking_space_width": "min_parking_space_width",
    },
    lists=frozenset({"evse_position", "vehicle_types", "connector_format", "connector_types", "power_types"}),
)
TERMS = Shape(
    "booking_terms",
    renamed={"RFID_auth_required": "rfid_auth_required"},
    lists=frozenset({"supported_access_methods"}),
)
TIMESLOT = Shape(
    "timeslot",
    renamed={
        "start_from": "start_date_time",
        "end_before": "end_date_time",
        "end_from": "end_date_time",
        "green_power_support": "green_energy_support",
    },
)
ACCESS = Shape("access_information", renamed={"location_access": "method"})
CALENDAR = Shape(
    "calendar",
    renamed={"step_size": "timeslot_increment", "last_update": "last_updated"},
    lists=frozenset({"available_timeslots"}),
    inside={"available_timeslots": TIMESLOT},
)
BOOKING_LOCATION = Shape(
    "booking_location",
    renamed={
        "bookable_parking_options": "booking_option",
        "bookable_parking_option": "booking_option",
        "bookable": "policy",
        "calenders": "calendars",
        "tariff_id": "tariff_ids",
        "tariffs": "tariff_ids",
        "last_update": "last_updated",
    },
    lists=frozenset({"tariff_ids", "calendars"}),
    singles={"booking_option": "", "booking_terms": "booking_terms"},
    inside={"booking_option": OPTION, "booking_terms": TERMS, "calendars": CALENDAR},
    into_option=frozenset({"evse_uid", "connector_id"}),
)
REQUEST = Shape(
    "booking_request",
    renamed={
        "bookable_parking_option": "booking_option",
        "booking_tokens": "tokens",
        "booking_token": "tokens",
        "timeslot": "period",
        "cancelled": "canceled",
        "access_methods": "access_information",
    },
    lists=frozenset({"tokens", "access_information"}),
    inside={"booking_option": OPTION, "period": TIMESLOT, "access_information": ACCESS},
    into_option=frozenset({"evse_uid", "connector_id", "parking_id"}),
)
REQUEST_STATUS = Shape("booking_request_status", inside={"booking_request": REQUEST})
BOOKING = Shape(
    "booking",
    renamed={
        "bookable_parking_option": "booking_option",
        "tokens": "booking_tokens",
        "booking_token": "booking_tokens",
        "timeslot": "period",
        "status": "reservation_status",
        "cancelled": "canceled",
        "access_methods": "access_information",
        "tariff_id": "tariff_ids",
        "tariffs": "tariff_ids",
        "last_update": "last_updated",
    },
    lists=frozenset({"booking_tokens", "tariff_ids", "access_information", "booking_requests"}),
    singles={"booking_option": "", "booking_terms": "booking_terms"},
    inside={
        "booking_option": OPTION,
        "period": TIMESLOT,
        "booking_terms": TERMS,
        "access_information": ACCESS,
        "booking_requests": REQUEST_STATUS,
    },
    into_option=frozenset({"evse_uid", "connector_id", "parking_id"}),
)


def read_booking_request(raw: Any, *, power_unit: str = "auto") -> Read[BookingRequest]:
    """`power_unit` as for `read_booking`, of what 1.0 asked for in the period."""
    notes = Notes()
    shaped = shaped_as(raw, REQUEST, notes)
    if isinstance(shaped, dict):
        check_model(BookingRequest, shaped)
        _plates_from_tokens(shaped, "tokens", notes)
        _power_from_period(shaped, power_unit, notes)
        if "authorization_reference" not in shaped and "request_id" in shaped:
            notes.add("booking_request.authorization_reference_missing")
            shaped["authorization_reference"] = shaped["request_id"]
        if "booking_location_id" not in shaped:
            notes.add("booking_request.booking_location_id_missing")
    return read_shaped(BookingRequest, shaped, notes)


def read_booking(raw: Any, *, power_unit: str = "auto") -> Read[Booking]:
    """`power_unit` is the partner's switch `timeslot_power_unit`: "W", "kW" or "auto"."""
    notes = Notes()
    shaped = shaped_as(raw, BOOKING, notes)
    if isinstance(shaped, dict):
        check_model(Booking, shaped)
        _plates_from_tokens(shaped, "booking_tokens", notes)
        _with_terms(shaped, notes, always=True)
        _with_reference(shaped, notes)
        _normalise_slots([shaped.get("period")], power_unit, notes)
    return read_shaped(Booking, shaped, notes)


def terms_told(raw: Any) -> frozenset[str]:
    """The fields of a Booking's terms that are there, under the names of 1.1."""
    shaped = shaped_as(raw, BOOKING, Notes())
    terms = shaped.get("booking_terms") if isinstance(shaped, dict) else None
    return frozenset(terms) if isinstance(terms, dict) else frozenset()


def read_booking_location(raw: Any, *, power_unit: str = "auto") -> Read[BookingLocation]:
    notes = Notes()
    shaped = shaped_as(raw, BOOKING_LOCATION, notes)
    if isinstance(shaped, dict):
        if "status" in shaped:
            notes.add("booking_location.status")
        _with_terms(shaped, notes)
        _normalise_calendars(shaped, power_unit, notes)
        _check_powers(shaped, notes)
    return read_shaped(BookingLocation, shaped, notes)


def read_calendar(raw: Any, *, power_unit: str = "auto") -> Read[Calendar]:
    notes = Notes()
    holder = {"calendars": [shaped_as(raw, CALENDAR, notes)]}
    _normalise_calendars(holder, power_unit, notes)
    return read_shaped(Calendar, holder["calendars"][0] if holder["calendars"] else raw, notes)


def _with_terms(shaped: dict[str, Any], notes: Notes, *, always: bool = False) -> None:
    """Terms are complete, or none: what a partner left out binds nobody."""
    if "booking_terms" not in shaped and not always:
        return
    if not isinstance(shaped.setdefault("booking_terms", {}), dict):
        notes.add("booking_terms.unreadable")
        shaped["booking_terms"] = {}
    terms = shaped["booking_terms"]
    defaults = {"supported_access_methods": [], "change_until_minutes": 0, "cancel_until_minutes": 0}
    for name, value in defaults.items():
        if name not in terms:
            notes.add(f"booking_terms.{name}_missing")
            terms[name] = value


def _with_reference(shaped: dict[str, Any], notes: Notes) -> None:
    if not isinstance(shaped.get("authorization_reference", ""), str | int):
        notes.add("booking.authorization_reference.unreadable")
        del shaped["authorization_reference"]
    if "authorization_reference" not in shaped and "request_id" in shaped:
        notes.add("booking.authorization_reference_missing")
        shaped["authorization_reference"] = shaped["request_id"]
    if "booking_requests" not in shaped:
        notes.add("booking.booking_requests_missing")
        shaped["booking_requests"] = []


def _plates_from_tokens(shaped: dict[str, Any], name: str, notes: Notes) -> None:
    """1.0 knew a number plate as a type of token."""
    tokens = shaped.get(name)
    if not isinstance(tokens, list):
        return
    plates = [t for t in tokens if isinstance(t, dict) and str(t.get("type")).upper() == "LICENSE_PLATE"]
    if plates:
        notes.add("token.license_plate")
        shaped[name] = [t for t in tokens if t not in plates]
        access = shaped.setdefault("access_information", [])
        access += [{"method": "LICENSE_PLATE", "value": plate.get("uid")} for plate in plates]


def _power_from_period(shaped: dict[str, Any], unit: str, notes: Notes) -> None:
    """1.0 asked for power in the period, which is a Timeslot there, in its unit."""
    period = shaped.get("period")
    if not isinstance(period, dict) or "max_power" not in period:
        return
    notes.add("booking_request.period_with_power")
    power = float(period["max_power"]) if _is_number(period["max_power"]) else 0.0
    if "power_required" not in shaped and power > 0:
        is_kw = unit == "kW" or (unit == "auto" and power < KW_BELOW)
        shaped["power_required"] = ceil(power if is_kw else power / 1000)


def _normalise_calendars(shaped: dict[str, Any], unit: str, notes: Notes) -> None:
    """A later calendar of the same id replaces the earlier one; slots are mended together, for one unit of power."""
    by_id: dict[str, Any] = {}
    for calendar in shaped.get("calendars", []):
        if not isinstance(calendar, dict):
            notes.add("calendar.unreadable")
            continue
        key = str(calendar.get("id", "")).upper()
        if key in by_id:
            notes.add("calendar.id_twice")
        by_id[key] = calendar
    shaped["calendars"] = list(by_id.values())
    if any(not calendar.get("available_timeslots") for calendar in by_id.values()):
        notes.add("calendar.without_timeslots")
    slots = [slot for calendar in by_id.values() for slot in calendar.get("available_timeslots", [])]
    _normalise_slots(slots, unit, notes)
    for calendar in by_id.values():
        for one in [calendar, *calendar.get("available_timeslots", [])]:
            _end_on_the_minute(one, "end_before" if one is calendar else "end_date_time", notes)
        _drop_empty_slots(calendar, notes)


def _normalise_slots(slots: list[Any], unit: str, notes: Notes) -> None:
    objects = [slot for slot in slots if isinstance(slot, dict)]
    for slot in objects:
        for name in ("min_power", "max_power"):
            if _is_number(slot.get(name)) and float(slot[name]) == 0:
                notes.add("timeslot.power_zero")
                del slot[name]
    powers = [float(s[n]) for s in objects for n in ("min_power", "max_power") if _is_number(s.get(n))]
    if powers and (unit == "kW" or (unit == "auto" and max(powers) < KW_BELOW)):
        notes.add("timeslot.power_in_kw")
        for slot in objects:
            for name in ("min_power", "max_power"):
                if _is_number(slot.get(name)):
                    slot[name] = float(slot[name]) * 1000
    for slot in objects:
        low, high = slot.get("min_power"), slot.get("max_power")
        if _is_number(low) and _is_number(high) and float(low) > float(high):  # type: ignore[arg-type]
            notes.add("timeslot.powers_swapped")
            slot["min_power"], slot["max_power"] = high, low


def _check_powers(offer: dict[str, Any], notes: Notes) -> None:
    """After the unit: powers that no truck is offered raise an alarm (deviation_words.py), whatever they are taken for."""
    option = offer.get("booking_option")
    types = option.get("vehicle_types") if isinstance(option, dict) else None
    if isinstance(types, list) and types and all(str(name).upper() in LIGHT_VEHICLES for name in types):
        return
    slots = [slot for calendar in offer["calendars"] for slot in calendar["available_timeslots"]]
    most = [
        float(power) for slot in slots if _is_number(power := slot.get("max_power", slot.get("min_power")))
    ]
    if any(not LEAST_PLAUSIBLE_W <= power <= MOST_PLAUSIBLE_W for power in most):
        notes.add("timeslot.power_implausible")


def _end_on_the_minute(slot: Any, name: str, notes: Notes) -> None:
    """An end at :59 means the next full minute: ends are exclusive, and slots shall touch. So does one at :99, as the calendars
    of the official samples end; anywhere else that is no time."""
    if not isinstance(slot, dict) or name not in slot:
        return
    told = slot[name]
    if isinstance(told, str) and (seconds := _SECONDS_OVER_59.search(told)):
        notes.add("time.over_59")
        told = f"{told[: seconds.start(1)]}59{told[seconds.end(1) :]}"
    try:
        end = read_time(told, notes)
    except ValueError:
        return
    if end.second == 59:
        notes.add("timeslot.end_one_second_short")
        slot[name] = end.replace(second=0, microsecond=0) + timedelta(minutes=1)


def _drop_empty_slots(calendar: dict[str, Any], notes: Notes) -> None:
    kept = []
    for slot in calendar.get("available_timeslots", []):
        parsed = or_none(Timeslot, slot, notes)
        if parsed is not None and parsed.start_date_time < parsed.end_date_time:
            kept.append(slot)
        elif parsed is not None:
            notes.add("timeslot.empty")
    calendar["available_timeslots"] = kept


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    try:
        return isinstance(value, int | float | str) and abs(float(value)) < 10**12
    except (ValueError, OverflowError):
        return False
