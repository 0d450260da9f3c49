"""What partners really send as commands, brought into the shape of 2.3.0."""

from __future__ import annotations

from typing import Any, TypeVar

from roaming.ocpi.asynchronous import bare, with_timeout
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
    notes = Notes()
    shaped = with_timeout(shaped_as(raw, ANSWER, notes), "command_response", notes)
    return read_shaped(CommandResponse, shaped, notes)


def read_result(raw: Any) -> Read[CommandResult]:
    notes = Notes()
    return read_shaped(CommandResult, shaped_as(bare(raw, "command_result", notes), ANSWER, notes), notes)
