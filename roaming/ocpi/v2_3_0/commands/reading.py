"""What partners really send as commands, brought into the shape of 2.3.0."""

from __future__ import annotations

from typing import Any, TypeVar

from roaming.ocpi.shapes import Shape, read_shaped, shaped_as
from roaming.ocpi.v2_3_0.commands.schemas import CommandResponse, CommandResult
from roaming.ocpi.wire_object import NOT_ASSIGNED, Notes, Read, WireObject

C = TypeVar("C", bound=WireObject)
COMMAND = Shape(
    "command",
    renamed={
        "auth_id": "authorization_reference",
        "expiry": "expiry_date",
        "reservationId": "reservation_id",
        "evse_id": "evse_uid",
    },
)
ANSWER = Shape("command_answer", lists=frozenset({"message"}))
USUAL_TIMEOUT_S = 30
MAY_BE_UNASSIGNED = ("evse_uid", "connector_id")


def read_command(model: type[C], raw: Any) -> Read[C]:
    """Raises UnreadableError. `#NA` names no EVSE."""
    notes = Notes()
    shaped = shaped_as(raw, COMMAND, notes)
    if isinstance(shaped, dict):
        for name in MAY_BE_UNASSIGNED:
            if shaped.get(name) in (NOT_ASSIGNED, NOT_ASSIGNED.lower()):
                notes.add(f"command.{name}.unassigned")
                del shaped[name]
    return read_shaped(model, shaped, notes)


def read_response(raw: Any) -> Read[CommandResponse]:
    """A partner that names no time is given that of most."""
    notes = Notes()
    shaped = shaped_as(raw, ANSWER, notes)
    if isinstance(shaped, dict) and "timeout" not in shaped:
        notes.add("command_response.timeout_missing")
        shaped["timeout"] = USUAL_TIMEOUT_S
    return read_shaped(CommandResponse, shaped, notes)


def read_result(raw: Any) -> Read[CommandResult]:
    """Bare, or wrapped in an envelope as some send it (ocpi/ocpi issue 437)."""
    notes = Notes()
    if isinstance(raw, dict) and "result" not in raw and isinstance(raw.get("data"), dict):
        notes.add("command_result.enveloped")
        raw = raw["data"]
    return read_shaped(CommandResult, shaped_as(raw, ANSWER, notes), notes)
