"""What partners really send of Locations, brought into the shape of 2.3.0."""

from __future__ import annotations

from typing import Any

from roaming.mirror import time_zones
from roaming.ocpi.shapes import Shape, read_shaped, shaped_as
from roaming.ocpi.v2_3_0.locations.schemas import Connector, Evse, Location
from roaming.ocpi.wire_object import Notes, Read

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


def read_location(raw: Any) -> Read[Location]:
    """A `time_zone` that names none is left out: no time of a depot is shown in a zone that was guessed."""
    notes = Notes()
    shaped = shaped_as(raw, LOCATION, notes)
    if isinstance(shaped, dict):
        for evse in shaped.get("evses", []):
            _normalise_evse(evse, shaped.get("last_updated"), notes)
        _normalise_hours(shaped, notes)
        _normalise_zone(shaped, notes)
    return read_shaped(Location, shaped, notes)


def read_evse(raw: Any) -> Read[Evse]:
    notes = Notes()
    shaped = shaped_as(raw, EVSE, notes)
    _normalise_evse(shaped, None, notes)
    return read_shaped(Evse, shaped, notes)


def read_connector(raw: Any) -> Read[Connector]:
    notes = Notes()
    return read_shaped(Connector, shaped_as(raw, CONNECTOR, notes), notes)


def _normalise_evse(evse: Any, known_at: Any, notes: Notes) -> None:
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


def _normalise_hours(location: dict[str, Any], notes: Notes) -> None:
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


def _normalise_zone(location: dict[str, Any], notes: Notes) -> None:
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
