"""What partners really send of Sessions, brought into the shape of 2.3.0."""

from __future__ import annotations

from typing import Any

from roaming.ocpi.shapes import Shape, read_shaped, shaped_as
from roaming.ocpi.v2_3_0.cdrs.reading import MAY_BE_UNASSIGNED, PERIOD, normalise
from roaming.ocpi.v2_3_0.sessions.schemas import ChargingPreferences, Session
from roaming.ocpi.wire_object import NOT_ASSIGNED, Notes, Read

SESSION = Shape(
    "session",
    renamed={
        "last_update": "last_updated",
        "start_datetime": "start_date_time",
        "end_datetime": "end_date_time",
        "auth_id": "authorization_reference",
    },
    lists=frozenset({"charging_periods"}),
    inside={"charging_periods": PERIOD},
)


def read_session(raw: Any) -> Read[Session]:
    """One that does not say at which EVSE is one that is not known yet."""
    notes = Notes()
    shaped = shaped_as(raw, SESSION, notes)
    if isinstance(shaped, dict):
        normalise(shaped, ("total_cost",), notes)
        for name in MAY_BE_UNASSIGNED:
            if name not in shaped:
                notes.add(f"session.{name}_missing")
                shaped[name] = NOT_ASSIGNED
    return read_shaped(Session, shaped, notes)


def read_preferences(raw: Any) -> Read[ChargingPreferences]:
    notes = Notes()
    return read_shaped(ChargingPreferences, shaped_as(raw, Shape("charging_preferences"), notes), notes)
