"""Messages checked against OCPP's own schemas, which the ocpp package brings along.

Every message of every charger passes here, so the check is the compiled one; the slow one is only asked to name what
is wrong. (Measured: four times the messages a second.)
"""

from __future__ import annotations

import json
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import jsonschema_rs
import ocpp
from jsonschema import Draft4Validator
from ocpp.exceptions import (
    FormationViolationError,
    FormatViolationError,
    OCPPError,
    PropertyConstraintViolationError,
    ProtocolError,
    TypeConstraintViolationError,
)

LONGEST_ACTION = 60
MOST_COMPARED = 20
_FOLDER = Path(ocpp.__path__[0])
_KINDS = {
    "type": TypeConstraintViolationError,
    "required": ProtocolError,
    "enum": PropertyConstraintViolationError,
    "maxLength": PropertyConstraintViolationError,
    "minimum": PropertyConstraintViolationError,
    "maximum": PropertyConstraintViolationError,
    "multipleOf": PropertyConstraintViolationError,
}


def check(version: str, action: str, payload: Any, *, is_answer: bool = False) -> None:
    """Raises the OCPPError that the sender is to be told, naming the field."""
    name = _name(version, action, is_answer)
    if _compiled(version, name).is_valid(payload):
        return
    # Deepest first of the first few: naming one of many thousand must not take as long as finding them all.
    errors = islice(_explaining(version, name).iter_errors(payload), MOST_COMPARED)
    for error in sorted(errors, key=lambda error: -len(error.absolute_path)):
        kind = _KINDS.get(str(error.validator), _malformed(version))
        place = ".".join(str(step) for step in error.absolute_path)
        raise kind(description=_sentence(place, error.message))


def is_valid(version: str, action: str, payload: Any) -> bool:
    """Does the payload of a CALL conform to its schema?"""
    return _compiled(version, _name(version, action, False)).is_valid(payload)


def is_known(version: str, action: str) -> bool:
    """Is there such an action? Asked of whatever a charger sends, so it must be a name before it is part of a path."""
    is_name = action.isascii() and action.isalnum() and len(action) <= LONGEST_ACTION
    return is_name and (_FOLDER / _folder(version) / f"{_name(version, action, False)}.json").is_file()


def _sentence(place: str, message: str) -> str:
    text = f"{place}: {message}" if place else message
    return text[:255]  # a CALLERROR's description holds no more


def _malformed(version: str) -> type[OCPPError]:
    return FormationViolationError if version == "1.6" else FormatViolationError


def _name(version: str, action: str, is_answer: bool) -> str:
    if is_answer:
        return f"{action}Response"
    if action == "NotifyPeriodicEventStream":  # sent without an answer, so its schema is named like neither
        return action
    return action if version == "1.6" else f"{action}Request"


def _folder(version: str) -> str:
    return f"v{version.replace('.', '')}/schemas"


def load(version: str, action: str) -> dict[str, Any]:
    """The JSON schema of an action's CALL."""
    return _schema(version, _name(version, action, False))


@cache
def _schema(version: str, name: str) -> dict[str, Any]:
    return json.loads((_FOLDER / _folder(version) / f"{name}.json").read_text(encoding="utf-8-sig"))


@cache
def _compiled(version: str, name: str) -> jsonschema_rs.Draft4Validator:
    # Exactly these options judge like the package's own check does.
    return jsonschema_rs.Draft4Validator(_schema(version, name), validate_formats=False)


@cache
def _explaining(version: str, name: str) -> Any:
    return Draft4Validator(_schema(version, name))
