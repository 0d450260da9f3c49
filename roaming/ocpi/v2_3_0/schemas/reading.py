"""What partners really send, brought into the shape of 2.3.0 and Bookings 1.1 (ocpi.md §4 and §4.1).

First the names and shapes: keys with blanks, fields of Bookings 1.0, single values for lists. Then the models, which
forgive spellings and leave out what is broken (lenient.py). Every forgiven thing is named in `Read.deviations`. What
stays wrong raises UnreadableError.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any, TypeVar

from roaming.mirror import time_zones
from roaming.ocpi.lenient import read
from roaming.ocpi.v2_3_0.bookings.schemas import Booking, BookingLocation, BookingRequest, Calendar, Timeslot
from roaming.ocpi.v2_3_0.credentials.schemas import Credentials, Version, VersionDetails
from roaming.ocpi.v2_3_0.locations.schemas import Connector, Evse, Location
from roaming.ocpi.wire import NOT_ASSIGNED, Notes, Read, UnreadableError, Wire, read_time

W = TypeVar("W", bound=Wire)
KW_BELOW = 5000  # no truck is offered less than 5 kW, no megawatt slot is told as more than 4,999 kW


@dataclass(frozen=True)
class Shape:
    """An object's old names, the fields that are lists, and the shapes of the objects inside."""

    name: str
    renamed: dict[str, str] = field(default_factory=dict)
    lists: frozenset[str] = frozenset()
    inside: dict[str, Shape] = field(default_factory=dict)
    into_option: frozenset[str] = frozenset()


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
    inside={
        "booking_option": OPTION,
        "period": TIMESLOT,
        "booking_terms": TERMS,
        "access_information": ACCESS,
        "booking_requests": REQUEST_STATUS,
    },
    into_option=frozenset({"evse_uid", "connector_id", "parking_id"}),
)
CONNECTOR = Shape("connector", lists=frozenset({"tariff_ids"}))
EVSE = Shape(
    "evse",
    renamed={"floor": "floor_level"},
    lists=frozenset({"capabilities", "connectors", "parking"}),
    inside={"connectors": CONNECTOR},
)
HOURS = Shape("hours", lists=frozenset({"regular_hours"}))
LOCATION = Shape(
    "location",
    lists=frozenset({"evses", "parking_places"}),
    inside={"evses": EVSE, "opening_times": HOURS},
)
PLAIN = Shape("object")


# What is asked for


def read_booking_request(raw: Any) -> Read[BookingRequest]:
    notes = Notes()
    shaped = _shaped(raw, REQUEST, notes)
    if isinstance(shaped, dict):
        _plates_from_tokens(shaped, "tokens", notes)
        _power_from_period(shaped, notes)
        if "authorization_reference" not in shaped and "request_id" in shaped:
            notes.add("booking_request.authorization_reference_missing")
            shaped["authorization_reference"] = shaped["request_id"]
        if "booking_location_id" not in shaped:
            notes.add("booking_request.booking_location_id_missing")
    return _read(BookingRequest, shaped, notes)


def read_booking(raw: Any, *, power_unit: str = "auto") -> Read[Booking]:
    """`power_unit` is the partner's switch `timeslot_power_unit`: "W", "kW" or "auto"."""
    notes = Notes()
    shaped = _shaped(raw, BOOKING, notes)
    if isinstance(shaped, dict):
        _plates_from_tokens(shaped, "booking_tokens", notes)
        _single(shaped, "booking_terms", notes)
        _with_terms(shaped, notes, always=True)
        _with_reference(shaped, notes)
        _mend_slots([shaped.get("period")], power_unit, notes)
    return _read(Booking, shaped, notes)


def read_booking_location(raw: Any, *, power_unit: str = "auto") -> Read[BookingLocation]:
    notes = Notes()
    shaped = _shaped(raw, BOOKING_LOCATION, notes)
    if isinstance(shaped, dict):
        _single(shaped, "booking_option", notes)
        _single(shaped, "booking_terms", notes)
        _with_terms(shaped, notes)
        _mend_calendars(shaped, power_unit, notes)
    return _read(BookingLocation, shaped, notes)


def read_calendar(raw: Any, *, power_unit: str = "auto") -> Read[Calendar]:
    notes = Notes()
    holder = {"calendars": [_shaped(raw, CALENDAR, notes)]}
    _mend_calendars(holder, power_unit, notes)
    return _read(Calendar, holder["calendars"][0] if holder["calendars"] else raw, notes)


def read_location(raw: Any) -> Read[Location]:
    """A `time_zone` that names none is left out: no time of a depot is shown in a zone that was guessed."""
    notes = Notes()
    shaped = _shaped(raw, LOCATION, notes)
    if isinstance(shaped, dict):
        for evse in shaped.get("evses", []):
            _mend_evse(evse, shaped.get("last_updated"), notes)
        _mend_hours(shaped, notes)
        _mend_zone(shaped, notes)
    return _read(Location, shaped, notes)


def read_evse(raw: Any) -> Read[Evse]:
    notes = Notes()
    shaped = _shaped(raw, EVSE, notes)
    _mend_evse(shaped, None, notes)
    return _read(Evse, shaped, notes)


def read_connector(raw: Any) -> Read[Connector]:
    notes = Notes()
    return _read(Connector, _shaped(raw, CONNECTOR, notes), notes)


def read_credentials(raw: Any) -> Read[Credentials]:
    notes = Notes()
    return _read(Credentials, _shaped(raw, PLAIN, notes), notes)


def read_versions(raw: Any) -> Read[list[Version]]:
    """Versions we do not know are there too; an entry that cannot be read is left out."""
    notes = Notes()
    if not isinstance(raw, list):
        raise UnreadableError("", "must be a list of versions")
    return Read(
        [v for v in (_or_none(Version, one, notes) for one in raw) if v is not None], tuple(notes.names)
    )


def read_version_details(raw: Any) -> Read[VersionDetails]:
    """Endpoints that cannot be read (without role, say) are left out and noted."""
    notes = Notes()
    return _read(VersionDetails, _shaped(raw, PLAIN, notes), notes)


SHAPES = {
    "booking": BOOKING,
    "booking_location": BOOKING_LOCATION,
    "calendar": CALENDAR,
    "location": LOCATION,
    "evse": EVSE,
    "connector": CONNECTOR,
}


def read_patch(kind: str, raw: Any) -> Read[dict[str, Any]]:
    """A PATCH body under the names of 1.1, otherwise as it came. Raises UnreadableError without `last_updated`.

    To be merged into the object we hold, which is then read as a whole. `kind` is a key of SHAPES.
    """
    notes = Notes()
    shaped = _shaped(raw, SHAPES[kind], notes)
    if not isinstance(shaped, dict):
        raise UnreadableError("", "must be an object")
    if "last_updated" not in shaped:
        raise UnreadableError("last_updated", "is required in a PATCH")
    patched_at(shaped)
    return Read(shaped, tuple(notes.names))


def patched_at(patch: dict[str, Any]) -> datetime:
    try:
        return read_time(patch["last_updated"])
    except ValueError as error:
        raise UnreadableError("last_updated", str(error)) from None


# Names and shapes


def _shaped(raw: Any, shape: Shape, notes: Notes) -> Any:
    """The object under the names of 1.1. A field under its proper name wins over an old one.

    `null` is left out, and so is an empty text: it says as little.
    """
    if not isinstance(raw, dict):
        return raw
    shaped: dict[str, Any] = {}
    for key, value in sorted(_clean_keys(raw, notes), key=lambda item: item[0] in shape.renamed):
        name = shape.renamed.get(key, key)
        if name != key:
            notes.add(f"{shape.name}.{key}")
        if _is_empty(value):
            notes.add(f"{shape.name}.{name}.empty")
        elif value is not None and name not in shaped:
            shaped[name] = _inside(value, name, shape, notes)
    _move_into_option(shaped, shape, notes)
    return shaped


def _clean_keys(raw: dict[str, Any], notes: Notes) -> list[tuple[str, Any]]:
    for key in raw:
        if key != key.strip():
            notes.add("key.blank")
    return [(key.strip(), value) for key, value in raw.items()]


def _inside(value: Any, name: str, shape: Shape, notes: Notes) -> Any:
    if name in shape.lists and not isinstance(value, list):
        notes.add(f"{shape.name}.{name}.single")
        value = [value]
    inner = shape.inside.get(name, PLAIN)
    if isinstance(value, list):
        if any(_is_empty(one) for one in value):
            notes.add(f"{shape.name}.{name}.empty")
        return [_shaped(one, inner, notes) for one in value if one is not None and not _is_empty(one)]
    return _shaped(value, inner, notes)


def _is_empty(value: Any) -> bool:
    return isinstance(value, str) and not value.strip()


def _move_into_option(shaped: dict[str, Any], shape: Shape, notes: Notes) -> None:
    """1.0 had the EVSE beside the option, or beside a list of them; the one inside wins. `#NA` means none."""
    outside = sorted(shape.into_option & shaped.keys())
    option = shaped.setdefault("booking_option", {}) if outside else shaped.get("booking_option")
    inside = [one for one in (option if isinstance(option, list) else [option]) if isinstance(one, dict)]
    for name in outside:
        notes.add(f"{shape.name}.{name}")
        value = shaped.pop(name)
        for one in inside:
            one.setdefault(name, value)
    for one in inside:
        for name in ("evse_uid", "connector_id", "parking_id"):
            if one.get(name) in (NOT_ASSIGNED, NOT_ASSIGNED.lower()):
                del one[name]


def _single(shaped: dict[str, Any], name: str, notes: Notes) -> None:
    value = shaped.get(name)
    if isinstance(value, list):
        notes.add(f"{name}.list")
        shaped.update({name: value[0]} if value else {})
        if not value:
            del shaped[name]
    elif name == "booking_terms" and isinstance(value, str):
        notes.add("booking_terms.only_url")
        shaped[name] = {"booking_terms": value}


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


# Times and powers


def _power_from_period(shaped: dict[str, Any], notes: Notes) -> None:
    """1.0 asked for power in the period, in watts."""
    period = shaped.get("period")
    if not isinstance(period, dict) or "max_power" not in period:
        return
    notes.add("booking_request.period_with_power")
    power = period["max_power"]
    if "power_required" not in shaped and _is_number(power):
        shaped["power_required"] = ceil(power if 0 < power < KW_BELOW else power / 1000)


def _mend_calendars(shaped: dict[str, Any], unit: str, notes: Notes) -> None:
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
    slots = [slot for calendar in by_id.values() for slot in calendar.get("available_timeslots", [])]
    _mend_slots(slots, unit, notes)
    for calendar in by_id.values():
        for one in [calendar, *calendar.get("available_timeslots", [])]:
            _end_on_the_minute(one, "end_before" if one is calendar else "end_date_time", notes)
        _drop_empty_slots(calendar, notes)


def _mend_slots(slots: list[Any], unit: str, notes: Notes) -> None:
    objects = [slot for slot in slots if isinstance(slot, dict)]
    for slot in objects:
        for name in ("min_power", "max_power"):
            if _is_number(slot.get(name)) and float(slot[name]) == 0:
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


def _end_on_the_minute(slot: Any, name: str, notes: Notes) -> None:
    """An end at :59 means the next full minute: ends are exclusive, and slots shall touch."""
    if not isinstance(slot, dict) or name not in slot:
        return
    try:
        end = read_time(slot[name], notes)
    except ValueError:
        return
    if end.second == 59:
        notes.add("timeslot.end_one_second_short")
        slot[name] = end.replace(second=0, microsecond=0) + timedelta(minutes=1)


def _drop_empty_slots(calendar: dict[str, Any], notes: Notes) -> None:
    kept = []
    for slot in calendar.get("available_timeslots", []):
        parsed = _or_none(Timeslot, slot, notes)
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


# Locations


def _mend_evse(evse: Any, known_at: Any, notes: Notes) -> None:
    """What is part of something else is as new as that."""
    if not isinstance(evse, dict):
        return
    if "last_updated" not in evse and known_at is not None:
        notes.add("evse.last_updated_missing")
        evse["last_updated"] = known_at
    for connector in evse.setdefault("connectors", []):
        if isinstance(connector, dict) and "last_updated" not in connector and "last_updated" in evse:
            notes.add("connector.last_updated_missing")
            connector["last_updated"] = evse["last_updated"]
    if "parking" in evse:
        evse["parking"] = [_evse_parking(one, notes) for one in evse["parking"]]


def _evse_parking(raw: Any, notes: Notes) -> Any:
    """Older samples and peers name the place alone."""
    if isinstance(raw, str):
        notes.add("evse.parking_as_text")
        return {"parking_id": raw}
    return raw


def _mend_hours(location: dict[str, Any], notes: Notes) -> None:
    """Which of the hours end on the next day, for whoever wonders why a week looks odd."""
    hours = location.get("opening_times")
    rows = hours.get("regular_hours", []) if isinstance(hours, dict) else []
    for row in rows:
        begin, end = (
            (str(row.get(n, "")) for n in ("period_begin", "period_end"))
            if isinstance(row, dict)
            else ("", "")
        )
        if begin.zfill(5) >= end.zfill(5) and end:
            notes.add("hours.past_midnight")


def _mend_zone(location: dict[str, Any], notes: Notes) -> None:
    told = location.get("time_zone")
    if told is None:
        return  # SentWhole notes it
    zone = time_zones.known(told) if isinstance(told, str) else None
    if zone is None:
        notes.add("location.time_zone.unreadable")
        del location["time_zone"]
    elif zone != told:
        notes.add("location.time_zone.spelling")
        location["time_zone"] = zone


# Reading


def _read(model: type[W], shaped: Any, notes: Notes) -> Read[W]:
    if not isinstance(shaped, dict):
        raise UnreadableError("", "must be an object")
    value = read(model, shaped, notes)
    return Read(value, tuple(notes.names))


def _or_none(model: type[W], raw: Any, notes: Notes) -> W | None:
    try:
        return read(model, raw, notes)
    except UnreadableError:
        notes.add(f"{model.__name__.lower()}.unreadable")
        return None


READERS: dict[str, Callable[[Any], Read[Any]]] = {
    "booking": read_booking,
    "booking_location": read_booking_location,
    "calendar": read_calendar,
    "booking_request": read_booking_request,
    "location": read_location,
    "evse": read_evse,
    "connector": read_connector,
    "credentials": read_credentials,
}
