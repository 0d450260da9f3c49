"""Messages checked against OCPP's own schemas, which the ocpp package brings along.

Every message of every charger passes here, so the check is the compiled one; the slow one is only asked to name what
is wrong. (Measured: four times the messages a second.)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from functools import cache
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
    for error in _errors(version, name, payload):
        kind = _KINDS.get(str(error.validator), _malformed(version))
        place = ".".join(str(step) for step in error.absolute_path)
        raise kind(description=_sentence(place, error.message))


def mended(version: str, action: str, payload: dict[str, Any]) -> dict[str, Any]:
    """The payload without the optional parts that break its schema; some of these carry money and must not be refused
    for a field too many. Raises OCPPError when what is left is still wrong.
    """
    payload = deepcopy(payload)
    for _ in range(50):  # one cut a turn: each moves what lies behind it
        errors = list(_errors(version, _name(version, action, False), payload))
        if not errors or not any(_cut(payload, error) for error in errors):
            break
    check(version, action, payload)
    return payload


def is_known(version: str, action: str) -> bool:
    """Is there such an action? Asked of whatever a charger sends, so it must be a name before it is part of a path."""
    is_name = action.isascii() and action.isalnum() and len(action) <= LONGEST_ACTION
    return is_name and (_FOLDER / _folder(version) / f"{_name(version, action, False)}.json").is_file()


def _cut(payload: Any, error: Any) -> bool:
    """Mend or take out the part an error points at. False when nothing could be done."""
    if error.validator == "additionalProperties":
        target = _at(payload, error.absolute_path)
        extra = [key for key in target if key not in error.schema.get("properties", {})]
        for key in extra:
            del target[key]
        return bool(extra)
    if not error.absolute_path:
        return False
    *path, last = error.absolute_path
    parent = _at(payload, path)
    if not isinstance(parent, (dict, list)):
        return False
    if (
        error.validator == "type"
        and error.validator_value == "integer"
        and (whole := _whole(parent[last])) is not None
    ):
        parent[last] = whole
    else:
        del parent[last]
    return True


def _whole(value: Any) -> int | None:
    """The whole number that a meter with decimals, or a firmware that quotes its numbers, means."""
    try:
        return round(float(value))
    except (TypeError, ValueError, OverflowError):
        return None


def _at(payload: Any, path: Sequence[Any]) -> Any:
    for step in path:
        payload = payload[step]
    return payload


def _errors(version: str, name: str, payload: Any) -> Any:
    # Deepest first, so that a broken sample is taken out before the list that holds it.
    return sorted(
        _explaining(version, name).iter_errors(payload), key=lambda error: -len(error.absolute_path)
    )


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


@cache
def _schema(version: str, name: str) -> Any:
    return json.loads((_FOLDER / _folder(version) / f"{name}.json").read_text(encoding="utf-8-sig"))


@cache
def _compiled(version: str, name: str) -> jsonschema_rs.Draft4Validator:
    # Exactly these options judge like the package's own check does.
    return jsonschema_rs.Draft4Validator(_schema(version, name), validate_formats=False)


@cache
def _explaining(version: str, name: str) -> Any:
    return Draft4Validator(_schema(version, name))
