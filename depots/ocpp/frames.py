"""OCPP-J frames read as messages: JSON lists of [type, id, …]. Whatever a frame holds, reading it takes bounded time."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from ocpp.exceptions import FormationViolationError

CALL, RESULT, ERROR, RESULT_ERROR, SEND = 2, 3, 4, 5, 6
_KINDS = frozenset({CALL, RESULT, ERROR})
_KINDS_OF_21 = _KINDS | {RESULT_ERROR, SEND}
LONGEST_ID = 36
# OCPP's own objects are nested ten deep at most; what vendors put into theirs is set aside below this.
DEEPEST = 32
# Python turns digits to numbers in quadratic time.
_MOST_DIGITS = 400
_CALL_HEAD = re.compile(r'\s*\[\s*2\s*,\s*"([^"\\]{1,36})"\s*,')
# A text that does not end reaches to the end: never is the same piece looked at twice.
_BRACKETS_AND_TEXTS = re.compile(r'[\[\]{}]|"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)


class FrameFault(Exception):
    """A frame that is no message: what to answer (nothing when `code` is empty), and to which id."""

    def __init__(self, code: str, description: str, unique_id: str = "-1") -> None:
        super().__init__(description)
        self.code, self.unique_id = code, unique_id


def read(frame: str | bytes, version: str) -> list[Any]:
    """[type, id, …] of a well-formed message, a CALL's payload always an object. Raises FrameFault."""
    code = FormationViolationError.code if version == "1.6" else "RpcFrameworkError"
    message = _parse(frame, code)
    if not isinstance(message, list) or not message or not _is_whole(message[0]):
        raise FrameFault(code, "A message is a JSON list that begins with its type.")
    kind, unique_id = message[0], message[1] if len(message) > 1 else None
    told_id = unique_id if isinstance(unique_id, str) and unique_id else "-1"
    if kind not in _kinds(version):
        # 1.6 has such frames ignored; 2.x has a name for them.
        unknown = "" if version == "1.6" else "MessageTypeNotSupported"
        raise FrameFault(unknown, "Unknown message type.", told_id)
    answer = code if kind == CALL else ""  # a broken answer is dropped
    if told_id == "-1":
        raise FrameFault(answer, "A message has an id, a text that is not empty.")
    if len(told_id) > LONGEST_ID:
        told = f"The message id has {len(told_id)} characters; at most {LONGEST_ID} are allowed."
        raise FrameFault(answer, told, told_id[:255])
    if kind in {CALL, SEND} and not (
        len(message) == 4 and isinstance(message[2], str) and message[2] and isinstance(message[3], dict)
    ):
        raise FrameFault(answer, "A call has an action and an object.", told_id)
    if len(message) < 3:
        raise FrameFault(answer, "A message has at least three parts.", told_id)
    return message


def write(message: list[Any]) -> str:
    """The frame of a message of ours."""
    return _ENCODER.encode(message)


def as_text(frame: str | bytes) -> str:
    """A frame as a text column takes it."""
    text = frame if isinstance(frame, str) else frame.decode(errors="replace")
    return text.replace("\x00", "")


def _parse(frame: str | bytes, code: str) -> Any:
    try:
        text = frame if isinstance(frame, str) else frame.decode()
    except UnicodeDecodeError:
        raise FrameFault(code, "The frame is not UTF-8.") from None
    try:
        message = _DECODER.decode(text)
    except RecursionError:
        message = _parse_shallow(text, code)
    except ValueError as fault:
        raise _no_json(text, code, fault) from None
    is_plain = "\\u" not in text and "\x00" not in text and text.count("[") + text.count("{") <= DEEPEST
    return message if is_plain else _storable(message, 0)


def _parse_shallow(text: str, code: str) -> Any:
    try:
        return _DECODER.decode("".join(_shallow(text)))
    except (ValueError, RecursionError) as fault:
        raise _no_json(text, code, fault) from None


def _no_json(text: str, code: str, fault: Exception) -> FrameFault:
    """Where at least its id can be read, a charger that waits for the answer to its call gets it."""
    head = _CALL_HEAD.match(text)
    return FrameFault(code, f"The frame is not JSON: {str(fault)[:100]}", head[1] if head else "-1")


def _nothing(name: str) -> None:
    """NaN and the infinities."""


def _finite(digits: str) -> float | None:
    number = float(digits) if len(digits) <= _MOST_DIGITS else math.inf
    return number if math.isfinite(number) else None


def _sensible(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MOST_DIGITS else None


# Numbers that no column holds are null: their field is set aside, not their message.
_DECODER = json.JSONDecoder(parse_constant=_nothing, parse_float=_finite, parse_int=_sensible)
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def _shallow(text: str) -> Iterator[str]:
    """Pieces of the same text, with `null` for all that is nested too deeply."""
    depth, kept_from = 0, 0
    for found in _BRACKETS_AND_TEXTS.finditer(text):
        if found[0] in "[{":
            depth += 1
            if depth == DEEPEST + 1:
                yield text[kept_from : found.start()]
                yield "null"
        elif found[0] in "]}":
            depth -= 1
            if depth == DEEPEST:
                kept_from = found.end()
    yield text[kept_from:] if depth <= DEEPEST else ""


def _storable(value: Any, depth: int) -> Any:
    """The same without what no column holds: NUL characters, halves of surrogate pairs, and what is nested deeper."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode()
    if isinstance(value, (list, dict)) and depth >= DEEPEST:
        return None
    if isinstance(value, list):
        return [_storable(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {_storable(key, depth): _storable(item, depth + 1) for key, item in value.items()}
    return value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _kinds(version: str) -> frozenset[int]:
    return _KINDS_OF_21 if version == "2.1" else _KINDS
